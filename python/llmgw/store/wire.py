"""Connections to a PostgreSQL server of which every wait has an end.

libpq and the driver wait without one for the answer to a statement. A server that is stopped, or behind a
network that drops everything, still acknowledges what it is sent, so that TCP's own timeouts don't help.
"""

import select
import time
from typing import Any, Final, TypeVar

import psycopg
from psycopg import conninfo
from psycopg.abc import Buffer, PQGen
from psycopg.types.string import StrDumperUnknown
from psycopg.waiting import Ready, Wait

from llmgw.config import POSTGRESQL_PREFIX
from llmgw.errors import LlmgwError
from llmgw.store.arrays import storable

CONNECT_TIMEOUT_S: Final = 2
"""For each address of each host of the URL. The driver takes whole seconds."""

STATEMENT_TIMEOUT_S: Final = 5.0
"""How long a statement may take until its connection is given up."""

_DEFAULTS: Final[dict[str, str | int]] = {
    "fallback_application_name": "llmgw",
    "connect_timeout": CONNECT_TIMEOUT_S,
    # A connection whose other end is gone without a word is noticed.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": int(STATEMENT_TIMEOUT_S * 1000),
    # It would be tried before each connection, wherever the system has Kerberos tickets.
    "gssencmode": "disable",
}
"""Of what the URL does not say."""
_EVENTS: Final = {
    Wait.R: select.POLLIN,
    Wait.W: select.POLLOUT,
    Wait.RW: select.POLLIN | select.POLLOUT,
}
_T = TypeVar("_T")


class StatementTimeoutError(LlmgwError, psycopg.OperationalError):
    """The server did not answer in time. Its connection is closed; what it was told to do may be done."""


class Connection(psycopg.Connection[Any]):
    """A connection that gives up a statement after `deadline_s`, and itself with it."""

    deadline_s: float = STATEMENT_TIMEOUT_S

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401  (the driver's own)
        """Run one of the driver's generators to its end. All its operations come through here.

        Raises StatementTimeoutError. With more arguments, the driver has a deadline of its own.
        """
        if args or kwargs:
            return super().wait(gen, *args, **kwargs)
        try:
            return _run(gen, self.pgconn.socket, time.monotonic() + self.deadline_s)
        except (TimeoutError, KeyboardInterrupt) as error:
            # An answer that comes later would be taken for that of the next statement.
            self.close()
            if isinstance(error, KeyboardInterrupt):
                raise
            message = f"the server did not answer within {self.deadline_s:g} s"
            raise StatementTimeoutError(message) from None


def _run(gen: PQGen[_T], socket: int, give_up_s: float) -> _T:
    """The generator says what of the socket it waits for. Raises TimeoutError."""
    poll = select.poll()
    try:
        poll.register(socket, _EVENTS[next(gen)])
        while True:
            left_s = give_up_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            if found := poll.poll(None if left_s == float("inf") else left_s * 1000):
                poll.modify(socket, _EVENTS[gen.send(_ready(found[0][1]))])
    except StopIteration as end:
        result: _T = end.value
        return result


class _TextDumper(StrDumperUnknown):
    """PostgreSQL has U+0000 in no text. It is replaced, so that no row is refused for it."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(storable(obj))


def _ready(events: int) -> Ready:
    """An error is for both to find out."""
    readable, writable = events & ~select.POLLOUT, events & ~select.POLLIN
    if readable and writable:
        return Ready.RW
    return Ready.R if readable else Ready.W


def connect(parameters: dict[str, Any]) -> Connection:
    """Open a connection in which each transaction is begun by a statement of ours. Raises psycopg.Error."""
    connection = Connection.connect(**parameters, autocommit=True, prepare_threshold=None)
    connection.adapters.register_dumper(str, _TextDumper)
    return connection


def parameters_of(url: str) -> dict[str, Any]:
    """What libpq is to be told, of `postgresql+psycopg://…`. Raises psycopg.ProgrammingError."""
    return {
        **_DEFAULTS,
        **conninfo.conninfo_to_dict("postgresql://" + url.removeprefix(POSTGRESQL_PREFIX)),
        "client_encoding": "UTF8",  # else a database of another one is read as bytes, or loses characters
    }


def shown(url: str) -> str:
    """The URL with hosts, user and database, and without all else: a password may be anywhere in the rest."""
    found = conninfo.conninfo_to_dict("postgresql://" + url.removeprefix(POSTGRESQL_PREFIX))
    user = f"{found['user']}@" if found.get("user") else ""
    hosts = str(found.get("host") or found.get("hostaddr") or "").split(",")
    ports = str(found.get("port") or "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places = (f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False))
    return f"{POSTGRESQL_PREFIX}{user}{','.join(places)}/{found.get('dbname') or ''}"
