"""What stands before the admin API: who may come in, with how much, and how many at once.

A stranger learns nothing here, not even which paths there are. Nothing of a request is parsed before its key
is known, and an answer is sent only when it is complete, so that an error can always be told.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from llmgw.access.bearer import check_administers, find_key
from llmgw.access.key import Key
from llmgw.access.keyring import KeyRing
from llmgw.asgi.request import Fields, RequestBody
from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Message, Receive, Scope, Send
from llmgw.errors import ApiError, ClientGone
from llmgw.store.failures import cause_of

logger = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 65_536
"""Of a request to the admin API."""
MAX_AT_ONCE: Final = 4
"""Requests that the process of the admin API works on."""
MAX_IN_A_WORKER: Final = 2
"""The same where the workers serve it: their time is for answers."""
MAX_WAITING: Final = 64
"""Further ones wait for their turn; more get 503."""
KEY: Final = "llmgw.key"
"""Where a request's scope has its key."""
_LOOKS: Final = frozenset({"GET", "HEAD"})
_DATABASE_RETRY_AFTER_S: Final = 5
_BUSY_RETRY_AFTER_S: Final = 1
_CONTENT: Final = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")

Api: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application."""


class Guard:
    """The admin API behind its checks. For one event loop."""

    def __init__(
        self,
        api: Api,
        keyring: KeyRing,
        *,
        body_timeout_s: Callable[[], float],
        at_once: int = MAX_AT_ONCE,
    ) -> None:
        """`api` gets only requests of admin keys, with the whole body, as JSON, and `at_once` at a time."""
        self._api = api
        self._keyring = keyring
        self._body_timeout_s = body_timeout_s
        self._turn = asyncio.Semaphore(at_once)
        self._most = at_once + MAX_WAITING
        self._present = 0

    async def serve(self, scope: Scope, fields: Fields, receive: Receive, responder: Responder) -> None:
        """Answer one request. Raises ApiError. A client that leaves with half a body gets nothing."""
        found = find_key({b"authorization": fields.get(b"authorization", [])}, self._keyring)
        key = found if isinstance(found, Key) else await found
        check_administers(key, changes=scope["method"] not in _LOOKS)
        try:
            body = await self._body(fields, receive)
        except ClientGone:
            return
        if self._present >= self._most:
            message = "The admin API has too many requests at once. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_BUSY_RETRY_AFTER_S)
        self._present += 1
        try:
            async with self._turn:
                answer = await self._ask(_inner(scope, key), body)
        finally:
            self._present -= 1
        await responder.whole(answer.status, answer.headers, b"".join(answer.pieces))

    async def _body(self, fields: Fields, receive: Receive) -> bytes:
        if fields.get(b"content-encoding"):
            raise ApiError("unsupported_encoding", "The admin API takes bodies without a content-encoding.")
        body = RequestBody(fields, receive)
        body.expire_in(self._body_timeout_s())
        return b"".join(await body.read(limit_bytes=MAX_BODY_BYTES, hold=lambda _: None))

    async def _ask(self, scope: Scope, body: bytes) -> "_Answer":
        answer = _Answer()
        received = False

        async def receive() -> Message:
            nonlocal received
            if received:
                return {"type": "http.disconnect"}
            received = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._api(scope, receive, answer.take)
        except SQLAlchemyError as error:
            logger.error("the admin API can't use the database: %s", cause_of(error))  # noqa: TRY400
            message = "The gateway can't use its database at the moment. Try again later."
            raise ApiError("overloaded", message, retry_after_s=_DATABASE_RETRY_AFTER_S) from None
        return answer


class _Answer:
    """Collects what the API sends."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []

    async def take(self, message: Message) -> None:
        """An ASGI `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
        elif message["type"] == "http.response.body":
            self.pieces.append(message.get("body", b""))


def _inner(scope: Scope, key: Key) -> dict[str, Any]:
    """The request as the API sees it: of this key, and its body is JSON, whatever it says."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _CONTENT]
    headers.append((b"content-type", b"application/json"))
    # OpenAI's clients write the name of a list with brackets.
    query = scope["query_string"].replace(b"%5B%5D=", b"=").replace(b"[]=", b"=")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "headers": headers, "query_string": query, KEY: key}
