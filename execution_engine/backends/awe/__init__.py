"""AWE 0.9, over HTTP."""

from execution_engine.backends.awe.backend import AweBackend

__all__ = ["AweBackend"]
