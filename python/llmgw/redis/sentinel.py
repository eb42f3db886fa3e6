"""A server and its replicas, which sentinels watch: they say which one is the master now."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from llmgw.config.redis_url import Address
from llmgw.errors import LlmgwError
from llmgw.redis.client import Command, RedisClient
from llmgw.redis.pool import Pool
from llmgw.redis.shared import Shared

if TYPE_CHECKING:
    from redis.asyncio.connection import Connection

ASK_TIMEOUT_S: Final = 0.5
"""For one sentinel to say it, with the time to connect."""
_ADDRESS_PARTS: Final = 2


class NoMasterError(LlmgwError):
    """Sentinels have answered, and none knows the master."""


class Watched(RedisClient):
    """The master that the first sentinel names that answers; asked anew when something is wrong with it."""

    def __init__(
        self,
        sentinels: "Sequence[Callable[[], Connection]]",
        master: str,
        pool: Callable[[Address], Pool],
    ) -> None:
        """`sentinels`: each makes a connection to one. `pool`: makes one to a master."""
        super().__init__()
        self._sentinels = list(sentinels)
        self._master = master
        self._make_pool = pool
        self._pool: Pool | None = None
        self._last: Pool | None = None
        """The same, also while it is in doubt."""
        self._address: Address | None = None
        """Where that is."""
        self._finding: Shared[Pool] = Shared(self._find)

    async def _run(self, commands: Sequence[Command], *, once: bool) -> list[object]:
        pool = self._pool if self._pool is not None else await self._finding.wait()
        try:
            answers = await pool.run(commands, once=once)
        except BaseException:
            # Also if it only took too long: it may have been a master until just now.
            if pool is self._pool:
                self.reset()
            raise
        if _is_no_master(answers) and pool is self._pool:
            self.reset()
        return answers

    def reset(self) -> None:
        if self._pool is not None:
            self._pool.reset()
            self._pool = None

    async def close(self) -> None:
        await self._finding.close()
        if self._last is not None:
            await self._last.close()

    async def _find(self) -> Pool:
        address = await self._ask_all()
        if self._last is None or address != self._address:
            if self._last is not None:
                await self._last.close()
            self._address, self._last = address, self._make_pool(address)
        self._pool = self._last
        return self._last

    async def _ask_all(self) -> Address:
        """Raises NoMasterError, or what the last of them raised if none answers."""
        failure: Exception = NoMasterError()
        for make in list(self._sentinels):
            try:
                async with asyncio.timeout(ASK_TIMEOUT_S):
                    address = await _ask(make(), self._master)
            except Exception as error:  # noqa: BLE001  (whatever is wrong with this one)
                failure = error
                # The next time the others come first.
                self._sentinels.remove(make)
                self._sentinels.append(make)
                continue
            if address is not None:
                return address
            failure = NoMasterError()
        raise failure


async def _ask(connection: "Connection", master: str) -> Address | None:
    """What one sentinel says. Raises whatever it meets."""
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)
        answer = await connection.read_response()
    finally:
        with contextlib.suppress(Exception):
            await connection.disconnect(nowait=True)
    if not isinstance(answer, list) or len(answer) != _ADDRESS_PARTS:
        return None
    return Address(answer[0].decode(), int(answer[1]))


def _is_no_master(answers: Sequence[object]) -> bool:
    from redis.exceptions import ReadOnlyError  # noqa: PLC0415  (an optional dependency)

    return any(isinstance(answer, ReadOnlyError) for answer in answers)
