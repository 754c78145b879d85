"""gunicorn's settings, taken from deploy.cfg: ``gunicorn -c python:execution_engine.gunicorn_settings APP``.

Every name below is one of gunicorn's. The defaults fit the engine: a thread is held only while a request is worked
on, connections that wait for the next request cost none.
"""

import os

from execution_engine.config import load as _load

_settings = _load()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
worker_class = "gthread"
workers = _settings.web_workers
threads = _settings.web_threads
keepalive = 75  # longer than clients keep an idle connection, so that they close it and not we under their feet
timeout = 60
graceful_timeout = 5
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a disk may stall the heartbeat
control_socket_disable = True  # its default place is the same for all servers of an account
loglevel = _settings.log_level.lower()
