"""What surrounds a call on the wire: version, id, method, parameters."""

from typing import Any, Literal, NamedTuple

from execution_engine.rpc.explain import found

Version = Literal["1.1", "2.0"]


class Request(NamedTuple):
    """One call, as read.

    id: echoed as it came.
    answered: False for a notification, which gets no answer.
    params: None if there are none.
    fault: why this is no JSON-RPC request; then nothing but version and id can be relied on.
    """

    version: Version
    id: Any
    answered: bool
    method: str
    params: Any
    fault: str | None = None


UNREADABLE = Request("1.1", None, answered=True, method="", params=None)


def read_request(message: Any) -> Request:
    """Reads one call; never raises, see ``Request.fault``."""
    if not isinstance(message, dict):
        return UNREADABLE._replace(fault=f"expected an object with method, params and id, found {found(message)}")
    version: Version = "2.0" if "jsonrpc" in message else "1.1"
    id_ = message.get("id")
    if isinstance(id_, dict | list):
        return UNREADABLE._replace(version=version, fault=f"id: expected a string or a number, found {found(id_)}")
    request = Request(version, id_, True, "", message.get("params"))
    if version == "2.0" and message["jsonrpc"] != "2.0":
        return request._replace(fault=f"jsonrpc: expected '2.0', found {found(message['jsonrpc'])}")
    method = message.get("method")
    if not isinstance(method, str):
        what = f"expected a string, found {found(method)}" if "method" in message else "missing"
        return request._replace(fault=f"method: {what}")
    return request._replace(method=method, answered=version == "1.1" or "id" in message)
