"""Everything that an engine has written: where in it some bytes stand."""

import subprocess
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

TEXTS = CodecOptions(document_class=RawBSONDocument)


def in_files(folder: Path, secrets: Iterable[bytes]) -> set[Path]:
    """The files below ``folder`` with one of the secrets in them, as paths within it."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                continue
            if any(secret in text for secret in secrets):
                found.add(path.relative_to(folder))
    return found


def in_databases(mongo_url: str, secrets: Iterable[bytes]) -> set[str]:
    """Collections, of all databases and of the log of all writes, with one of the secrets in a document, or packed."""
    wanted = list(secrets)
    found = set()
    with MongoClient[Any](mongo_url) as client:
        for database in client.list_database_names():
            for name in client[database].list_collection_names():
                collection = client[database].get_collection(name, codec_options=TEXTS)
                for document in collection.find():
                    if any(secret in text for text in _unpacked(document) for secret in wanted):
                        found.add(f"{database}.{name}")
    return found


def _unpacked(document: Any) -> Iterator[bytes]:
    """The document's own bytes, and what is compressed in it."""
    yield document.raw
    for value in _values(document):
        if isinstance(value, bytes):
            try:
                yield zlib.decompress(value)
            except zlib.error:
                continue


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif isinstance(value, RawBSONDocument):
        for item in value.values():
            yield from _values(item)
    else:
        yield value


def _is_below_a_runner(process: Path) -> bool:
    try:
        parent = Path("/proc", (process / "stat").read_text().rpartition(")")[2].split()[1])
        return b"/runner-" in (parent / "cmdline").read_bytes() or _is_below_a_runner(parent)
    except OSError:
        return False


def in_process_lists(secrets: Iterable[bytes]) -> set[str]:
    """The command lines, as everybody on the machine may list them, and the environments, with one of the secrets.

    Those of processes that a runner has started are all "an app's environment".
    """
    wanted = list(secrets)
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            line, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if any(secret in line for secret in wanted):
            found.add(f"command line: {line!r}")
        if any(secret in environment for secret in wanted):
            text = line.replace(bytes(1), b" ").decode(errors="replace").strip()
            found.add("an app's environment" if _is_below_a_runner(entry) else f"environment: {text}")
    return found


def in_ps(secrets: Iterable[bytes]) -> bool:
    """Whether one of the secrets is in what `ps` shows to anybody."""
    listed = subprocess.run(["ps", "-eo", "args", "-ww"], capture_output=True, check=True).stdout
    return any(secret in listed for secret in secrets)
