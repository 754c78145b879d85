"""gunicorn's settings, taken from deploy.cfg: ``gunicorn -c python:execution_engine.gunicorn_settings APP``.

Every name below is one of gunicorn's. A thread is held only while a request is worked on; clients that are slow, or
wait for their next request, cost none.
"""

import os

from execution_engine.config import load as _load
from execution_engine.serving.worker import LoopWorker as _LoopWorker

_settings = _load()


class _Worker(_LoopWorker):
    """The worker with the limits of deploy.cfg."""

    read_seconds = _settings.request_deadline_seconds
    body_limit = _settings.max_body_bytes


bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
worker_class = _Worker
sendfile = False  # it would make a thread wait for the client
workers = _settings.web_workers
threads = _settings.web_threads
keepalive = 75  # longer than clients keep an idle connection, so that they close it and not we under their feet
timeout = 60
graceful_timeout = 5
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a disk may stall the heartbeat
control_socket_disable = True  # its default place is the same for all servers of an account
loglevel = _settings.log_level.lower()
