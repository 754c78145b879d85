"""Which addresses and ports the embedded stack may use."""

import errno
import ipaddress
import socket

from execution_engine.core.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Whether nobody outside of this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def usable_port(host: str, port: int) -> int:
    """``port``, after it was seen to be free on ``host``; a free one if it is 0.

    Raises:
        ConfigurationError: another program listens there, or it is not for us.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            return int(probe.getsockname()[1])
        except socket.gaierror as error:
            raise ConfigurationError(f"{host} is no address of this machine: {error.strerror}.") from error
        except OSError as error:
            raise ConfigurationError(_why_not(host, port, error)) from error


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken by another program. Choose another one with --port or EE_PORT, "
            f"for example EE_PORT={port + 1}."
        )
    if error.errno == errno.EACCES:
        return (
            f"Port {port} on {host} is not for this account. Choose one above 1023 with --port or EE_PORT, "
            "for example EE_PORT=5000."
        )
    return f"Can't listen on port {port} of {host}: {error.strerror}."


def reachable_name(host: str) -> str:
    """A name for the same machine's clients of a server that listens on ``host``."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def bracketed(host: str) -> str:
    """``host`` as a URL has it."""
    return f"[{host}]" if ":" in host else host
