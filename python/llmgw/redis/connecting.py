"""From a URL to a client."""

import contextlib
import ssl
from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from llmgw.config.redis_url import Address, RedisUrl, Tls
from llmgw.redis.client import RedisClient
from llmgw.redis.cluster import Cluster
from llmgw.redis.pool import Pool
from llmgw.redis.sentinel import Watched
from llmgw.redis.single import Single

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

SOCKET_TIMEOUT_S: Final = 2.0
"""To connect, and for each read or write: longer than anybody waits for one, who then gives up by himself."""


def connect(url: str) -> RedisClient:
    """Connects at the first use. `load_config` has checked the package and the URL. Raises RedisUrlError."""
    to = RedisUrl.parse(url)
    # What takes long is done before any request waits for it. What is wrong with a file, requests are told.
    import redis.asyncio.connection  # noqa: PLC0415  (an optional dependency)
    import redis.crc  # noqa: F401, PLC0415

    if to.tls is not None:
        with contextlib.suppress(OSError):
            _context(to.tls)
    match to.kind:
        case "single":
            return Single(_pool(to, to.addresses[0]))
        case "sentinel":
            sentinels = [lambda address=address: _to_sentinel(to, address) for address in to.addresses]
            return Watched(sentinels, to.master, lambda address: _pool(to, address))
        case "cluster":
            return Cluster(to.addresses, lambda address: _pool(to, address))


def _pool(to: RedisUrl, address: Address) -> Pool:
    return Pool(lambda: _connection(to.tls, address, db=to.db, username=to.username, password=to.password))


def _to_sentinel(to: RedisUrl, address: Address) -> "Connection":
    return _connection(to.tls, address, username=to.sentinel_username, password=to.sentinel_password)


def _connection(tls: Tls | None, address: Address, **more: Any) -> "Connection":  # noqa: ANN401
    from redis.asyncio.connection import AbstractConnection, Connection  # noqa: PLC0415  (an optional dependency)
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    more |= {
        "host": address.host,
        "port": address.port,
        # With the newer one, the package takes pushes for an excuse to read on from an answer that nobody
        # asked for.
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        # None: what may be sent again, `Pool` knows.
        "retry": Retry(NoBackoff(), 0),
    }
    # To tell the server who we are would be a round trip more, in the time that a request waits. redis-py 8
    # has another name for that.
    known = _parameters(AbstractConnection)
    more |= {"driver_info": None} if "driver_info" in known else {"lib_name": None, "lib_version": None}
    if tls is None:
        return Connection(**more)
    return _with_tls(tls, more)


def _with_tls(tls: Tls, arguments: dict[str, Any]) -> "Connection":
    from redis.asyncio.connection import SSLConnection  # noqa: PLC0415  (an optional dependency)

    connection = SSLConnection(**arguments)
    # One for all: to make one reads all the authorities that the system trusts.
    connection.ssl_context.context = _context(tls)
    return connection


@lru_cache(maxsize=4)
def _context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError, of which SSLError is one."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.check_hostname = tls.checks_hostname
    context.verify_mode = ssl.CERT_REQUIRED if tls.checks_certificate else ssl.CERT_NONE
    if tls.certificate_file is not None:
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    return context


@lru_cache(maxsize=1)
def _parameters(kind: type) -> frozenset[str]:
    return frozenset(signature(kind).parameters)
