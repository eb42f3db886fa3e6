"""Two gateways of two workers each, as on two machines; one database, one Redis, and nginx in front."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from sqlalchemy import inspect, select

from llmgw.store import LedgerRow, Store, open_store
from tests.cluster import guard
from tests.cluster.balancer import Balancer
from tests.cluster.machine import Machine
from tests.faults.chaos import PYTHONPATH, Chaos
from tests.faults.reconcile import PER_INPUT, PER_OUTPUT
from tests.faults.rig import wait_for
from tests.faults.script import KEY_PREFIX
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

MACHINES: Final = ("left", "right")
WORKERS: Final = 2
UPSTREAMS: Final = ("a", "b")
STOP_DELAY_S: Final = 2
DRAIN_TIMEOUT_S: Final = 10
QUIET_TIMEOUT_S: Final = 30.0
CALM_TIMEOUT_S: Final = 30.0
_MODELS: Final = {
    "even": 'targets = [{upstream = "a"}, {upstream = "b"}]',
    "broken": 'targets = [{upstream = "a"}, {upstream = "b"}]',
    "merged": 'upstream = "a"\nupstream_stream = "always"',
    "pair": 'targets = [{upstream = "a"}, {upstream = "b", priority = 2}]',
    "metered": 'targets = [{upstream = "a"}, {upstream = "b"}]',
    "paid": 'targets = [{upstream = "a"}, {upstream = "b"}]',
}
"""Each with targets of its own, so that none cools down those of another."""


@dataclass(frozen=True)
class Setup:
    """What the gateways are made with."""

    durability: Literal["strict", "relaxed"] = "strict"
    database: Literal["postgresql", "sqlite"] = "postgresql"


@dataclass
class Cluster:
    """Use `running`."""

    folder: Path
    setup: Setup
    chaos: Chaos
    redis: RedisServer
    postgres: PostgresServer | None
    store_url: str
    store: Store
    """The test's own access to the database."""
    machines: list[Machine]
    balancer: Balancer
    kills: list[tuple[float, int]] = field(default_factory=list)
    """When a process of a gateway was killed, and the gateway's port."""
    _last_row: int = 0
    _exchanges_before: int = 0

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, setup: Setup) -> Iterator[Self]:
        """Start everything, and end everything whatever happens."""
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(_guarded(folder.resolve()))
            chaos = stack.enter_context(Chaos.running(folder, UPSTREAMS))
            redis = stack.enter_context(RedisServer(folder))
            postgres = None
            url = f"sqlite:///{folder}/shared.db"
            if setup.database == "postgresql":
                postgres = stack.enter_context(PostgresServer(durable=True))
                url = postgres.url(postgres.new_database())
            store = open_store(url)
            stack.callback(store.close)
            text = config_text(setup, url, redis.url, chaos)
            env = PYTHONPATH | {_key_variable(name): f"{KEY_PREFIX}{name}" for name in UPSTREAMS}
            machines = []
            for name in MACHINES:
                machine = Machine(name, folder / name, text, env)
                machine.start()
                stack.callback(machine.kill)
                machines.append(machine)
            for machine in machines:
                machine.wait_ready()
            (folder / "nginx").mkdir()
            balancer = Balancer(folder / "nginx", [machine.port for machine in machines])
            stack.callback(balancer.kill)
            yield cls(folder, setup, chaos, redis, postgres, url, store, machines, balancer)

    # What happens to it.

    def kill(self, machine: Machine) -> None:
        """End a whole gateway, and remember when."""
        self.kills.append((time.monotonic(), machine.port))
        machine.kill()

    async def calm(self) -> float:
        """Wait until both gateways have nothing to say, their journals are empty; seconds that took."""
        troubles: list[str] = []

        async def none() -> bool:
            nonlocal troubles
            troubles = await asyncio.to_thread(self._troubles)
            return not troubles

        try:
            return await wait_for(none, "all is well", timeout_s=CALM_TIMEOUT_S, interval_s=0.25)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {'; '.join(troubles)}") from None

    def _troubles(self) -> list[str]:
        return [trouble for machine in self.machines for trouble in machine.troubles()]

    async def quiet(self) -> None:
        """Wait until nothing is under way any more. Raises TimeoutError."""

        async def upstream_quiet() -> bool:
            return (await self.chaos.state())["open"] == 0

        async def gateways_quiet() -> bool:
            return await asyncio.to_thread(self._in_flight) == 0

        await wait_for(upstream_quiet, "every exchange with the upstream ends", timeout_s=QUIET_TIMEOUT_S)
        await wait_for(gateways_quiet, "no request is in flight", timeout_s=QUIET_TIMEOUT_S)

    def _in_flight(self) -> float:
        return sum(machine.metrics().get("llmgw_requests_in_flight", 0) for machine in self.machines)

    # What it has written.

    def logs(self) -> list[str]:
        """Of each process of a gateway."""
        return [output for machine in self.machines for output in machine.outputs()]

    def rows(self) -> list[dict[str, Any]]:
        """The ledger since the last time."""
        columns = [column.key for column in inspect(LedgerRow).columns]
        with self.store.read() as session:
            found = session.execute(
                select(*(getattr(LedgerRow, name) for name in columns))
                .where(LedgerRow.id > self._last_row)
                .order_by(LedgerRow.id)
            )
            rows = [dict(zip(columns, row, strict=True)) for row in found]
        self._last_row = max((row["id"] for row in rows), default=self._last_row)
        return rows

    async def exchanges(self) -> list[Any]:
        """The upstream's ledger since the last time."""
        found = await self.chaos.exchanges(since=self._exchanges_before)
        self._exchanges_before += len(found)
        return found


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Whatever ends this process, those that work in the folder end too."""
    command = [sys.executable, guard.__file__, str(folder)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert started.stdin is not None
    try:
        yield
    finally:
        started.stdin.close()
        started.wait()


def config_text(setup: Setup, store_url: str, redis_url: str, chaos: Chaos) -> str:
    """The config of every machine."""
    parts = [
        f"[server]\nworkers = {WORKERS}\nstop_delay_s = {STOP_DELAY_S}\ndrain_timeout_s = {DRAIN_TIMEOUT_S}",
        f'[store]\nurl = "{store_url}"',
        f'[ledger]\ndurability = "{setup.durability}"\njournal = "journal"',
        f"[limits]\nmachines = {len(MACHINES)}",
        f'[cache]\nurl = "{redis_url}"',
    ]
    # Time-outs that a busy machine does not reach by itself.
    timeouts = "connect_timeout_s = 5\nfirst_event_timeout_s = 20\nidle_timeout_s = 20\ntotal_timeout_s = 60"
    parts += [
        f'[upstreams.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        f'api_key = "env:{_key_variable(name)}"\n{timeouts}'
        for name, port in chaos.ports.items()
    ]
    price = f"price = {{input = {PER_INPUT / 1000}, output = {PER_OUTPUT / 1000}}}"
    parts += [
        f'[[models]]\nid = "{name}"\nupstream_model = "chaos-{name}"\nthinking = "native"\n{price}\n{where}'
        for name, where in _MODELS.items()
    ]
    return "\n\n".join(parts) + "\n"


def _key_variable(upstream: str) -> str:
    return f"CHAOS_KEY_{upstream.upper()}"
