"""How a change of keys is seen within milliseconds on PostgreSQL: the server tells who listens.

One connection is kept for it, which also reads: so an idle worker has this one only.
"""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psycopg
from sqlalchemy import event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from llmgw.store.engine import Watch
from llmgw.store.sql import CHANNEL
from llmgw.store.wire import Connection

if TYPE_CHECKING:
    from llmgw.store.postgres import PostgresStore

_IS_LISTENING: Final = text("SELECT count(*) FROM pg_listening_channels()")


class PostgresWatch(Watch):
    """Listens on its own connection, once `read` was called. While that is broken, it can only wait."""

    def __init__(self, store: "PostgresStore") -> None:
        self._postgres = store
        self._engine = store.make_engine(spare=0)
        event.listen(self._engine, "connect", self._listen)
        self._connection: Connection | None = None
        self._is_told = False
        self._told = False  # since the last read began
        self._wakes, self._waker = os.pipe()

    @property
    def is_told(self) -> bool:
        """False behind a proxy that gives each transaction another connection of its own."""
        return self._is_told

    @contextmanager
    def read(self) -> Iterator[Session]:
        """As `Store.read`, on the connection that listens."""
        self._is_told = self._told = False
        with self._postgres.read_by(self._engine) as session:
            yield session
            self._is_told = session.scalar(_IS_LISTENING) == 1
        self._postgres.close_idle()

    def wait(self, timeout_s: float) -> None:
        """Until the server tells of a change, or ends the connection."""
        until_s = time.monotonic() + timeout_s
        connection = self._connection
        poll = select.poll()
        poll.register(self._wakes, select.POLLIN)
        if self._is_told and connection is not None and not connection.closed:
            poll.register(connection.fileno(), select.POLLIN)
        while not self._told and (left_s := until_s - time.monotonic()) > 0:
            for file, _ in poll.poll(left_s * 1000):
                if file == self._wakes or connection is None:
                    return
                self._take(connection)

    def _take(self, connection: Connection) -> None:
        """What the server has sent by itself."""
        try:
            connection.pgconn.consume_input()
            while connection.pgconn.notifies() is not None:
                self._told = True
        except psycopg.Error:  # it was ended, so a change may have been missed
            connection.close()
            self._is_told, self._told = False, True

    def wake(self) -> None:
        """Let `wait` return at once, now and later."""
        os.write(self._waker, b"x")

    def close(self) -> None:
        """Close the connection. Not while another thread waits."""
        self._engine.dispose()
        self._is_told = False
        for file in (self._wakes, self._waker):
            with suppress(OSError):
                os.close(file)

    def _listen(self, connection: Connection, _record: ConnectionPoolEntry) -> None:
        connection.add_notify_handler(self._notice)  # of what comes with the answer to a statement
        connection.execute(f"LISTEN {CHANNEL}".encode())
        self._connection = connection

    def _notice(self, _: psycopg.Notify) -> None:
        self._told = True
