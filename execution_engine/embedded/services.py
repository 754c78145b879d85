"""The embedded Auth2, Workspace and Catalog as WSGI apps: in a process of their own, or mounted beside the engine."""

from typing import TYPE_CHECKING, Any

from pymongo.database import Database
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from execution_engine.config import load
from execution_engine.embedded.auth2 import Accounts, create_auth2_app
from execution_engine.embedded.catalog import create_catalog_app
from execution_engine.embedded.workspace import create_workspace_app
from execution_engine.store.database import connect

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DATABASE_NAME = "kbase_embedded"


def mount(database: Database[dict[str, Any]]) -> "dict[str, WSGIApplication]":
    """The three services on one database, each by the path that it belongs under."""
    accounts = Accounts(database)
    return {
        "/services/auth": create_auth2_app(accounts),
        "/services/ws": create_workspace_app(database, accounts.owner, accounts.custom_roles, accounts.exists),
        "/services/catalog": create_catalog_app(database, accounts.owner, accounts.custom_roles),
    }


def create_app() -> "WSGIApplication":
    """What gunicorn serves as the services process; connects where the settings say."""
    database = connect(load().mongo_url, DATABASE_NAME)
    return DispatcherMiddleware(Response("Not Found", 404, content_type="text/plain"), mount(database))
