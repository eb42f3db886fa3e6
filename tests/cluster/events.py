"""What happens to the cluster under load, and what is right then."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tests.cluster.cluster import STOP_DELAY_S, WORKERS, Cluster
from tests.cluster.machine import Machine
from tests.faults.rig import wait_for

RESTART_TIMEOUT_S: Final = 30.0
_LAST_REQUESTS_S: Final = 1.0
"""After a gateway is taken out of the balancer: what its old workers have read goes there still."""

Cuts = Literal[
    "none",
    "unanswered",  # those whose answer has not begun: their connection was just being made, or was idle
    "any",
]
Run: TypeAlias = Callable[[Cluster, float], Awaitable[str]]
"""Makes it happen; the number is for how long something is away, in seconds. Returns the figure."""


@dataclass(frozen=True)
class Event:
    """One of them."""

    name: str
    what: str
    right: str
    run: Run
    cuts: Cuts = "none"
    """Which requests may break off at the moment of `Cluster.kills`."""


EVENTS: Final[dict[str, Event]] = {}


def event(what: str, right: str, *, cuts: Cuts = "none") -> Callable[[Run], Run]:
    """Register one; its name is the function's."""

    def register(run: Run) -> Run:
        name = run.__name__.replace("_", "-")
        EVENTS[name] = Event(name, what, right, run, cuts)
        return run

    return register


@event("nothing", "every request answered whole")
async def calm(_cluster: Cluster, away_s: float) -> str:
    await asyncio.sleep(away_s)
    return ""


@event("a worker is killed", "its own requests break off, no others; it is replaced", cuts="any")
async def worker_killed(cluster: Cluster, _away_s: float) -> str:
    machine = cluster.machines[0]
    before = machine.workers()
    cluster.kills.append((time.monotonic(), machine.port))
    os.kill(before[0], signal.SIGKILL)

    async def replaced() -> bool:
        now = machine.workers()
        return len(now) == WORKERS and now != before

    took_s = await wait_for(replaced, "a new worker", timeout_s=RESTART_TIMEOUT_S)
    return f"replaced after {took_s:.1f} s"


@event("a gateway is killed and started again", "its own requests break off, no others", cuts="any")
async def gateway_killed(cluster: Cluster, away_s: float) -> str:
    machine = cluster.machines[0]
    await asyncio.to_thread(cluster.kill, machine)
    await asyncio.sleep(away_s)
    return f"back after {await _start(machine):.1f} s"


@event("each gateway is restarted, one after the other", "no request is lost or broken")
async def rolling_restart(cluster: Cluster, _away_s: float) -> str:
    took = []
    for machine in cluster.machines:
        await asyncio.to_thread(cluster.balancer.reload, down=[machine.port])
        await asyncio.sleep(_LAST_REQUESTS_S)
        drained_s = await _stop(machine)
        started_s = await _start(machine)
        await asyncio.to_thread(cluster.balancer.reload)
        took.append(f"{machine.name} drained in {drained_s:.1f} s, ready {started_s:.1f} s later")
    return "; ".join(took)


@event(
    "a gateway is stopped, and the balancer finds out",
    "no answer that has begun breaks off",
    cuts="unanswered",
)
async def gateway_stopped(cluster: Cluster, away_s: float) -> str:
    """Without the `down` of `rolling_restart`."""
    machine = cluster.machines[0]
    cluster.kills.append((time.monotonic() + STOP_DELAY_S, machine.port))
    drained_s = await _stop(machine)
    await asyncio.sleep(away_s)
    return f"drained in {drained_s:.1f} s, back after {await _start(machine):.1f} s"


@event("Redis is killed and started empty", "each machine its share, then exact again")
async def redis_killed(cluster: Cluster, away_s: float) -> str:
    await asyncio.to_thread(cluster.redis.kill)
    await asyncio.sleep(away_s)
    await asyncio.to_thread(cluster.redis.start)
    return await _redis_back(cluster)


@event("Redis is stopped (SIGSTOP) for a while", "the same, and no request waits for it")
async def redis_stopped(cluster: Cluster, away_s: float) -> str:
    cluster.redis.pause()
    try:
        await asyncio.sleep(away_s)
    finally:
        cluster.redis.resume()
    return await _redis_back(cluster)


@event("PostgreSQL is killed and started again", "rows wait in the journal, each is stored once")
async def postgres_killed(cluster: Cluster, away_s: float) -> str:
    assert cluster.postgres is not None
    await asyncio.to_thread(cluster.postgres.kill)
    await asyncio.sleep(away_s)
    waiting = await _waiting_rows(cluster)
    await asyncio.to_thread(cluster.postgres.start)
    return await _stored(cluster, waiting)


@event("PostgreSQL is stopped (SIGSTOP) for a while", "the same, and no answer waits for long")
async def postgres_stopped(cluster: Cluster, away_s: float) -> str:
    assert cluster.postgres is not None
    cluster.postgres.pause()
    try:
        await asyncio.sleep(2 * away_s)
        waiting = await _waiting_rows(cluster)
    finally:
        cluster.postgres.resume()
    return await _stored(cluster, waiting)


@event(
    "a gateway is killed while PostgreSQL is gone", "its journal is replayed when it is started", cuts="any"
)
async def gateway_killed_without_postgres(cluster: Cluster, away_s: float) -> str:
    assert cluster.postgres is not None
    machine = cluster.machines[1]
    await asyncio.to_thread(cluster.postgres.kill)
    await asyncio.sleep(away_s)
    waiting = await _waiting_rows(cluster)
    await asyncio.to_thread(cluster.kill, machine)
    await asyncio.to_thread(cluster.postgres.start)
    await _start(machine)
    return await _stored(cluster, waiting)


@event("nginx gets new workers (reload)", "no request is lost or broken")
async def nginx_reloaded(cluster: Cluster, _away_s: float) -> str:
    await asyncio.to_thread(cluster.balancer.reload)
    return ""


@event("both gateways reload a changed config", "no request is lost or broken")
async def config_reloaded(cluster: Cluster, _away_s: float) -> str:
    took = []
    for machine in cluster.machines:
        text = machine.config.read_text("utf-8")
        machine.config.write_text(_toggled(text), "utf-8")
        begun_s = time.monotonic()
        status, output = await asyncio.to_thread(machine.reload)
        assert status == 0, f"{machine.name}: {output}"
        took.append(time.monotonic() - begun_s)
    return f"in force after {max(took):.1f} s"


def _toggled(text: str) -> str:
    """Another model, or without it again."""
    more = '\n[[models]]\nid = "another"\nupstream = "b"\n'
    return text.removesuffix(more) if text.endswith(more) else text + more


async def _stop(machine: Machine) -> float:
    begun_s = time.monotonic()
    status = await asyncio.to_thread(machine.stop, RESTART_TIMEOUT_S)
    assert status == 0, f"{machine.name} ended with {status}: {machine.process.output[-2000:]}"
    return time.monotonic() - begun_s


async def _start(machine: Machine) -> float:
    begun_s = time.monotonic()
    machine.start()
    await asyncio.to_thread(machine.wait_ready)
    return time.monotonic() - begun_s


async def _redis_back(cluster: Cluster) -> str:
    async def asked_again() -> bool:
        metrics = [await asyncio.to_thread(machine.metrics) for machine in cluster.machines]
        return all(each.get("llmgw_limits_redis_up") == 1 for each in metrics)

    took_s = await wait_for(asked_again, "both gateways ask Redis again", timeout_s=RESTART_TIMEOUT_S)
    return f"asked again {took_s:.1f} s after it was back"


async def _waiting_rows(cluster: Cluster) -> int:
    metrics = [await asyncio.to_thread(machine.metrics) for machine in cluster.machines]
    return int(sum(each.get("llmgw_ledger_journal_rows", 0) for each in metrics))


async def _stored(cluster: Cluster, waiting: int) -> str:
    took_s = await cluster.calm()
    return f"{waiting} rows waited in journals, stored {took_s:.1f} s after it was back"
