"""The connections to one server."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from llmgw.redis.client import Command

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

IDLE_S: Final = 30.0
"""So long a connection that nobody needs stays open."""
CLOSE_TIMEOUT_S: Final = 0.5
"""So long the server may take to say goodbye, which TLS asks for."""


class Pool:
    """Opens one when all others are in use; who comes next gets the one that was used last."""

    def __init__(self, make: "Callable[[], Connection]") -> None:
        """Nothing is open yet."""
        self._make = make
        self._free: list[tuple[float, Connection]] = []
        """With the time since when; the longest first."""
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._generation = 0

    async def run(self, commands: Sequence[Command], *, once: bool) -> list[object]:
        """See `RedisClient.run`."""
        from redis.exceptions import ConnectionError as Broken  # noqa: PLC0415  (an optional dependency)

        while True:
            connection = await self._kept()
            is_kept = connection is not None
            generation = self._generation
            if connection is None:
                connection = self._make()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                answers = await _exchange(connection, commands)
            except BaseException as error:
                self._drop(connection)
                if once or not is_kept or not isinstance(error, Broken):
                    raise
                # It may be from before a restart of the server. Others may be too, but not all that follow.
                continue
            if generation != self._generation or _is_read_only(answers):
                self._drop(connection)
                if generation == self._generation:
                    self.reset()
            else:
                self._give_back(connection)
            return answers

    def reset(self) -> None:
        """Use no connection of before any more."""
        self._generation += 1
        free, self._free = self._free, []
        for _, connection in free:
            self._drop(connection)

    async def close(self) -> None:
        """Close all. Never raises."""
        self.reset()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _kept(self) -> "Connection | None":
        """One that nobody uses, and that the server has not closed meanwhile."""
        while self._free:
            _, connection = self._free.pop()
            if connection.is_connected and not await _is_dirty(connection):
                return connection
            self._drop(connection)
        return None

    def _give_back(self, connection: "Connection") -> None:
        loop = asyncio.get_running_loop()
        self._free.append((loop.time(), connection))
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_S, self._sweep)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free and self._free[0][0] <= loop.time() - IDLE_S:
            self._drop(self._free.pop(0)[1])
        self._sweeper = loop.call_at(self._free[0][0] + IDLE_S, self._sweep) if self._free else None

    def _drop(self, connection: "Connection") -> None:
        closing = asyncio.get_running_loop().create_task(_close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _is_dirty(connection: "Connection") -> bool:
    """The server has closed it, or said something that nobody asked for."""
    # What redis-py 8 calls `can_read` has another name before.
    looks = connection.can_read if hasattr(connection, "can_read") else connection.can_read_destructive
    try:
        return await looks()
    except Exception:  # noqa: BLE001  (whatever is wrong with it)
        return True


async def _exchange(connection: "Connection", commands: Sequence[Command]) -> list[object]:
    from redis.exceptions import ResponseError  # noqa: PLC0415  (an optional dependency)

    await connection.send_packed_command(connection.pack_commands(commands))
    answers: list[object] = []
    for _ in commands:
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            answers.append(error)
    return answers


def _is_read_only(answers: Sequence[object]) -> bool:
    """The server has become a replica: its name may be another server's by now."""
    from redis.exceptions import ReadOnlyError  # noqa: PLC0415  (an optional dependency)

    return any(isinstance(answer, ReadOnlyError) for answer in answers)


async def _close(connection: "Connection") -> None:
    # Whatever that runs into, nobody uses it any more.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.disconnect()
