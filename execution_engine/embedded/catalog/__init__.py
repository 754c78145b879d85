"""A small Catalog: modules, versions and how to run them, over the JSON-RPC of KBase's Catalog 2.2."""

from execution_engine.embedded.catalog.app import create_catalog_app, ensure_indexes
from execution_engine.embedded.catalog.command_apps import register_command_apps

__all__ = ["create_catalog_app", "ensure_indexes", "register_command_apps"]
