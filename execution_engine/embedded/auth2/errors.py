"""Auth2's errors: the numbers and texts that its clients read."""

from typing import NamedTuple


class ErrorType(NamedTuple):
    """One kind of error: HTTP status, application code and its text."""

    status: int
    code: int
    text: str


NO_TOKEN = ErrorType(400, 10010, "No authentication token")
INVALID_TOKEN = ErrorType(401, 10020, "Invalid token")
UNAUTHORIZED = ErrorType(403, 20000, "Unauthorized")
DISABLED = ErrorType(403, 20010, "Account disabled")
MISSING_PARAMETER = ErrorType(400, 30000, "Missing input parameter")
ILLEGAL_PARAMETER = ErrorType(400, 30001, "Illegal input parameter")
ILLEGAL_USER_NAME = ErrorType(400, 30010, "Illegal user name")


class AuthError(Exception):
    """A request that Auth2 refuses."""

    def __init__(self, kind: ErrorType, detail: str = "") -> None:
        """``detail`` stands after the kind's own text."""
        self.kind = kind
        super().__init__(f"{kind.code} {kind.text}" + (f": {detail}" if detail else ""))
