"""The conversations of `POST /v1/responses` that `previous_response_id` goes on with.

An entry has the items of a conversation, from its first input to the output of one response, as JSON with
commas between them. It is under that response's id and belongs to the API key that asked: no other key finds
it. It expires when it has not been used for `[responses] keep_s`.
"""

import json
import logging
import re
from functools import partial
from hashlib import sha256
from typing import Any, Final

from llmgw.access.key import Key
from llmgw.config import ResponsesConfig
from llmgw.errors import ApiError
from llmgw.reasoning.redis import RedisStore
from llmgw.reasoning.store import CacheError, KeptTurn, MemoryStore, Patience, ReasoningStore
from llmgw.reasoning.turns import OffLoop
from llmgw.redis import RedisClient

logger = logging.getLogger(__name__)

MAX_KEPT_RESPONSE_BYTES: Final = 8 * 1024 * 1024
"""A longer conversation is not kept."""

_LARGE_BYTES: Final = 262_144
"""Reading a longer block would keep the event loop."""
_KEPT_STATUS: Final = frozenset({"completed", "incomplete"})
_EVENT: Final = re.compile(rb"(?:^|\n)data: (\{[^\n]*\})\s*\Z")


class Responses:
    """Keeps the items of conversations, in one store."""

    def __init__(self, store: ReasoningStore) -> None:
        """`store` is closed with `close`."""
        self._store = store
        self._failing = False

    async def items(self, key: Key, response_id: str) -> bytes:
        """What was kept with a response. Raises ApiError where there is nothing."""
        try:
            found = await self._store.get(key.digest, [_name(key, response_id)], Patience())
        except CacheError as error:
            self._failed(error)
            raise ApiError("overloaded", "Kept responses can't be read right now.") from None
        self._works()
        if found[0] is None:
            message = (
                "`previous_response_id` names a response that is not kept (any more), or was not this key's. "
                "Send the whole conversation as `input`."
            )
            raise ApiError("previous_response_not_found", message, param="previous_response_id")
        return found[0]

    async def keep(self, key: Key, items: bytes, block: bytes, *, off_loop: OffLoop | None = None) -> None:
        """Keep a conversation: its items, and the output at the end of an answer's last block. Never raises.

        `off_loop`: for an answer that takes long to read.
        """
        read = partial(_whole, items, block)
        whole = read() if off_loop is None or len(block) < _LARGE_BYTES else await off_loop(read)
        if whole is None:
            return
        response_id, conversation = whole
        if len(conversation) > MAX_KEPT_RESPONSE_BYTES:
            logger.warning("a conversation of %d bytes is too long to be kept", len(conversation))
            return
        try:
            kept = KeptTurn(_name(key, response_id), (), conversation)
            await self._store.put(key.digest, [kept], Patience())
        except CacheError as error:
            self._failed(error)
        else:
            self._works()

    def _failed(self, error: CacheError) -> None:
        if not self._failing:
            self._failing = True
            logger.error("the cache fails, responses are not kept and conversations can't go on: %s", error)

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            logger.warning("the cache works again, responses are kept")

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()


def _name(key: Key, response_id: str) -> bytes:
    """What an entry is kept under: 32 bytes, as those of reasoning are, and never the same as one of them."""
    return sha256(b"response\0" + key.digest + response_id.encode("utf-8", "replace")).digest()


def _whole(items: bytes, block: bytes) -> tuple[str, bytes] | None:
    """The id of the response that a block ends with, and the conversation with it; None if it failed."""
    response = _response(block)
    if response is None or response.get("status") not in _KEPT_STATUS:
        return None
    output = [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in response["output"]]
    parts = (items, ",".join(output).encode("utf-8", "replace"))
    return str(response["id"]), b",".join(part for part in parts if part)


def _response(block: bytes) -> dict[str, Any] | None:
    """The response object of an answer: the whole body, or in the last event."""
    event = _EVENT.search(block)
    try:
        told = json.loads(event[1] if event else block)
    except ValueError:
        return None
    response = told.get("response", told) if isinstance(told, dict) else None
    return response if isinstance(response, dict) and {"id", "output"} <= response.keys() else None


def open_responses(config: ResponsesConfig, redis: RedisClient | None) -> Responses | None:
    """The configured store; None where nothing is kept. `redis`: where it is; None: in memory."""
    if config.keep_s is None:
        return None
    if redis is None:
        return Responses(MemoryStore(ttl_s=config.keep_s, max_bytes=config.max_bytes))
    return Responses(RedisStore(redis, ttl_s=config.keep_s, max_bytes=config.max_bytes))
