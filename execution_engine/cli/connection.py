"""Which engine to talk to, and as whom: options, environment, or the data folder of an engine on this machine."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from execution_engine.cli.client import Engine
from execution_engine.cli.screen import note
from execution_engine.embedded.folder import ENDPOINTS_NAME

TOKENS_NAME = "tokens.json"


@dataclass(frozen=True)
class Connection:
    """What the options say."""

    url: str | None
    token: str | None
    token_file: Path | None
    user: str
    data: Path
    verbose: bool

    def engine(self, *, needs_token: bool = True) -> Engine:
        """The client.

        Raises:
            click.UsageError: no engine is named and none is found, or no token.
        """
        local_url = self._local_url()
        url = self.url or local_url
        if not url:
            raise click.UsageError(
                f"Which engine? Set EE_URL or --url to its address (http://…/services/ee), or name with --data the "
                f"folder of one on this machine; {self.data / ENDPOINTS_NAME} does not exist."
            )
        token = self._token(use_local=url == local_url)
        if needs_token and not token:
            raise click.UsageError("No token: set EE_TOKEN, or name a file that holds one with --token-file.")
        return Engine(url, token, note if self.verbose else None)

    def _local_url(self) -> str | None:
        try:
            return str(json.loads((self.data / ENDPOINTS_NAME).read_text())["execution_engine"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise click.UsageError(f"{self.data / ENDPOINTS_NAME} can't be used: {error}") from error

    def _token(self, *, use_local: bool) -> str | None:
        """``use_local``: the data folder's tokens are for the engine in question, and nobody else may see them."""
        if self.token_file:
            return read_token(self.token_file, self.user)
        if self.token:
            return self.token
        local = self.data / TOKENS_NAME
        return read_token(local, self.user) if use_local and local.exists() else None


def read_token(file: Path, user: str) -> str:
    """The token that a file holds, as its only content or under the user's name in a JSON object.

    Raises:
        click.UsageError: the file can't be read, is empty, or does not know the user.
    """
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The token file {file} can't be read: {error}") from error
    if not text.startswith("{"):
        if not text:
            raise click.UsageError(f"The token file {file} is empty.")
        return text
    try:
        tokens = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"The token file {file} is not valid JSON: {error}") from error
    if user not in tokens:
        raise click.UsageError(f"{file} has no token of {user!r}; it has those of {', '.join(sorted(tokens))}.")
    return str(tokens[user])


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say which engine and as whom; the command gets a :class:`Connection` first."""

    @click.option("--url", envvar="EE_URL", show_envvar=True, help="Address of the engine, http://…/services/ee.")
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path),
        help="File with a token, or with a JSON object of tokens by user. EE_TOKEN holds a token itself.",
    )
    @click.option("--user", default="alice", show_default=True, help="Whose token, in a file with several.")
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        envvar="EE_DATA",
        default=Path("data"),
        show_default=True,
        show_envvar=True,
        help="Data folder of an engine on this machine: names the address and the tokens if nothing else does.",
    )
    @click.option("-v", "--verbose", is_flag=True, help="Tell the id of every request, as in the engine's log.")
    @wraps(command)
    def with_connection(
        *args: Any, url: str | None, token_file: Path | None, user: str, data: Path, verbose: bool, **options: Any
    ) -> Any:
        # From the environment only: a token on the command line would be seen by everybody who lists processes.
        token = os.environ.get("EE_TOKEN", "").strip() or None
        return command(Connection(url, token, token_file, user, data, verbose), *args, **options)

    return with_connection
