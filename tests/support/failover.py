"""Two PostgreSQL servers, of which one takes over from the other."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.support.postgres import PostgresServer
from tests.support.processes import wait_until
from tests.support.proxy import Proxy

TIMEOUT_S = 30.0


class Pair:
    """A primary and a standby that has each commit before it is told of, each behind a proxy."""

    def __init__(self) -> None:
        """Starts them."""
        self._stack = ExitStack()
        try:
            self.primary = self._stack.enter_context(PostgresServer(durable=True))
            self.database = self.primary.new_database()
            self.standby = self._stack.enter_context(self.primary.standby())
            self.proxies = [
                self._stack.enter_context(Proxy(server.port)) for server in (self.primary, self.standby)
            ]
            self._follow()
        except BaseException:
            self._stack.close()
            raise
        ports = [proxy.port for proxy in self.proxies]
        self.url = self.primary.failover_url(self.database, ports)
        """By the proxies: of whichever takes writes."""
        self.direct_url = self.primary.failover_url(self.database, [self.primary.port, self.standby.port])

    def _follow(self) -> None:
        query = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        wait_until(lambda: self.primary.ask(query) == [(1,)], "the standby follows", timeout_s=TIMEOUT_S)
        self.primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.ask("SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        wait_until(lambda: self.primary.ask(query) == [(1,)], "it is waited for", timeout_s=TIMEOUT_S)

    def fail_over(self) -> None:
        """The primary's machine is gone, and the standby takes over."""
        self.primary.kill()
        self.standby.promote()

    def slow_down(self, delay_s: float) -> None:
        """Each piece of data takes so long, in either direction."""
        for proxy in self.proxies:
            proxy.delay_s = delay_s

    def __enter__(self) -> Self:
        """Already started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End them."""
        self._stack.close()
