"""Settings: the table (settings) and the reader of deploy.cfg (load)."""

from execution_engine.config.load import load
from execution_engine.config.settings import AMOUNTS, BackendSettings, ClientGroupSettings, Settings, default_amounts

__all__ = ["AMOUNTS", "BackendSettings", "ClientGroupSettings", "Settings", "default_amounts", "load"]
