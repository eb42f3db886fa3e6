"""A load that checks every answer to its last byte, through the balancer."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.cluster.balancer import is_of_balancer
from tests.faults.chaos import Chaos
from tests.faults.client import Client, Connection, Seen, new_mark, request_body
from tests.faults.script import PROMPT_TOKENS, Act, Acts
from tests.support.doors import PATHS, SHOWING_REASONING, Door

PROMPT: Final = "Speak, and be brief with it!"
"""As many tokens as the upstream counts, by the gateway's estimate."""
PAID_EVENTS: Final = 20
"""Of each answer of a limited or paying key, whose `max_tokens` says so too: nothing is estimated wrong."""
PAID_TOKENS: Final = PROMPT_TOKENS + PAID_EVENTS
PAUSE_S: Final = 0.3
"""Of who was refused, and of who pays."""
LATE_S: Final = 45.0
"""Nothing may take longer, whatever happens."""
_ASKED_TIMEOUT_S: Final = 5.0


@dataclass
class Load:
    """All clients, and what they saw."""

    host: str
    port: int
    chaos: Chaos
    seed: int = 1
    pause_s: float = 0.0
    """Between two requests of a user, on the average."""
    seen: list[Seen] = field(default_factory=list)
    whose: dict[str, str] = field(default_factory=dict)
    """The key's name, by mark."""
    stale: list[str] = field(default_factory=list)
    """Marks that were sent on a kept connection just when the balancer closed it, and sent again."""
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    stopping: bool = False

    @contextlib.asynccontextmanager
    async def running(self, groups: "list[Group]") -> AsyncIterator[None]:
        """All users of these groups ask until the block ends; then each finishes its last request."""
        self.stopping = False
        async with asyncio.TaskGroup() as tasks:
            for group in groups:
                for number in range(group.users):
                    user = User(self, group, random.Random(f"{self.seed}/{group.name}/{number}"))
                    tasks.create_task(user.run())
            try:
                yield
            finally:
                self.stopping = True

    def take(self) -> list[Seen]:
        """What was seen since the last time."""
        seen, self.seen = self.seen, []
        return seen


@dataclass(frozen=True)
class Group:
    """Users of one key."""

    name: str
    key: str
    users: int
    kinds: "dict[str, tuple[float, Kind]]"
    """What they do, by weight."""


class User:
    """Asks one thing after the other, on a connection that is kept where the balancer keeps it."""

    def __init__(self, load: Load, group: Group, rng: random.Random) -> None:
        self.load = load
        self.group = group
        self.rng = rng
        self._client = Client(load.host, load.port, group.key)
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Until the load stops. What goes wrong is noted; the user goes on."""
        names = list(self.group.kinds)
        weights = [weight for weight, _ in self.group.kinds.values()]
        while not self.load.stopping:
            [name] = self.rng.choices(names, weights)
            self.load.kinds[name] += 1
            begun_s = time.monotonic()
            try:
                await self.group.kinds[name][1](self)
            except (AssertionError, OSError, ValueError) as error:
                self.load.faults.append(f"{name}: {type(error).__name__}: {error}"[:500])
                self.drop()
            if time.monotonic() - begun_s > LATE_S:
                self.load.faults.append(f"{name}: took {time.monotonic() - begun_s:.1f} s")
            if self.load.pause_s:
                await asyncio.sleep(self.rng.uniform(0, 2 * self.load.pause_s))
        self.drop()

    def drop(self) -> None:
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
        """One request and its whole answer, verified; or `Seen.cut`, and verified as far as it came."""
        while True:
            was_kept = self._connection is not None
            connection, seen = await self.begin(model, acts, stream=stream, door=door, **more)
            await connection.read_answer(seen)
            if not (was_kept and seen.status is None):
                break
            # As with every server of HTTP/1.1: it may close an idle connection at any time.
            self.load.stale.append(seen.mark)
            self.load.seen.remove(seen)
            self.drop()
        if not seen.whole or seen.headers.get("connection", "").lower() == "close":
            self.drop()
        seen.cut = not seen.whole or (seen.status in (502, 504) and is_of_balancer(seen.body))
        seen.verify()
        return seen

    async def begin(
        self,
        model: str,
        acts: Acts,
        *,
        stream: bool = True,
        door: Door = "chat",
        **more: Any,  # noqa: ANN401 - JSON values
    ) -> tuple[Connection, Seen]:
        """Send a request; the answer is still to be read."""
        if self._connection is None:
            self._connection = await self._client.connect()
        mark = new_mark()
        body = request_body(mark, model, acts, stream=stream, door=door, prompt=PROMPT, **more)
        seen = Seen(mark, stream, time.monotonic(), door=door)
        self.load.seen.append(seen)
        self.load.whose[mark] = self.group.name
        with contextlib.suppress(ConnectionError):  # reading says the same
            await self._connection.send(self._client.head(len(body), path=PATHS[door]), body)
        return self._connection, seen

    def some(self, **more: object) -> Act:
        """A good answer of some size and pace."""
        rng = self.rng
        shape: dict[str, object] = {
            "events": rng.randint(1, 30),
            "pad": int(2 ** rng.uniform(0, 10)),
            "delay_ms": rng.choice([0, 1, 5, 20]),
        }
        return Act(**{**shape, **more})  # type: ignore[arg-type]  # the members of Act

    async def asked(self, mark: str) -> bool:
        """Wait until an upstream is asked for it; False: it is not, in good time."""
        deadline_s = time.monotonic() + _ASKED_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if await self.load.chaos.asked(mark):
                return True
            await asyncio.sleep(0.02)
        return False


Kind = Callable[[User], Awaitable[None]]


def good(seen: Seen) -> None:
    """A whole answer, if nobody was killed under it."""
    assert seen.cut or seen.completed, f"status {seen.status}, error {seen.error}"


async def stream(user: User) -> None:
    good(await user.ask("even", user.some()))


async def plain(user: User) -> None:
    good(await user.ask("even", user.some(), stream=False))


async def merged(user: User) -> None:
    good(await user.ask("merged", user.some(), stream=False))


async def other_door(user: User) -> None:
    door, more = user.rng.choice([*SHOWING_REASONING.items()])
    good(await user.ask("even", user.some(says=user.rng.choice(_SAYS)), door=door, **more))


async def other_door_whole(user: User) -> None:
    door = user.rng.choice([*SHOWING_REASONING])
    good(await user.ask(user.rng.choice(["even", "merged"]), user.some(), stream=False, door=door))


async def big_events(user: User) -> None:
    good(await user.ask("even", Act(events=3, pad=200_000)))


async def broken_off(user: User) -> None:
    act = user.some(end=user.rng.choice(["cut", "close", "error"]))
    seen = await user.ask("broken", act)
    if not seen.cut:
        assert (seen.status, seen.finish_reason) == (200, None), f"status {seen.status}"
        assert seen.error is not None, "no error frame"
        assert seen.events == act.events, f"{seen.events} events of {act.events}"


async def first_target_fails(user: User) -> None:
    failing = user.rng.choice([Act(head="status", status=503), Act(head="hang_up"), Act(head="garbage")])
    seen = await user.ask("pair", {"a": failing, "b": user.some()}, stream=user.rng.random() < 0.7)
    # The budget of retries and the cool-downs may leave it to the first.
    assert seen.cut or seen.completed or seen.status in (502, 503), f"status {seen.status}, {seen.error}"


async def gone(user: User) -> None:
    """The client leaves: after some frames, or while it waits for a whole answer."""
    streamed = user.rng.random() < 0.8
    act = user.some(delay_ms=5, first_delay_ms=50)
    user.drop()
    connection, seen = await user.begin("even", act, stream=streamed)
    seen.left = True
    try:
        if streamed:
            async with asyncio.timeout(LATE_S):
                await connection.head(seen)
                await connection.rest(seen, frames=user.rng.randint(1, act.events))
        else:
            seen.cut = not await user.asked(seen.mark)
    except (asyncio.IncompleteReadError, ConnectionError):
        seen.cut = True
    user.drop()
    seen.ended_s = time.monotonic()
    seen.cut |= seen.status in (502, 504)
    seen.verify()


async def metered(user: User) -> None:
    """What a key with limits or a budget asks: served, or refused at once."""
    door: Door = user.rng.choice(["chat", "messages", "responses"])
    most = {"max_output_tokens" if door == "responses" else "max_tokens": PAID_EVENTS}
    model, delay_ms = (
        ("paid", 0) if user.group.name.startswith("budget") else ("metered", user.rng.choice([0, 20]))
    )
    act = Act(events=PAID_EVENTS, delay_ms=delay_ms)
    seen = await user.ask(model, act, stream=user.rng.random() < 0.6, door=door, **most)
    assert seen.cut or seen.completed or seen.status == 429, f"status {seen.status}, error {seen.error}"
    if seen.status == 429 or model == "paid":
        await asyncio.sleep(user.rng.uniform(0.5, 1.5) * PAUSE_S)


_SAYS: Final = ("content", "reasoning_content", "arguments")
FREE: Final[dict[str, tuple[float, Kind]]] = {
    "stream": (30, stream),
    "plain": (15, plain),
    "merged": (8, merged),
    "other_door": (12, other_door),
    "other_door_whole": (6, other_door_whole),
    "big_events": (2, big_events),
    "broken_off": (5, broken_off),
    "first_target_fails": (5, first_target_fails),
    "gone": (5, gone),
}
METERED: Final[dict[str, tuple[float, Kind]]] = {"metered": (1, metered)}
