"""One server, or one address that stands for several."""

from collections.abc import Sequence

from llmgw.redis.client import Command, RedisClient
from llmgw.redis.pool import Pool


class Single(RedisClient):
    """Its name is looked up for each new connection, so a name that moves to another server is followed."""

    def __init__(self, pool: Pool) -> None:
        """`pool`: to it."""
        super().__init__()
        self._pool = pool

    async def _run(self, commands: Sequence[Command], *, once: bool) -> list[object]:
        return await self._pool.run(commands, once=once)

    def reset(self) -> None:
        self._pool.reset()

    async def close(self) -> None:
        await self._pool.close()
