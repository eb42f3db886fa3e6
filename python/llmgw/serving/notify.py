"""Tells systemd that the gateway answers: `sd_notify(3)`, for units of `Type=notify`."""

import logging
import os
import socket
from typing import Final

logger = logging.getLogger(__name__)

NOTIFY_SOCKET_ENV: Final = "NOTIFY_SOCKET"
"""The supervisor's socket. An `@` at the beginning: its name is in the abstract namespace."""


def tell_ready() -> None:
    """Send `READY=1` to the supervisor, if there is one that listens for it. Never raises."""
    name = os.environ.get(NOTIFY_SOCKET_ENV)
    if not name:
        return
    address = f"\0{name[1:]}" if name.startswith("@") else name
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(address)
            told.send(b"READY=1")
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        logger.warning("can't tell the supervisor that the gateway is ready: %s", error)
