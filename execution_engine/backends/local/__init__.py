"""The kind ``local``: jobs as detached processes on the machine of the engine."""

from execution_engine.backends.local.backend import LocalBackend

__all__ = ["LocalBackend"]
