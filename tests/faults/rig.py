"""A gateway and its chaos upstream as real processes, and what can be asked about both."""

import asyncio
import contextlib
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from llmgw.access.settings import BudgetSetting, LimitChange
from tests.faults.chaos import PYTHONPATH, Chaos
from tests.faults.client import Client, Seen
from tests.faults.reconcile import PER_INPUT, PER_OUTPUT, Account, reconcile
from tests.faults.script import KEY_PREFIX, Act, Exchange
from tests.faults.upstream import EARLY_REFUSAL, EARLY_STREAM
from tests.support.failover import Pair
from tests.support.gateway import SQLITE_URL, Gateway
from tests.support.processes import free_port, worker_pids
from tests.support.redis import RedisServer
from tests.support.redis_topologies import Sentinels

UPSTREAMS = ("a", "b", EARLY_STREAM, EARLY_REFUSAL)
_NAMES = (*UPSTREAMS, "refused", "blackhole", "nowhere")
CASES = (*range(41), 48, 52)
"""Those that have models of their own in the common config."""
SETTLE_TIMEOUT_S = 15.0
LEDGER_TIMEOUT_S = 10.0
"""Rows come late while the database is locked."""
POLL_INTERVAL_S = 0.02
RETRY_CREDIT = 40
"""Good requests before a case: worth eight retries."""
REDIS = "REDIS-PORT"
"""In `Setup.more`, stands for the port of a Redis, which is then started too."""
SENTINELS = "SENTINELS-URL"
"""The same for the URL of a Redis that sentinels watch."""
LIMITS = (
    LimitChange({"requests_per_minute": 10**9, "tokens_per_minute": 10**12, "concurrent_requests": 10**6}),
    LimitChange({"requests_per_minute": 10**9}, model="solo-0"),
)
BUDGETS = (BudgetSetting(10**15, "CNY", "day"), BudgetSetting(10**15, "tokens", "month", model="pair-1"))
_CLOCK_FILE = "clock"


@dataclass(frozen=True)
class Setup:
    """What a rig is made of; cases with equal setups share one."""

    workers: int = 1
    first_event_timeout_s: float = 4.0
    idle_timeout_s: float = 4.0
    """Both are longer than a busy machine stands still."""
    server: str = "body_timeout_s = 4"
    """Further lines of `[server]`."""
    more: str = ""
    """Further tables."""
    program: str = "llmgw"
    """The module that is run in its place."""
    fake_clock: bool = False
    """Its wall clock can be made to jump."""
    governed: bool = False
    """The key has limits and budgets, so large that nothing is refused."""
    postgres: bool = False
    """Its store is a PostgreSQL with a standby."""
    own: bool = False
    """The case may stop or break it, so nobody else gets it."""


@dataclass(frozen=True)
class Resources:
    """What the gateway's processes hold."""

    descriptors: int
    threads: int
    rss_kib: int


@dataclass
class Rig:
    """Use `running`."""

    folder: Path
    setup: Setup
    chaos: Chaos
    gateway: Gateway
    client: Client
    redis: RedisServer | None
    postgres: Pair | None
    sentinels: Sentinels | None
    _last_row: int = 0
    _exchanges_before: int = 0

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, setup: Setup) -> Iterator[Self]:
        """Start everything, and end everything whatever happens."""
        folder.mkdir(parents=True, exist_ok=True)
        _raise_file_limit()
        with contextlib.ExitStack() as stack:
            hole = stack.enter_context(_full_socket())
            chaos = stack.enter_context(Chaos.running(folder, UPSTREAMS))
            config = config_text(setup, chaos.ports, hole)
            redis = stack.enter_context(RedisServer(folder)) if REDIS in config else None
            sentinels = Sentinels(stack, folder) if SENTINELS in config else None
            if redis:
                config = config.replace(REDIS, str(redis.port))
            postgres = stack.enter_context(Pair()) if setup.postgres else None
            if postgres:
                config = config.replace(SQLITE_URL, postgres.url)
            if sentinels:
                config = config.replace(SENTINELS, sentinels.url)
            env = PYTHONPATH | key_environment()
            env |= _fake_clock(folder) if setup.fake_clock else {}
            store_url = postgres.direct_url if postgres else None
            gateway = stack.enter_context(
                Gateway(folder, config, program=setup.program, env=env, store_url=store_url)
            )
            if setup.governed:
                gateway.set_limits(LIMITS, BUDGETS)
            host, port = gateway.client.base_url.host, gateway.client.base_url.port
            assert port is not None
            client = Client(host, port, gateway.key)
            yield cls(folder, setup, chaos, gateway, client, redis, postgres, sentinels)

    def jump_clock(self, seconds: int) -> None:
        """Set the gateway's wall clock forward, or back. Needs `Setup.fake_clock`."""
        clock = self.folder / _CLOCK_FILE
        ahead = struct.unpack("q", clock.read_bytes())[0] + seconds
        with clock.open("r+b") as file:  # in place: the gateway has it mapped
            file.write(struct.pack("q", ahead))

    # What the processes hold.

    def workers(self) -> list[int]:
        """The process ids of the gateway's workers, oldest first."""
        return worker_pids(self.gateway.process)

    def resources(self) -> Resources:
        """Of parent and workers together."""
        pids = [self.gateway.process.process.pid, *self.workers()]
        held = [Resources(descriptors(pid), *_status(pid)) for pid in pids]
        return Resources(
            sum(h.descriptors for h in held), sum(h.threads for h in held), sum(h.rss_kib for h in held)
        )

    # What the upstream says.

    async def state(self) -> dict[str, int]:
        """Connections, open exchanges and so on, of the chaos upstream."""
        return await self.chaos.state()

    async def exchanges(self, *, since: int = 0) -> list[Exchange]:
        """The upstream's ledger."""
        return await self.chaos.exchanges(since=since)

    async def exchanges_of(self, seen: Seen) -> list[Exchange]:
        """All that the upstream was asked for one request."""
        return await self.chaos.exchanges_of(seen.mark)

    async def asked(self, mark: str) -> None:
        """Wait until an upstream is asked for it."""

        async def known() -> bool:
            return await self.chaos.asked(mark)

        await wait_for(known, f"a request {mark} at the upstream")

    # What the gateway says.

    async def metrics(self) -> dict[str, float]:
        """Each sample by its name and labels."""
        seen = await self.client.get("/metrics")
        lines = [line for line in seen.body.decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    async def rows(self) -> list[dict[str, Any]]:
        """The gateway's ledger since the last `account`."""
        return await asyncio.to_thread(self.gateway.ledger_rows, after=self._last_row)

    async def reload(self) -> tuple[int, str]:
        """`llmgw reload`: its exit status, and what it printed."""
        command = [sys.executable, "-m", "llmgw", "reload", "--config", str(self.gateway.config)]
        env = {**os.environ, **PYTHONPATH}
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=env, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr

    async def close_idle(self) -> None:
        """The upstreams close the connections that the gateway keeps in its pools."""
        await self.chaos.close_idle()

    async def earn_retries(self) -> None:
        """Good requests: a fifth of their number is what the gateway may try again in what follows."""
        await asyncio.gather(*(self.client.ask("solo-0", Act(events=1)) for _ in range(RETRY_CREDIT)))

    # Judgements.

    async def baseline(self) -> Resources:
        """What is held by a gateway that is warm and has nothing to do."""
        for model in ("even-0", "solo-0"):
            await self.client.ask(model, Act())
        await self.account()
        looks: list[Resources] = []

        async def steady() -> bool:
            # The gateway sweeps out closed connections twice a second.
            await self.close_idle()
            looks.append(self.resources())
            return len(looks) >= _LOOKS and len({look.descriptors for look in looks[-_LOOKS:]}) == 1

        await wait_for(steady, "the gateway comes to rest", interval_s=0.1)
        return looks[-1]

    async def quiet(self) -> None:
        """Wait until nothing is under way any more. TimeoutError says what still is."""

        async def upstream_quiet() -> bool:
            return (await self.state())["open"] == 0

        async def gateway_quiet() -> bool:
            return (await self.metrics()).get("llmgw_requests_in_flight", 0) == 0

        await wait_for(upstream_quiet, "every exchange with the upstream ends")
        await wait_for(gateway_quiet, "no request is in flight")

    async def account(self) -> Account:
        """Compare the three ledgers over everything since the last call. Faults are in `Account.faults`."""
        await self.quiet()
        expected = sum(seen.counted for seen in self.client.seen)

        async def written() -> bool:
            return len(await self.rows()) >= expected

        with contextlib.suppress(TimeoutError):  # what is missing is told by name
            await wait_for(written, "the ledger is written", timeout_s=LEDGER_TIMEOUT_S, interval_s=0.1)
        rows, exchanges = await self.rows(), await self.exchanges(since=self._exchanges_before)
        account = reconcile(self.client.seen, rows, exchanges)
        account.faults += self.leaks()
        self.client.seen = []
        self._last_row = rows[-1]["id"] if rows else self._last_row
        self._exchanges_before += len(exchanges)
        return account

    def leaks(self) -> Iterator[str]:
        """Keys, of upstreams or clients, in anything that was written: logs, database, journal."""
        for path in self.folder.rglob("*"):
            if not path.is_file():
                continue
            try:
                written = path.read_bytes()
            except FileNotFoundError:  # a journal that has just been stored
                continue
            for secret in (KEY_PREFIX, self.gateway.key):
                if secret.encode() in written:
                    yield f"{path.name} holds {secret!r}"

    async def settle(self, before: Resources, *, spare_descriptors: int = 4) -> Resources:
        """Wait until descriptors and threads are back where they began; what is held then.

        `spare_descriptors`: the database may keep a few more open. TimeoutError says how many there are.
        """
        await self.quiet()
        now = self.resources()

        async def back() -> bool:
            nonlocal now
            await self.close_idle()
            now = self.resources()
            few = now.descriptors <= before.descriptors + spare_descriptors
            return few and now.threads <= before.threads + _POOL_THREADS * self.setup.workers

        try:
            await wait_for(back, "descriptors and threads are back")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {before} became {now}") from None
        return now


_LOOKS = 10
_POOL_THREADS = 34
"""asyncio's executor makes up to 32 threads at need and keeps them; so may the runtime of the exchanges."""


async def wait_for(
    condition: Callable[[], Any],
    what: str,
    *,
    timeout_s: float = SETTLE_TIMEOUT_S,
    interval_s: float = POLL_INTERVAL_S,
) -> float:
    """Poll an async condition until it holds; seconds that took. Raises TimeoutError."""
    begun = time.monotonic()
    while not await condition():
        if time.monotonic() - begun > timeout_s:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(interval_s)
    return time.monotonic() - begun


def config_text(setup: Setup, ports: Mapping[str, int], blackhole: int) -> str:
    """The whole config. Every case has models of its own, so that none cools down a target of another.

    For case N: `solo-N` (upstream a), `merged-N` (always streamed from there), `pair-N` (a, then b),
    `even-N` (a or b), `refused-N`, `blackhole-N` and `nowhere-N` (that, then b).
    """
    timeouts = (
        f"connect_timeout_s = 1\nfirst_event_timeout_s = {setup.first_event_timeout_s}\n"
        f"idle_timeout_s = {setup.idle_timeout_s}\ntotal_timeout_s = 120"
    )
    urls = {name: f"http://127.0.0.1:{port}/v1" for name, port in ports.items()}
    urls["refused"] = f"http://127.0.0.1:{free_port()}/v1"
    urls["blackhole"] = f"http://127.0.0.1:{blackhole}/v1"
    urls["nowhere"] = "http://llmgw-no-such-host.invalid/v1"
    parts = [
        f"[server]\nworkers = {setup.workers}\n{setup.server}",
        f'[store]\nurl = "{SQLITE_URL}"',
        setup.more,
    ]
    parts += [
        f'[upstreams.{name}]\nbase_url = "{url}"\napi_key = "env:{_key_variable(name)}"\n{timeouts}'
        for name, url in urls.items()
    ]
    for number in CASES:
        one = {"solo": "a", "early-stream": EARLY_STREAM, "early-refusal": EARLY_REFUSAL}
        parts += [_model(f"{name}-{number}", number, f'upstream = "{up}"') for name, up in one.items()]
        parts.append(_model(f"merged-{number}", number, 'upstream = "a"\nupstream_stream = "always"'))
        parts += [
            _model(f"{name}-{number}", number, f'targets = [{{upstream = "{first}"}}, {second}]')
            for name, first in {
                "pair": "a",
                "refused": "refused",
                "blackhole": "blackhole",
                "nowhere": "nowhere",
            }.items()
            for second in ['{upstream = "b", priority = 2}']
        ]
        parts.append(_model(f"even-{number}", number, 'targets = [{upstream = "a"}, {upstream = "b"}]'))
        parts += [
            _model(f"only-{name}-{number}", number, f'upstream = "{name}"')
            for name in ("refused", "blackhole", "nowhere")
        ]
    if "[cache]" in setup.more:
        parts.append(_model("restoring", 38, 'upstream = "a"\nrestore_reasoning = true'))
    return "\n\n".join(parts) + "\n"


def _model(model_id: str, number: int, where: str) -> str:
    price = f"price = {{input = {PER_INPUT / 1000}, output = {PER_OUTPUT / 1000}}}"
    names = f'[[models]]\nid = "{model_id}"\nupstream_model = "chaos-{number}"\nthinking = "native"'
    return f"{names}\n{price}\n{where}"


def key_environment() -> dict[str, str]:
    """What the gateway's environment holds of the upstreams' keys."""
    return {_key_variable(name): f"{KEY_PREFIX}{name}" for name in _NAMES}


def _key_variable(upstream: str) -> str:
    """The environment variable with this upstream's key: it stands in no file."""
    return f"CHAOS_KEY_{upstream.upper().replace('-', '_')}"


@contextlib.contextmanager
def _full_socket() -> Iterator[int]:
    """The port of a listener whose queue is full: the kernel drops what would connect. A black hole."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            pending = stack.enter_context(socket.socket())
            pending.setblocking(False)  # noqa: FBT003
            with contextlib.suppress(BlockingIOError):
                pending.connect(listener.getsockname())
        yield listener.getsockname()[1]


def _fake_clock(folder: Path) -> dict[str, str]:
    """Build `clock.c`; the environment in which a program has that clock."""
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)  # noqa: S607
    (folder / _CLOCK_FILE).write_bytes(struct.pack("q", 0))
    return {"LD_PRELOAD": str(library), "LLMGW_CLOCK": str(folder / _CLOCK_FILE)}


def _raise_file_limit() -> None:
    """The processes that are started inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors(pid: int) -> int:
    """How many are open in a process."""
    try:
        return sum(1 for _ in Path("/proc", str(pid), "fd").iterdir())
    except OSError:
        return 0  # it has just ended


def _status(pid: int) -> tuple[int, int]:
    """Threads and resident memory in KiB."""
    try:
        lines = Path("/proc", str(pid), "status").read_text("ascii").splitlines()
    except OSError:
        return 0, 0
    values = {
        name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.split()
    }
    return int(values["Threads"]), int(values.get("VmRSS", 0))
