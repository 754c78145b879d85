"""Every error that the engine raises: one table.

An error is a class here. Its docstring is what it means (and its default message), ``code`` its number on the
wire, ``reason`` its stable name. The edges translate by these two; the store and the rules raise them and know
nothing of HTTP. Numbers below -32600 are JSON-RPC's own, -32400 is KBase's for tokens, the rest are ours.
"""

from collections.abc import Iterator
from typing import Any, ClassVar


class EngineError(Exception):
    """Something went wrong."""

    code: ClassVar[int] = -32000
    reason: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **data: Any) -> None:
        """``data`` holds machine-readable details (JSON values) that travel with the error."""
        self.message = message or (self.__doc__ or "").strip()
        self.data = data
        super().__init__(self.message)


# --- the request


class ParseError(EngineError):
    """The body is not JSON."""

    code = -32700
    reason = "parse_error"


class InvalidRequest(EngineError):
    """The body is JSON, but no JSON-RPC request."""

    code = -32600
    reason = "invalid_request"


class MethodNotFound(EngineError):
    """There is no such method."""

    code = -32601
    reason = "method_not_found"


class InvalidParams(EngineError):
    """The parameters do not fit the method."""

    code = -32602
    reason = "invalid_params"


class InternalError(EngineError):
    """The engine failed in a way that it did not foresee; the operators' log has the cause under the request id."""

    code = -32603
    reason = "internal_error"


class HttpMethodNotAllowed(EngineError):
    """Only HTTP POST is allowed here."""

    code = -32300
    reason = "http_method_not_allowed"


class BodyTooLarge(EngineError):
    """The request is larger than the service takes."""

    code = -32010
    reason = "body_too_large"


class RequestTimeout(EngineError):
    """The request did not arrive in time."""

    code = -32011
    reason = "request_timeout"


class Busy(EngineError):
    """The service has more work than it can do at once; try again in a moment."""

    code = -32012
    reason = "busy"


# --- who is asking


class TokenMissing(EngineError):
    """Token validation failed: Authorization is required for this method but no credentials were provided."""

    code = -32400
    reason = "token_missing"


class TokenInvalid(EngineError):
    """Token validation failed: the Auth service does not know the token; it may have expired."""

    code = -32400
    reason = "token_invalid"


class AccountDisabled(EngineError):
    """Token validation failed: the account is disabled."""

    code = -32400
    reason = "account_disabled"


class CredentialInvalid(EngineError):
    """The start ticket or credential does not belong to the current attempt of this job."""

    code = -32401
    reason = "credential_invalid"


class TicketUsed(EngineError):
    """Another runner has already started this attempt."""

    code = -32402
    reason = "ticket_used"


class PermissionDenied(EngineError):
    """The caller may not do this."""

    code = -32403
    reason = "permission_denied"


# --- what is asked for


class JobNotFound(EngineError):
    """There is no such job, or the caller may not read it."""

    code = -32100
    reason = "job_not_found"


class AppNotFound(EngineError):
    """The Catalog has no such app."""

    code = -32101
    reason = "app_not_found"


class WorkspaceNotFound(EngineError):
    """The workspace does not exist, was deleted, or the caller may not use it."""

    code = -32102
    reason = "workspace_not_found"


class ObjectNotReadable(EngineError):
    """An object that the job would read does not exist or the caller may not read it."""

    code = -32103
    reason = "object_not_readable"


class ClientGroupNotFound(EngineError):
    """There is no such client group."""

    code = -32104
    reason = "client_group_not_found"


class UserNotFound(EngineError):
    """The Auth service knows no such user."""

    code = -32105
    reason = "user_not_found"


class BackendNotFound(EngineError):
    """There is no such backend in the configuration."""

    code = -32106
    reason = "backend_not_found"


class RouteNotFound(EngineError):
    """There is no such route."""

    code = -32107
    reason = "route_not_found"


class LimitNotFound(EngineError):
    """There is no such limit."""

    code = -32108
    reason = "limit_not_found"


class IdempotencyConflict(EngineError):
    """The idempotency key was used before, with another request."""

    code = -32110
    reason = "idempotency_conflict"


class ParametersTooLarge(EngineError):
    """The job's parameters are larger than the service takes."""

    code = -32111
    reason = "parameters_too_large"


class OutputTooLarge(EngineError):
    """The job's output is larger than the service takes."""

    code = -32112
    reason = "output_too_large"


class BatchTooLarge(EngineError):
    """The batch has more jobs than the service takes."""

    code = -32113
    reason = "batch_too_large"


class NotRetryable(EngineError):
    """Only a job that has ended can be retried."""

    code = -32114
    reason = "not_retryable"


class RequirementsTooLarge(EngineError):
    """No machine of the client group could ever run the job."""

    code = -32115
    reason = "requirements_too_large"


class AppMisconfigured(EngineError):
    """What the Catalog says about where the app runs can't be used."""

    code = -32117
    reason = "app_misconfigured"


class QueueLimitReached(EngineError):
    """The user would have more waiting jobs than a limit allows."""

    code = -32118
    reason = "queue_limit_reached"


class LogGap(EngineError):
    """Lines are missing before these; send again from next_line."""

    code = -32120
    reason = "log_gap"


class AlreadyFinished(EngineError):
    """The job has ended, with another report than this one."""

    code = -32121
    reason = "already_finished"


class WrongState(EngineError):
    """The job is not in a state that allows this."""

    code = -32122
    reason = "wrong_state"


# --- what the engine depends on


class AuthUnavailable(EngineError):
    """The Auth service can't be reached, so the token can't be checked; try again later."""

    code = -32200
    reason = "auth_unavailable"


class WorkspaceUnavailable(EngineError):
    """The Workspace service can't be reached; try again later."""

    code = -32201
    reason = "workspace_unavailable"


class CatalogUnavailable(EngineError):
    """The Catalog can't be reached, so the app can't be looked up; try again later."""

    code = -32202
    reason = "catalog_unavailable"


class DatabaseUnavailable(EngineError):
    """The database can't be reached; try again later."""

    code = -32203
    reason = "database_unavailable"


class BackendUnavailable(EngineError):
    """The batch system can't be reached."""

    code = -32204
    reason = "backend_unavailable"


class BackendRefused(EngineError):
    """The batch system refuses the job."""

    code = -32205
    reason = "backend_refused"


class ConfigurationError(EngineError):
    """A setting is wrong."""

    code = -32210
    reason = "configuration_error"


def all_errors() -> Iterator[type[EngineError]]:
    """Every concrete error, in the order of the table, for the reference page and the tests."""
    yield from EngineError.__subclasses__()
