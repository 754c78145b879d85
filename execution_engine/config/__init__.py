"""Settings: the table (settings) and the reader of deploy.cfg (load)."""

from execution_engine.config.load import load
from execution_engine.config.settings import BackendSettings, ClientGroupSettings, Settings

__all__ = ["BackendSettings", "ClientGroupSettings", "Settings", "load"]
