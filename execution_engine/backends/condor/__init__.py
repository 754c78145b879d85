"""The kind ``condor``: jobs in an HTCondor pool, through a schedd of this machine or of another one."""

from execution_engine.backends.condor.backend import CondorBackend

__all__ = ["CondorBackend"]
