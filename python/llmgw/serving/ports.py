"""Who may listen on an address? Checked before granian binds, which shares ports silently (SO_REUSEPORT)."""

import os
import socket
import sys
from typing import NamedTuple

from llmgw.config.address import url_of
from llmgw.errors import CommandError


class Claim(NamedTuple):
    """An address that is ours."""

    port: int
    """The free one that was found, if 0 was asked for."""
    holder: socket.socket
    """Bound to it, but it does not listen."""

    def close(self) -> None:
        """Let others have it."""
        self.holder.close()


def claim(host: str, port: int) -> Claim:
    """Take an address, so that nobody else does until the workers listen and while none of them lives.

    Raises CommandError if it can't be had.
    """
    holder = _bound(host, port)
    found = _port(holder)
    if sys.platform == "linux":
        # Whoever binds from here on must share, as the workers do; another llmgw's claim does not.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        # A worker that outlives its parent must not keep the port.
        os.register_at_fork(after_in_child=holder.close)
    else:
        holder.close()  # granian's own socket could not be bound beside it
    return Claim(found, holder)


def claim_port(host: str, port: int) -> int:
    """`port`, or a free one for 0, for a server that binds it later. Raises CommandError as `claim`."""
    with _bound(host, port) as probe:
        return _port(probe)


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
        except BaseException:
            bound.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        problem = f"can't listen on {url_of(host, port)}: {_reason(error)}"
        raise CommandError(f"{problem}; choose another address with --host and --port") from error
    return bound


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "a port is a number up to 65535" if isinstance(error, OverflowError) else "that is no host name"
