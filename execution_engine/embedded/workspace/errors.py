"""What the service refuses, with the codes of KBase's Java servers."""

from typing import ClassVar


class WorkspaceError(Exception):
    """A method can't do what it is asked for; the message is for the client."""

    code: ClassVar[int] = -32500

    @property
    def message(self) -> str:
        """The text for the client."""
        return str(self.args[0])


class TokenRefused(WorkspaceError):
    """The token is missing or wrong, or could not be checked."""

    code = -32400

    def __init__(self, reason: str) -> None:
        super().__init__(f"Token validation failed: {reason}")


class EmptyRequest(WorkspaceError):
    """There is no body."""

    code = -32400

    def __init__(self) -> None:
        super().__init__("Unexpected internal error (Data must be at least 1 byte / char)")


class UnknownMethod(WorkspaceError):
    """No method is named, or none that there is."""

    code = -32601


class WrongParameters(WorkspaceError):
    """The number of parameters or the type of one is wrong."""

    code = -32602


class Unparseable(WorkspaceError):
    """The body is no JSON-RPC call, or larger than the service takes."""

    code = -32700


class GetRefused(WorkspaceError):
    """The service is called with POST."""

    code = -32300

    def __init__(self) -> None:
        super().__init__("HTTP GET not allowed.")
