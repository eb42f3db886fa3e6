"""What a client of Redis does, wherever its servers are."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, TypeAlias

Command: TypeAlias = Sequence[str | bytes | int]
"""Name and arguments."""

CACHE_CONNECTIONS: Final = 8
"""Connections that reasoning and kept responses have at once. Who needs another one waits."""


class RedisClient(ABC):
    """For one event loop. Connects at the first use."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._places = asyncio.Semaphore(CACHE_CONNECTIONS)

    async def run(self, commands: Sequence[Command], *, once: bool = False) -> list[object]:
        """One answer for each; where the server answered with an error, that error. Raises whatever it meets.

        It has no deadline but that of each read: the caller sets one by cancelling. `once`: it goes ahead of
        what is not, and is not sent again if a connection breaks.
        """
        if once:
            return await self._run(commands, once=True)
        async with self._places:
            return await self._run(commands, once=False)

    @abstractmethod
    async def _run(self, commands: Sequence[Command], *, once: bool) -> list[object]:
        """See `run`."""

    @abstractmethod
    def reset(self) -> None:
        """Something is wrong: look anew where the servers are, and use no connection of before."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections. Never raises."""
