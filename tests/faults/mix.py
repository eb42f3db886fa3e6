"""All faults at once, drawn at random, under load: each request is judged by its own fault."""

import asyncio
import itertools
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from tests.faults.client import Connection, Seen
from tests.faults.rig import Rig
from tests.faults.script import Act, Acts, Says
from tests.faults.upstream import CANARY
from tests.support.doors import SHOWING_REASONING, Door

USERS: Final = 24
LATE_S: Final = 20.0
"""Nothing in the mix may take longer, time-outs included."""
HELPED_AT_LEAST: Final = 0.8
"""Of the requests whose first target fails, so many are answered by the second."""
DISTURBANCE_INTERVAL_S: Final = 4.0
_LOCK_S: Final = 1.0


@dataclass
class Result:
    """What a mix came to."""

    seconds: float = 0.0
    requests: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    helped: int = 0
    unhelped: int = 0
    """First target failed, and so did the request: allowed where the budget or the cool-downs say so."""
    plain_s: list[float] = field(default_factory=list)
    """How long good answers took that were not streamed."""
    faults: list[str] = field(default_factory=list)


class User:
    """One of many clients that ask one thing after the other, each on a connection of its own."""

    def __init__(self, rig: Rig, rng: random.Random, result: Result) -> None:
        self.rig = rig
        self.client = rig.client
        self.rng = rng
        self.result = result
        self._connection: Connection | None = None

    async def run(self, deadline_s: float) -> None:
        """Until the deadline (of the monotonic clock). What goes wrong is noted; the user goes on."""
        names, weights = list(KINDS), [kind.weight for kind in KINDS.values()]
        while time.monotonic() < deadline_s:
            [name] = self.rng.choices(names, weights)
            self.result.kinds[name] += 1
            begun = time.monotonic()
            try:
                await KINDS[name].run(self)
            except (AssertionError, OSError, ValueError) as error:
                self.result.faults.append(f"{name}: {type(error).__name__}: {error}"[:500])
                await self.drop()
            if time.monotonic() - begun > LATE_S:
                self.result.faults.append(f"{name}: took {time.monotonic() - begun:.1f} s")
        await self.drop()

    async def connection(self) -> Connection:
        """The one that is open, or a new one."""
        if self._connection is None:
            self._connection = await self.client.connect()
        return self._connection

    async def drop(self) -> None:
        """Begin on a new connection."""
        if self._connection is not None:
            self._connection.leave()
            self._connection = None

    async def ask(
        self,
        model: str,
        acts: Acts,
        *,
        stream: bool = True,
        door: Door = "chat",
        **more: Any,  # noqa: ANN401 - JSON values
    ) -> Seen:
        """One request on the user's own connection."""
        connection = await self.connection()
        seen = await self.client.ask(model, acts, stream=stream, door=door, connection=connection, **more)
        assert CANARY.encode() not in seen.body, "an upstream's page is shown"
        return seen

    def some(self, **more: object) -> Act:
        """A good answer of some size and pace."""
        rng = self.rng
        shape = {
            "events": rng.randint(1, 30),
            "pad": int(2 ** rng.uniform(0, 10)),
            "delay_ms": rng.choice([0, 0, 1, 5]),
        }
        return Act(**{**shape, **more})  # type: ignore[arg-type]  # the members of Act


Kind = Callable[[User], Awaitable[None]]


@dataclass(frozen=True)
class _Weighted:
    weight: float
    run: Kind


KINDS: Final[dict[str, _Weighted]] = {}


def kind(weight: float) -> Callable[[Kind], Kind]:
    def register(run: Kind) -> Kind:
        KINDS[run.__name__] = _Weighted(weight, run)
        return run

    return register


def good(seen: Seen) -> None:
    assert seen.completed, f"status {seen.status}, error {seen.error}"


@kind(30)
async def stream(user: User) -> None:
    good(await user.ask("even-0", user.some()))


@kind(15)
async def plain(user: User) -> None:
    seen = await user.ask("even-0", user.some(), stream=False)
    good(seen)
    user.result.plain_s.append(seen.took_s)


@kind(8)
async def merged(user: User) -> None:
    good(await user.ask("merged-0", user.some(), stream=False))


@kind(12)
async def other_door(user: User) -> None:
    door, more = user.rng.choice([*SHOWING_REASONING.items()])
    says = user.rng.choice(get_args(Says))
    good(await user.ask("even-0", user.some(says=says), door=door, **more))


@kind(4)
async def other_door_whole(user: User) -> None:
    door = user.rng.choice([*SHOWING_REASONING])
    model = user.rng.choice(["even-0", "merged-0"])
    good(await user.ask(model, user.some(), stream=False, door=door))


@kind(4)
async def other_door_broken_off(user: User) -> None:
    door, more = user.rng.choice([*SHOWING_REASONING.items()])
    end = user.rng.choice(["cut", "close", "error"])
    act = user.some(end=end, says=user.rng.choice(get_args(Says)))
    seen = await user.ask("even-0", act, door=door, **more)
    assert (seen.status, seen.finish_reason) == (200, None), f"status {seen.status}"
    assert seen.error is not None, "no error event"
    assert seen.events == act.events, f"{seen.events} events of {act.events}"


@kind(2)
async def big_events(user: User) -> None:
    good(await user.ask("even-0", Act(events=3, pad=300_000)))


@kind(3)
async def odd_framing(user: User) -> None:
    good(await user.ask("even-0", user.some(framing="odd")))


@kind(0.5)
async def one_byte_chunks(user: User) -> None:
    good(await user.ask("even-0", Act(events=2, framing="bytes")))


@kind(8)
async def broken_off(user: User) -> None:
    act = user.some(end=user.rng.choice(["reset", "cut", "close", "error"]))
    seen = await user.ask("even-0", act)
    assert (seen.status, seen.finish_reason) == (200, None), f"status {seen.status}"
    assert seen.error is not None, "no error frame"
    if act.end != "reset":  # which may overtake what it follows
        assert seen.events == act.events, f"{seen.events} events of {act.events}"


@kind(0.5)
async def stalled(user: User) -> None:
    seen = await user.ask("even-0", user.some(end="stall"))
    assert (seen.status, seen.code) == (200, "upstream_timeout"), f"status {seen.status}, {seen.error}"


@kind(0.2)
async def endless_line(user: User) -> None:
    seen = await user.ask("even-0", user.some(end="endless"))
    assert (seen.status, seen.code) == (200, "upstream_error"), f"status {seen.status}, {seen.error}"


@kind(10)
async def first_target_fails(user: User) -> None:
    failing = user.rng.choice([
        Act(head="status", status=503), Act(head="status", status=500), Act(head="hang_up"),
        Act(head="error_event", status=503), Act(head="html", status=502), Act(head="garbage"),
    ])  # fmt: skip
    seen = await user.ask("pair-0", {"a": failing, "b": user.some()}, stream=user.rng.random() < 0.7)
    if seen.completed:
        assert str(seen.origin).startswith("b/"), seen.origin
        user.result.helped += 1
    else:
        assert seen.status in (502, 503), f"status {seen.status}, {seen.error}"
        user.result.unhelped += 1


@kind(1)
async def both_targets_fail(user: User) -> None:
    seen = await user.ask("pair-0", Act(head="status", status=503))
    assert (seen.status, seen.code) == (503, "overloaded"), f"status {seen.status}, {seen.error}"


@kind(3)
async def refused_by_upstream(user: User) -> None:
    seen = await user.ask("even-0", Act(head="status", status=422), stream=user.rng.random() < 0.5)
    assert seen.status == 422, f"status {seen.status}, {seen.error}"


@kind(1)
async def redirected(user: User) -> None:
    seen = await user.ask("solo-1", Act(head="redirect"))
    assert (seen.status, seen.code) == (502, "upstream_error"), f"status {seen.status}, {seen.error}"


@kind(4)
async def bad_request(user: User) -> None:
    body, status, counted = user.rng.choice([
        (b"{", 400, True), (b'{"model": "even-0"}', 400, True), (b"[" * 5000, 400, True),
        (json.dumps({"model": "nobody", "messages": [{"role": "user", "content": "x"}]}).encode(), 404, True),
        (b"{}", 401, False),
    ])  # fmt: skip
    connection = await user.connection()
    seen = user.client.note("raw", stream=False, counted=counted)
    await connection.send(user.client.head(len(body), key=None if counted else "sk-gtw-nobody"), body)
    await connection.read_answer(seen)
    seen.verify()
    assert seen.status == status, f"status {seen.status}, {seen.error}"


@kind(6)
async def gone(user: User) -> None:
    """The client leaves: right away, or after some frames, or while it waits for a whole answer."""
    streamed = user.rng.random() < 0.8
    act = user.some(delay_ms=5, first_delay_ms=50)
    connection = await user.connection()
    seen = await user.client.begin(connection, "even-0", act, stream=streamed)
    seen.left = True
    frames = user.rng.randint(0, act.events)
    if streamed and frames:
        await connection.head(seen)
        await connection.rest(seen, frames=frames)
    else:
        # Of a request that never arrived, nobody has a row.
        await user.rig.asked(seen.mark)
    await user.drop()
    if seen.status is None or seen.status == 200:
        seen.verify()


@kind(1)
async def slow_reader(user: User) -> None:
    connection = await user.client.connect(receive_buffer=4096)
    seen = await user.client.begin(connection, "even-0", Act(events=60, pad=65_536))
    await connection.head(seen)
    while not seen.whole:
        had = len(seen.body)
        await connection.rest(seen, frames=20)
        assert len(seen.body) > had or seen.whole, "the stream broke"
        await asyncio.sleep(0.2)
    await connection.close()
    seen.verify()
    good(seen)


@kind(2)
async def pipelined(user: User) -> None:
    connection = await user.connection()
    asked = [await user.client.begin(connection, "even-0", user.some(), stream=n != 1) for n in range(3)]
    for seen in asked:
        await connection.read_answer(seen)
        seen.verify()
        good(seen)


async def play(rig: Rig, *, seconds: float, seed: int, users: int = USERS, disturbed: bool = False) -> Result:
    """Run the mix. `disturbed`: the database is locked for a second, and the config reloaded, in turn."""
    result = Result()
    before = len(rig.client.seen)
    begun = time.monotonic()
    deadline = begun + seconds
    crowd = [User(rig, random.Random(f"{seed}/{n}"), result) for n in range(users)]
    tasks = [user.run(deadline) for user in crowd]
    if disturbed:
        tasks.append(_disturb(rig, deadline, result))
    await asyncio.gather(*tasks)
    result.seconds = time.monotonic() - begun
    result.requests = len(rig.client.seen) - before
    return result


async def _disturb(rig: Rig, deadline_s: float, result: Result) -> None:
    for disturbance in itertools.cycle(("lock", "reload")):
        if time.monotonic() + DISTURBANCE_INTERVAL_S > deadline_s:
            return
        await asyncio.sleep(DISTURBANCE_INTERVAL_S)
        result.kinds[disturbance] += 1
        if disturbance == "lock":
            await asyncio.to_thread(_lock, rig)
            continue
        status, output = await rig.reload()
        if status != 0:
            result.faults.append(f"reload: status {status}: {output}")


def _lock(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.gateway.database, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(_LOCK_S)
        other.execute("ROLLBACK")


def check(result: Result) -> None:
    """Raises AssertionError with what went wrong, request by request."""
    shown = "\n  ".join(result.faults[:20])
    assert not result.faults, f"{len(result.faults)} of {result.requests} requests went wrong:\n  {shown}"
    first_failed = result.helped + result.unhelped
    assert result.helped >= HELPED_AT_LEAST * first_failed, (
        f"only {result.helped} of {first_failed} requests were answered by the second target"
    )


def shares(counts: Mapping[str, int]) -> Sequence[str]:
    """For the report, most frequent first."""
    return [f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])]
