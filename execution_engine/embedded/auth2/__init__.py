"""A small Auth2: accounts, tokens and roles, over the REST protocol of KBase's Auth2 0.7."""

from execution_engine.embedded.auth2.accounts import Accounts
from execution_engine.embedded.auth2.app import create_auth2_app

__all__ = ["Accounts", "create_auth2_app"]
