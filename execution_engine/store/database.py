"""The connection to MongoDB."""

from collections.abc import Iterable
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import AutoReconnect, ConnectionFailure, ExecutionTimeout, NetworkTimeout, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

Document = dict[str, Any]
CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True)

# How long a call waits for a primary: longer than mongod needs to come back after a crash (about a second), shorter
# than people wait.
SELECTION_MS = 5_000
SOCKET_MS = 30_000
POOL_SIZE = 64
BATCH_DOCUMENTS = 1_000  # of one answer; the driver's 101 would make look-ups of many ask twice

DURABLE = ReadConcern("majority")
"""For a read whose answer promises what another one wrote: without what a crash could still undo."""

UNREACHABLE: tuple[type[PyMongoError], ...] = (AutoReconnect, ConnectionFailure, NetworkTimeout, ExecutionTimeout)
"""The driver's errors that mean "not now", in contrast to mistakes of ours."""


def connect(url: str, name: str) -> Database[Document]:
    """The database ``name``; nothing is sent yet.

    Writes are acknowledged by the majority, which on a replica set implies the journal: what was acknowledged survives
    a kill of mongod. Open it after a fork, one for each process.
    """
    client: MongoClient[Document] = MongoClient(
        url,
        appname="execution-engine",
        serverSelectionTimeoutMS=SELECTION_MS,
        connectTimeoutMS=2_000,
        socketTimeoutMS=SOCKET_MS,
        maxPoolSize=POOL_SIZE,
        retryWrites=True,
        retryReads=True,
        w="majority",  # of transactions
    )
    return client.get_database(
        name, codec_options=CODEC, write_concern=WriteConcern(w="majority"), read_concern=ReadConcern("local")
    )


def one_of(keys: Iterable[Any]) -> Any:
    """The condition of being one of the keys; for a single one equality, which MongoDB answers faster than ``$in``."""
    listed = list(keys)
    return listed[0] if len(listed) == 1 else {"$in": listed}
