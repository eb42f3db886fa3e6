"""How an address that the gateway listens on becomes a URL, and one that a client can connect to."""

from typing import Final

_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared with, not bound to)


def url_of(host: str, port: int) -> str:
    """`http://127.0.0.1:8000`; an IPv6 address gets its brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_host(host: str) -> str:
    """Where this machine finds a server that listens on `host`: a wildcard becomes the loopback address."""
    return _WILDCARDS.get(host, host)
