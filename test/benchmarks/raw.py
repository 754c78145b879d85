"""The floor of a log call: parse its body, insert one chunk, journaled; no web server in between."""

import json
import threading
import time
from collections.abc import Sequence

from bson import ObjectId
from clients import Sample, Web
from floor import FLOOR_DATABASE
from pymongo.collection import Collection

from execution_engine.store.database import Document, connect


class RawChunks:
    """As many threads as clients, each with a log of its own."""

    def __init__(self, mongo_url: str, body: bytes, text: str) -> None:
        """``body``: of a call that adds 1,000 lines; ``text``: the lines as a chunk holds them."""
        self._url = mongo_url
        self._body = body
        self._text = text
        self._chunks: Collection[Document] | None = None

    def run(self, _: Web, clients: Sequence[int], seconds: float) -> Sample:
        if self._chunks is None:  # here, not above: a connection belongs to one process
            self._chunks = connect(self._url, FLOOR_DATABASE).job_logs
        sample = Sample(seconds)
        end = time.perf_counter() + seconds
        threads = [threading.Thread(target=self._append, args=(self._chunks, sample, end)) for _ in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sample

    def _append(self, chunks: Collection[Document], sample: Sample, end: float) -> None:
        job, first = ObjectId(), 0
        chunk = {"job": job, "n": 1000, "attempt": 1, "text": self._text, "streams": "o", "ts": 1, "until": 1}
        while (begun := time.perf_counter()) < end:
            json.loads(self._body)
            chunks.insert_one(chunk | {"first": first})
            first += 1000
            done = time.perf_counter()
            if done <= end:
                sample.latencies.append(done - begun)
