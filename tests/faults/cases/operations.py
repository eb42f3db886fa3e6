"""Faults 33 to 40: what happens to the gateway itself."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.faults.case import case
from tests.faults.cases.upstream import answered_by, broken_off, failed, ms
from tests.faults.client import Connection, Seen
from tests.faults.panicking import MARK
from tests.faults.reconcile import Account, reconcile
from tests.faults.rig import REDIS, Rig, Setup, descriptors, wait_for
from tests.faults.script import Act

DAY_S = 86_400


async def open_streams(rig: Rig, model: str, act: Act, count: int) -> list[tuple[Connection, Seen]]:
    """Streams that have begun, each on a connection of its own."""
    pairs = []
    for _ in range(count):
        connection = await rig.client.connect()
        seen = await rig.client.begin(connection, model, act)
        await connection.head(seen)
        await connection.rest(seen, frames=1)
        pairs.append((connection, seen))
    return pairs


async def read_to_end(pairs: list[tuple[Connection, Seen]]) -> None:
    """The rest of these streams, all at once. Not verified."""
    await asyncio.gather(*(connection.rest(seen) for connection, seen in pairs))
    for connection, _ in pairs:
        await connection.close()


DRAIN = Setup(server="drain_timeout_s = 3", idle_timeout_s=30, own=True)


@case(33, "SIGTERM mid-stream", "readiness off, streams finish, the rest get an error frame in time", DRAIN)
async def stop_in_the_middle(rig: Rig) -> str:
    short = await open_streams(rig, "solo-33", Act(events=20, delay_ms=50), 8)
    endless = await open_streams(rig, "solo-33", Act(events=3000, delay_ms=50), 8)
    probe = await rig.client.connect()
    begun = time.monotonic()
    rig.gateway.process.terminate()

    async def not_ready() -> bool:
        # On a connection that was open before; once that is closed, a new one must be refused.
        seen = Seen("readyz", stream=False, sent_s=time.monotonic(), counted=False)
        try:
            await probe.send(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
            await probe.read_answer(seen)
            return seen.status == 503 or (await rig.client.get("/readyz")).status == 503
        except ConnectionRefusedError:
            return True
        except ConnectionError:
            return False

    off_s = await wait_for(not_ready, "readiness goes off", timeout_s=10)
    await read_to_end([*short, *endless])
    for _, seen in short:
        seen.verify()
        answered_by(seen, "a")
    for _, seen in endless:
        seen.verify()
        broken_off(seen, events=seen.events)
        assert seen.code == "overloaded", seen.error
        assert seen.events > 20, "ended before the deadline"
    status = await asyncio.to_thread(rig.gateway.process.process.wait, 15)
    took = time.monotonic() - begun
    assert status == 0, status
    (await ledgers(rig)).check()
    return (
        f"not ready after {ms(off_s)}, 8 streams whole, 8 with an error frame; "
        f"ended after {took:.1f} s (drain_timeout 3 s)"
    )


async def ledgers(rig: Rig) -> Account:
    """The three ledgers of a rig whose gateway may have ended."""
    return reconcile(rig.client.seen, await rig.rows(), await rig.exchanges())


KILL = Setup(workers=2, idle_timeout_s=30, more='[ledger]\ndurability = "strict"', own=True)


@case(34, "worker killed", "others unaffected, respawned, ledger reconciled", KILL)
async def worker_killed(rig: Rig) -> str:
    answered = [answered_by(await rig.client.ask("solo-34", Act()), "a") for _ in range(20)]
    pairs = await open_streams(rig, "solo-34", Act(events=60, delay_ms=50), 24)
    before = rig.workers()
    # Requests that end all the while: what the client saw end well must be in the ledger, however soon after
    # it the worker dies.
    churn = asyncio.create_task(_churn(rig))
    await asyncio.sleep(0.5)
    os.kill(before[0], signal.SIGKILL)

    async def respawned() -> bool:
        now = rig.workers()
        return len(now) == 2 and before[0] not in now

    respawning = asyncio.create_task(wait_for(respawned, "a new worker", timeout_s=20))
    await read_to_end(pairs)
    took = await respawning
    answered += await churn
    dead = [seen for _, seen in pairs if not seen.whole]
    alive = [seen for _, seen in pairs if seen.whole]
    assert alive, "no stream was on the other worker; or it died too"
    assert before[1] in rig.workers(), "the other worker died too"
    for seen in dead:
        seen.left = True  # its connection broke; what it got must be a prefix all the same
        seen.verify()
    for seen in alive:
        seen.verify()
        answered_by(seen, "a")
    for _ in range(20):
        answered.append(answered_by(await rig.client.ask("solo-34", Act()), "a"))
    wanted = {seen.request_id for seen in [*answered, *alive]}
    ids: list[str] = []

    async def complete() -> bool:
        ids[:] = [row["request_id"] for row in await rig.rows()]
        return wanted <= set(ids)

    with contextlib.suppress(TimeoutError):
        await wait_for(complete, "the ledger is reconciled", timeout_s=10)
    missing = wanted - set(ids)
    assert not missing, f"{len(missing)} of {len(wanted)} answered requests are not in the ledger"
    assert len(ids) == len(set(ids)), "a request is in the ledger twice"
    return (
        f"{len(dead)} streams of the killed worker broke, {len(alive)} of the other went on; "
        f"new worker after {took:.1f} s; all {len(wanted)} answered requests in the ledger, once each"
    )


async def _churn(rig: Rig) -> list[Seen]:
    """Ask until a second has passed; those that were answered."""
    answered = []
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        try:
            seen = await rig.client.ask("solo-34", Act(events=2))
        except (AssertionError, OSError):
            continue  # the killed worker's
        if seen.completed:
            answered.append(seen)
    return answered


PANIC = Setup(program="tests.faults.panicking")


@case(35, "Rust panic", "one 500; the worker goes on", PANIC)
async def panic(rig: Rig) -> str:
    [(connection, beside)] = await open_streams(rig, "solo-35", Act(events=20, delay_ms=20), 1)
    pid = rig.workers()
    for _ in range(5):
        body = b'{%b, "model": "solo-35", "messages": [{"role": "user", "content": "x"}]}' % MARK
        seen = await rig.client.post(body)
        seen.verify()
        failed(seen, 500, "internal_error")
        answered_by(await rig.client.ask("solo-35", Act()), "a")
    await read_to_end([(connection, beside)])
    beside.verify()
    answered_by(beside, "a")
    assert rig.workers() == pid, "the worker died"
    return "5 panics in the scanner: 500 each; a stream beside them and the next requests unharmed"


@case(36, "bad config at reload", "the old one is kept, the fault shown", Setup(own=True, workers=2))
async def bad_reload(rig: Rig) -> str:
    [(connection, beside)] = await open_streams(rig, "solo-36", Act(events=60, delay_ms=50), 1)
    good = rig.gateway.config.read_text("utf-8")
    faults = {
        "no TOML": "[server\n",
        "an unknown key": good.replace("[store]", "[store]\nnonsense = 1"),
        "a model without its upstream": good + '\n[[models]]\nid = "lost"\nupstream = "nobody"\n',
    }
    for name, text in faults.items():
        rig.gateway.config.write_text(text, "utf-8")
        status, output = await rig.reload()
        assert status != 0, f"{name}: taken over"
        assert "fault" in output, f"{name}: {output}"
        for _ in range(6):  # either worker
            answered_by(await rig.client.ask("solo-36", Act()), "a")
    more = '\n[[models]]\nid = "newcomer"\nupstream = "a"\nthinking = "native"\n'
    rig.gateway.config.write_text(good + more, "utf-8")
    begun = time.monotonic()
    status, output = await rig.reload()
    took = time.monotonic() - begun
    assert status == 0, output
    for _ in range(12):
        answered_by(await rig.client.ask("newcomer", Act()), "a")
    await read_to_end([(connection, beside)])
    beside.verify()
    answered_by(beside, "a")
    (await rig.account()).check()
    return (
        f"{len(faults)} bad configs refused with their faults; a good one in force after {ms(took)}; "
        "a stream went on"
    )


STORE = Setup(own=True)


@case(37, "database locked, full, gone", "served from the key cache, usage journalled, alarm raised", STORE)
async def store_faults(rig: Rig) -> str:
    answered_by(await rig.client.ask("solo-37", Act()), "a")
    figures = []
    for name, fault in {"locked": _locked, "full": _full, "gone": _gone}.items():
        with fault(rig):
            took = []
            begun = time.monotonic()
            while time.monotonic() - begun < 2.5:
                seen = answered_by(await rig.client.ask("solo-37", Act()), "a")
                took.append(seen.took_s)

            async def alarmed() -> bool:
                ready = await rig.client.get("/readyz")
                return b"warnings" in ready.body or b"problems" in ready.body

            if name != "gone":  # an open database file may be moved without anyone noticing
                await wait_for(alarmed, f"/readyz says that the database is {name}", timeout_s=10)
        figures.append(f"{name}: {len(took)} requests served, p50 {ms(statistics.median(took))}")

    async def well() -> bool:
        return b'"ok"' in (await rig.client.get("/readyz")).body

    await wait_for(well, "the alarm ends", timeout_s=20)
    account = await rig.account()
    account.check()
    return f"{'; '.join(figures)}; afterwards {account.requests} rows, none lost or doubled"


@contextlib.contextmanager
def _locked(rig: Rig) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(rig.gateway.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def _full(rig: Rig) -> Iterator[None]:
    """A limit on the size of files is what a full disk looks like to SQLite. It holds for the journal too."""
    [pid] = rig.workers()
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    with contextlib.closing(sqlite3.connect(rig.gateway.database)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _gone(rig: Rig) -> Iterator[None]:
    names = [rig.gateway.database, *rig.gateway.database.parent.glob(f"{rig.gateway.database.name}-*")]
    away = [name.with_name(f"away-{name.name}") for name in names]
    for name, other in zip(names, away, strict=True):
        name.rename(other)
    try:
        yield
    finally:
        for name, other in zip(names, away, strict=True):
            other.rename(name)


TOOLS = Setup(own=True, more=f'[cache]\nurl = "redis://127.0.0.1:{REDIS}/0"')


@case(38, "Redis gone", "the documented mode: requests go on without it", TOOLS)
async def redis_gone(rig: Rig) -> str:
    user = {"role": "user", "content": "Speak."}

    async def converse() -> tuple[bool, float]:
        """A tool call and its follow-up: whether its reasoning reached the upstream; how long it took."""
        call = await rig.client.ask("restoring", Act(calls_tool=True), stream=False)
        assert call.completed, call.error
        message = json.loads(call.body)["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "1"}
        follow = await rig.client.ask("restoring", Act(), messages=[user, message, result])
        answered_by(follow, "a")
        [exchange] = await rig.exchanges_of(follow)
        return exchange.restored, call.took_s + follow.took_s

    async def restored() -> bool:
        return (await converse())[0]

    assert rig.redis
    there = [await converse() for _ in range(10)]
    assert all(back for back, _ in there), "the reasoning of a tool call does not come back"
    rig.redis.kill()
    gone = [await converse() for _ in range(20)]
    assert not any(back for back, _ in gone), "it comes back from where?"
    failed_lookups = (await rig.metrics())['llmgw_reasoning_turns_total{outcome="failed"}']
    rig.redis.start()
    again_s = await wait_for(restored, "reasoning comes back again")
    (await rig.account()).check()
    worst_s = max(took for _, took in gone)
    assert worst_s < 5, f"a request waited {worst_s:.1f} s for Redis"
    with_s, without_s = (statistics.median(took for _, took in turns) for turns in (there, gone))
    return (
        f"two turns: p50 {ms(with_s)} with Redis, {ms(without_s)} without (at most {ms(worst_s)}), none "
        f"failed, {failed_lookups:.0f} turns counted; restored again {ms(again_s)} after it is back"
    )


CLOCK = Setup(own=True, fake_clock=True)


@case(39, "clock jump", "monotonic timers", CLOCK)
async def clock_jump(rig: Rig) -> str:
    rows: list[dict[str, Any]] = []
    for jump in (DAY_S, -DAY_S):
        pairs = await open_streams(rig, "solo-39", Act(events=30, delay_ms=50), 4)
        stalled = await open_streams(rig, "solo-39", Act(end="stall"), 2)
        begun = time.monotonic()
        rig.jump_clock(jump)
        await read_to_end([*pairs, *stalled])
        took = time.monotonic() - begun
        for _, seen in pairs:
            seen.verify()
            answered_by(seen, "a")
        for _, seen in stalled:
            seen.verify()
            assert broken_off(seen, events=6).code == "upstream_timeout"
            assert rig.setup.idle_timeout_s - 0.5 < seen.took_s < rig.setup.idle_timeout_s + 4, seen.took_s
        assert took < 10
        for _, seen in [*pairs, *stalled]:
            assert seen.request_id is not None
            rows.append(row := await asyncio.to_thread(rig.gateway.ledger, seen.request_id))
            assert 0 <= row["total_s"] < 10, row["total_s"]
    # The clock did jump, as the gateway sees it.
    rig.jump_clock(DAY_S)
    seen = answered_by(await rig.client.ask("solo-39", Act()), "a")
    assert seen.request_id is not None
    row = await asyncio.to_thread(rig.gateway.ledger, seen.request_id)
    ahead = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC) - datetime.now(UTC)
    assert 0.9 * DAY_S < ahead.total_seconds() < 1.1 * DAY_S, ahead
    # A cool-down is not over because somebody set the clock.
    limited = Act(head="status", status=429, retry_after_s=30)
    answered_by(await rig.client.ask("pair-39", {"a": limited, "b": Act()}), "b")
    rig.jump_clock(-DAY_S)
    for _ in range(3):
        answered_by(await rig.client.ask("pair-39", Act()), "b")
    (await rig.account()).check()
    return f"±1 day in the middle of {len(rows)} streams: none broke, idle time-outs on time, durations right"


FILES = Setup(own=True)


@case(40, "no file descriptors left, DNS failure", "shed, recover", FILES)
async def no_descriptors(rig: Rig) -> str:
    alone = await rig.client.ask("only-nowhere-40", Act())
    assert alone.status in (502, 504), alone.error  # a resolver may be slower than connect_timeout
    helped = answered_by(await rig.client.ask("nowhere-40", Act()), "b")
    before = await rig.baseline()
    [pid] = rig.workers()
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = [await rig.client.connect() for _ in range(20)]
    for connection in held:  # each is accepted, and keeps its descriptor
        answered_by(await rig.client.ask("solo-40", Act(), connection=connection), "a")
    used = rig.resources()
    open_in_worker = descriptors(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_in_worker, limits[1]))
    await rig.close_idle()
    try:
        newcomers = [await rig.client.connect() for _ in range(40)]
        act = Act(events=10, delay_ms=20)
        crowd = await asyncio.gather(
            *(rig.client.ask("solo-40", act, connection=connection) for connection in held)
        )
        for connection in newcomers:
            connection.leave()
        states = sorted({(seen.status, seen.code) for seen in crowd}, key=str)
        assert all(status in (200, 502, 503) for status, _ in states), states
        shed = sum(seen.status != 200 for seen in crowd)
        # Still short of descriptors, but no more than is needed: it serves again.
        for connection in held:
            await connection.close()
        begun = time.monotonic()
        await wait_for(_answers(rig), "it serves again", timeout_s=15)
        took = time.monotonic() - begun
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    for _ in range(10):
        answered_by(await rig.client.ask("solo-40", Act()), "a")
    assert rig.workers() == [pid], "the worker died"
    (await rig.account()).check()
    after = await rig.settle(before)
    return (
        f"DNS: {alone.status} alone, fallback after {ms(helped.took_s)}; descriptors: {shed} of {len(crowd)} "
        f"shed, serving {ms(took)} after their release; {used.descriptors} → {after.descriptors}"
    )


def _answers(rig: Rig) -> Callable[[], Any]:
    async def answers() -> bool:
        try:
            async with asyncio.timeout(2):
                return (await rig.client.get("/healthz")).status == 200
        except (OSError, TimeoutError, AssertionError):
            return False

    return answers
