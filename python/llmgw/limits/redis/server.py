"""The Redis of the limits: asked in batches, and given up quickly."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from llmgw.errors import LlmgwError
from llmgw.limits.redis.script import SCRIPT, SHA, Call, ReplyError, renew
from llmgw.redis import Command, RedisClient, is_for_the_operator, reason_of

TIMEOUT_S: Final = 0.25
"""So long a request waits for an answer, from the moment that it asks. Then it is decided without one."""

LANES: Final = 4
"""Batches on their way at once, each on a connection of its own."""

BATCH: Final = 64
"""Calls in one round trip."""


class ServerGone(LlmgwError):  # noqa: N818  (a state that is expected, and handled)
    """It can't be asked now. What the calls have done there, if anything, is unknown."""


class _Waiting:
    """For the answer to a call."""

    __slots__ = ("answer", "call", "is_sent", "since_s")

    def __init__(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.answer: asyncio.Future[object] = loop.create_future()
        self.since_s = loop.time()
        self.is_sent = False


class Server:
    """Redis 6.2 or newer, or Valkey. For one event loop.

    The first failure opens the circuit: `up` is False, and nobody waits for it any more until `back` is
    called, by whoever has seen that it works again.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        timeout_s: float = TIMEOUT_S,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`client`: not closed with it. `on_change` is called when `up` has changed, or why it is not up."""
        self._client = client
        self._timeout_s = timeout_s
        self.up = False
        self.reason = "not asked yet"
        """Why it is not up, without any of its texts: those may quote what it was asked."""
        self.is_for_the_operator = False
        """It will not be up before somebody changes something."""
        self._on_change = on_change
        self._waiting: deque[_Waiting] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._offset_us = 0
        """Of the server's clock from ours."""

    async def ask(self, call: Call, orphaned: Callable[[], None]) -> object:
        """One call, in a batch with others. Raises ServerGone, after the time-out at the latest.

        `orphaned` is called if the caller is cancelled and the call may be executed all the same: once that
        has happened, so that what it did can be undone.
        """
        if not self.up:
            raise ServerGone(self.reason)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(call, loop)
        self._waiting.append(waiting)
        if self._busy < LANES:
            self._busy += 1
            # It begins in the loop's next round: whoever asks in this one is in the same batch.
            lane = loop.create_task(self._lane())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        try:
            return await asyncio.shield(waiting.answer)
        except asyncio.CancelledError:
            if waiting.is_sent:
                waiting.answer.add_done_callback(lambda answer: _bury(answer, orphaned))
            else:
                waiting.answer.cancel()
            raise

    def clock(self, now_us: int) -> None:
        """The server has just said what time it is."""
        self._offset_us = now_us - time.monotonic_ns() // 1000

    def until_us(self) -> int:
        """Until when somebody waits who asks now, by the server's clock; 0: that is unknown."""
        if self._offset_us == 0:
            return 0
        return self._offset_us + time.monotonic_ns() // 1000 + round(self._timeout_s * 1e6)

    async def _lane(self) -> None:
        try:
            await self._batches()
        except ServerGone:
            pass  # each of the waiting has been told
        finally:
            # At once, and not when the task is known to be done: whoever asks in between needs a lane.
            self._busy -= 1

    async def _batches(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            batch = [waiting for waiting in some if not waiting.answer.cancelled()]
            if not batch:
                continue
            for waiting in batch:
                waiting.is_sent = True
            left_s = batch[0].since_s + self._timeout_s - loop.time()
            try:
                answers = await self.exchange([waiting.call for waiting in batch], timeout_s=left_s)
            except (ServerGone, asyncio.CancelledError):
                self._refuse(batch)
                raise
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    async def exchange(self, calls: Sequence[Call], *, timeout_s: float | None = None) -> list[object]:
        """These calls in order, in one round trip, also while it is not up. Raises ServerGone."""
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                return await self._round_trip(calls)
        except Exception as error:  # noqa: BLE001  (the package raises whatever it stumbles over in a reply)
            self.fail(reason_of(error), for_the_operator=is_for_the_operator(error))
            raise ServerGone(self.reason) from None

    async def _round_trip(self, calls: Sequence[Call]) -> list[object]:
        from redis.exceptions import NoScriptError  # noqa: PLC0415  (as above)

        answers = await self._pipeline(calls, knows_script=True)
        missed = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missed:
            # Another process may have its place: first it is seen whether it is, then the calls say of which
            # epoch they are. Without that, a replica that lacks the last writes would grant them again.
            look = renew((), lease_us=0)
            looked, *again = await self._pipeline([look, *(calls[at] for at in missed)], knows_script=False)
            if isinstance(looked, Exception):
                raise looked
            for at, answer in zip(missed, again, strict=True):
                answers[at] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if len(answers) != len(calls):
            raise ReplyError
        return answers

    async def _pipeline(self, calls: Sequence[Call], *, knows_script: bool) -> list[object]:
        commands: list[Command] = []
        for keys, arguments in calls:
            script = ("EVALSHA", SHA) if knows_script else ("EVAL", SCRIPT)
            commands.append((*script, len(keys), *keys, *arguments))
            knows_script = True  # the first of them brings it along
        return await self._client.run(commands, once=True)

    def fail(self, reason: str, *, for_the_operator: bool = False) -> None:
        """It does not work: nobody waits for it any more. `for_the_operator`: see there."""
        changed = self.up or self.reason != reason
        self.up, self.reason, self.is_for_the_operator = False, reason, for_the_operator
        # Whatever is wrong, nothing of before is to be trusted: another server may have its place.
        self._client.reset()
        self._refuse(self._waiting)
        self._waiting.clear()
        if changed:
            self._on_change()

    def _refuse(self, waiting: Iterable[_Waiting]) -> None:
        for each in waiting:
            if not each.answer.done():
                each.answer.set_exception(ServerGone(self.reason))

    def back(self) -> None:
        """It works again."""
        changed, self.up = not self.up, True
        if changed:
            self._on_change()

    async def close(self) -> None:
        """Give up what is on its way."""
        self._on_change = lambda: None
        self.fail("closed")
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        if lanes:
            await asyncio.wait(lanes, timeout=self._timeout_s)


def _bury(answer: asyncio.Future[object], orphaned: Callable[[], None]) -> None:
    if not answer.cancelled():
        answer.exception()  # nobody else looks at it
    orphaned()
