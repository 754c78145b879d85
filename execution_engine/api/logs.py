"""get_logs, add_job_logs."""

from operator import itemgetter

from bson import ObjectId

from execution_engine.api.callers import Rules
from execution_engine.core.clock import now, to_ms
from execution_engine.core.ids import parse_job_id
from execution_engine.core.states import FINAL
from execution_engine.jobs import attempts
from execution_engine.jobs.audit import Act, note_reading
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.lookup import readable_job
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document
from execution_engine.store.log_chunks import Lines, cut_line
from execution_engine.store.logs import Page

DEFAULT_LIMIT = 1_000

_text, _stream, _ts = (itemgetter(name) for name in ("line", "stream", "ts"))


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def get_logs(user: User, params: Document) -> Document:
        job_id = parse_job_id(params["job_id"])
        # The state is read before the lines, so that "ended" promises that these are all.
        job = readable_job(engine, user, job_id)
        ended = job["status"] in FINAL
        note_reading(engine, user, [job], Act.READ_LOG)
        page = _page(engine, job_id, params)
        lines = [
            {"n": n, "line": text, "stream": stream, "ts": ts}
            for n, (text, stream, ts) in enumerate(page.lines, page.first)
        ]
        next_line = page.first + len(lines)
        return {"lines": lines, "next_line": next_line, "total_lines": page.total, "ended": int(ended)}

    def add_job_logs(credential: str, params: Document) -> Document:
        lines = _columns(params["lines"], engine.settings.max_line_chars)
        next_line, cancel = attempts.add_lines(
            engine, credential, parse_job_id(params["job_id"]), params["attempt"], params.get("first_line"), lines
        )
        return {"next_line": next_line, "cancel_requested": int(cancel)}

    registry.add("get_logs", get_logs, rules.reader)
    registry.add("add_job_logs", add_job_logs, rules.attempt, large_body=True)


def _columns(sent: list[Document], limit: int) -> Lines:
    """The lines of a call, cut to ``limit`` characters; by columns, because there may be thousands."""
    texts: list[str] = list(map(_text, sent))
    if max(map(len, texts), default=0) > limit:
        texts = [cut_line(text, limit) for text in texts]
    try:
        return Lines(texts, list(map(_stream, sent)), list(map(_ts, sent)))
    except KeyError:
        default_ts = to_ms(now())
        streams = [line.get("stream", "stdout") for line in sent]
        return Lines(texts, streams, [line.get("ts", default_ts) for line in sent])


def _page(engine: Engine, job_id: ObjectId, params: Document) -> Page:
    limit = params.get("limit", DEFAULT_LIMIT)
    if "tail" in params:
        return engine.logs.read_tail(job_id, params["tail"])
    skip = params.get("skip", 0)
    if "since" in params:
        skip = max(skip, engine.logs.first_since(job_id, params["since"]))
    return engine.logs.read(job_id, skip, limit)
