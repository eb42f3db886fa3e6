"""A cluster: each node has some of the slots, and each key is in one.

redis-py's own client of a cluster is not used: without retries its pipelines never leave a node that has
died, with them it executes again what may have been executed.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from llmgw.config.redis_url import Address
from llmgw.errors import LlmgwError
from llmgw.redis.client import Command, RedisClient
from llmgw.redis.pool import Pool
from llmgw.redis.shared import Shared

REDIRECTIONS: Final = 5
"""How often a command is sent on to another node, or again to one that is moving its slot."""
ASK_TIMEOUT_S: Final = 0.5
"""For one node to say which node has which slots, with the time to connect."""
_TRY_AGAIN_S: Final = 0.02
_SLOTS_BEGIN_AT: Final = 2


class NoNodeError(LlmgwError):
    """No node is known that has the slot of a key."""


class Cluster(RedisClient):
    """Sends commands of one key each, or of several in one slot (`EVALSHA`), where they belong.

    Those to one node go in one round trip, to several nodes at the same time. If nodes fail, their commands'
    answers are the failures; if all do, the first one is raised.
    """

    def __init__(self, seeds: Sequence[Address], pool: Callable[[Address], Pool]) -> None:
        """`seeds`: nodes to begin with. `pool`: makes one to a node."""
        super().__init__()
        self._seeds = seeds
        self._make_pool = pool
        self._pools: dict[Address, Pool] = {}
        self._slots: dict[int, Address] = {}
        self._is_stale = True
        self._learning: Shared[None] = Shared(self._learn)

    async def _run(self, commands: Sequence[Command], *, once: bool) -> list[object]:
        if self._is_stale:
            await self._learning.wait()
        answers: list[object] = [None] * len(commands)
        where = {at: (self._node_of(command), False) for at, command in enumerate(commands)}
        for turn in range(REDIRECTIONS):
            await self._send(commands, where, answers, once=once)
            where = dict(self._redirected(answers, where))
            if not where:
                break
            if any(_is(answers[at], "TryAgainError") for at in where):
                await asyncio.sleep(_TRY_AGAIN_S * (turn + 1))
        if any(_is(answer, "ClusterDownError") for answer in answers):
            self._is_stale = True
        failures = [answer for answer in answers if isinstance(answer, Exception) and _is_failure(answer)]
        if failures and len(failures) == len(answers):
            raise failures[0]
        return answers

    def reset(self) -> None:
        self._is_stale = True
        for pool in self._pools.values():
            pool.reset()

    async def close(self) -> None:
        await self._learning.close()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    async def _send(
        self,
        commands: Sequence[Command],
        where: dict[int, tuple[Address, bool]],
        answers: list[object],
        *,
        once: bool,
    ) -> None:
        """Each to its node. True: with leave to use a slot that is just coming there."""
        of_node: defaultdict[Address, list[int]] = defaultdict(list)
        for at, (node, _) in where.items():
            of_node[node].append(at)
        whole = await asyncio.gather(
            *(self._send_to(node, ats, commands, where, once=once) for node, ats in of_node.items())
        )
        for ats, got in zip(of_node.values(), whole, strict=True):
            for at, answer in zip(ats, got, strict=True):
                answers[at] = answer

    async def _send_to(
        self,
        node: Address,
        ats: Sequence[int],
        commands: Sequence[Command],
        where: dict[int, tuple[Address, bool]],
        *,
        once: bool,
    ) -> list[object]:
        asked: list[Command] = []
        wanted: list[int] = []
        for at in ats:
            if where[at][1]:
                asked.append(("ASKING",))
            wanted.append(len(asked))
            asked.append(commands[at])
        try:
            got = await self._pool(node).run(asked, once=once)
        except BaseException as error:
            # Also if it only took too long: a replica may have its place by now.
            self._is_stale = True
            self._pool(node).reset()
            if not isinstance(error, Exception):
                raise
            return [error] * len(ats)
        return [got[place] for place in wanted]

    def _redirected(
        self, answers: Sequence[object], where: dict[int, tuple[Address, bool]]
    ) -> Iterator[tuple[int, tuple[Address, bool]]]:
        """What was not executed, and where it is to go."""
        from redis.exceptions import AskError, MovedError, ReadOnlyError, TryAgainError  # noqa: PLC0415

        for at, sent in where.items():
            match answers[at]:
                case MovedError() as moved:
                    node = Address(moved.host or sent[0].host, moved.port)
                    self._slots[moved.slot_id] = node
                    # Other slots have probably moved too.
                    self._is_stale = True
                    yield at, (node, False)
                case AskError() as asked:
                    yield at, (Address(asked.host or sent[0].host, asked.port), True)
                case TryAgainError():
                    yield at, sent
                case ReadOnlyError():
                    self._is_stale = True
                case _:
                    pass

    def _node_of(self, command: Command) -> Address:
        """Raises NoNodeError."""
        from redis.crc import key_slot  # noqa: PLC0415  (an optional dependency)

        key = command[3] if command[0] in {"EVAL", "EVALSHA"} else command[1]
        node = self._slots.get(key_slot(key.encode() if isinstance(key, str) else bytes(key)))
        if node is None:
            self._is_stale = True
            raise NoNodeError
        return node

    def _pool(self, node: Address) -> Pool:
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools[node] = self._make_pool(node)
        return pool

    async def _learn(self) -> None:
        """Which node has which slots, from the first that says it. Raises what the last raised."""
        failure: Exception = NoNodeError()
        for node in dict.fromkeys([*self._pools, *self._seeds]):
            try:
                async with asyncio.timeout(ASK_TIMEOUT_S):
                    [answer] = await self._pool(node).run([("CLUSTER", "SLOTS")], once=False)
                slots = _slots(answer, node)
            except Exception as error:  # noqa: BLE001  (whatever is wrong with this one)
                failure = error
                # The next time the others come first.
                self._pools[node] = self._pools.pop(node)
                continue
            self._slots, self._is_stale = slots, False
            await self._forget_others({*slots.values(), node})
            return
        raise failure

    async def _forget_others(self, nodes: set[Address]) -> None:
        gone = [node for node in self._pools if node not in nodes]
        await asyncio.gather(*(self._pools.pop(node).close() for node in gone))


def _slots(answer: object, asked: Address) -> dict[int, Address]:
    """From what `CLUSTER SLOTS` says: first and last of some slots, then their node: host, port and more."""
    if isinstance(answer, Exception):
        raise answer
    if not isinstance(answer, list) or not answer:
        raise NoNodeError
    slots: dict[int, Address] = {}
    for first, last, (host, port, *_), *_replicas in answer:
        name = host.decode() if isinstance(host, bytes) else ""
        if name != "?":  # it does not know what to call it
            slots.update(dict.fromkeys(range(first, last + 1), Address(name or asked.host, port)))
    return slots


def _is(answer: object, name: str) -> bool:
    return type(answer).__name__ == name


def _is_failure(answer: Exception) -> bool:
    from redis.exceptions import ResponseError  # noqa: PLC0415  (an optional dependency)

    return not isinstance(answer, ResponseError)
