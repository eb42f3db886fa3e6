"""Keeps requests of a key with their bodies while an admin has a lease open on it (`access.captures`).

A captured answer is what was given to the server for the client, byte by byte, whatever made it. Both bodies
are copied as they pass, up to the lease's size, and stored by a thread. Nothing waits for that: where memory,
the thread or the database does not keep up, captures are cut or lost, and counted in the log.
"""

import logging
import queue
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from llmgw.access.captures import purge_captured, store_captured
from llmgw.access.lease import Lease
from llmgw.asgi.encoding import STEP_BYTES, EncodedBody, content_coding
from llmgw.asgi.request import Fields
from llmgw.asgi.responder import Responder
from llmgw.asgi.types import Message, Receive
from llmgw.errors import ApiError
from llmgw.observe.copies import Copy, Held
from llmgw.store import Store
from llmgw.store.failures import cause_of

logger = logging.getLogger(__name__)

MAX_QUEUE: Final = 256
"""Captured requests that wait to be stored."""
MAX_HELD_BYTES: Final = 64 << 20
"""Of all bodies that are being captured or wait to be stored, in one worker."""
CAPTURED: Final = (b"x-llmgw-captured", b"1")
_PURGE_INTERVAL_S: Final = 60.0
_CLOSE_TIMEOUT_S: Final = 2.0


class _Entry(NamedTuple):
    lease: Lease
    request_id: str
    time: datetime
    coding: bytes | None
    request: Copy
    response: Copy


class Captures:
    """What one worker captures. `begin` and what it returns are for the event loop's thread."""

    def __init__(self, store: Store) -> None:
        """Starts nothing yet."""
        self._store = store
        self._queue: queue.Queue[_Entry | None] = queue.Queue(MAX_QUEUE)
        self._held = Held(MAX_HELD_BYTES)
        self._begun: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="llmgw-captures", daemon=True)

    def start(self) -> None:
        """Start to store captures, and to delete old ones."""
        self._thread.start()

    def close(self) -> None:
        """Store what waits, for a moment. Blocking."""
        if self._thread.ident is not None:
            with suppress(queue.Full):
                self._queue.put(None, timeout=_CLOSE_TIMEOUT_S)
            self._thread.join(_CLOSE_TIMEOUT_S)

    def begin(self, lease: Lease, responder: Responder, fields: Fields) -> "Capturing | None":
        """Capture a request whose answer has not begun. None: the lease is over, or has had its number."""
        begun = self._begun.get(lease.id, 0)
        if begun >= lease.max_requests or not lease.is_open():
            return None
        self._begun[lease.id] = begun + 1
        return Capturing(self, self._held, lease, responder, fields)

    def put(self, entry: _Entry) -> None:
        """Have a capture stored; it is lost if too many wait."""
        try:
            self._queue.put_nowait(entry)
        except queue.Full:
            self._release(entry)
            logger.warning("%s: its capture is lost, since too many wait to be stored", entry.request_id)

    def _run(self) -> None:
        purge_at_s = 0.0
        while True:
            try:
                if time.monotonic() >= purge_at_s:
                    purge_at_s = time.monotonic() + _PURGE_INTERVAL_S
                    while purge_captured(self._store):
                        pass
                try:
                    entry = self._queue.get(timeout=max(purge_at_s - time.monotonic(), 0.01))
                except queue.Empty:
                    continue
                if entry is None:
                    return
                self._save(entry)
            except SQLAlchemyError as error:
                logger.warning("captures can't be stored or deleted: %s", cause_of(error))
            except Exception:
                logger.exception("a capture can't be stored")

    def _save(self, entry: _Entry) -> None:
        try:
            request_body, is_cut = _plain(entry)
            bodies = request_body, b"".join(entry.response.pieces)
            is_cut = is_cut or entry.response.is_cut
            store_captured(
                self._store, entry.lease, entry.request_id, entry.time, bodies=bodies, is_cut=is_cut
            )
        finally:
            self._release(entry)

    def _release(self, entry: _Entry) -> None:
        self._held.give_back(entry.request.size + entry.response.size)


class Capturing:
    """One request that is captured."""

    def __init__(
        self, captures: Captures, held: Held, lease: Lease, responder: Responder, fields: Fields
    ) -> None:
        """Its answer has the header `CAPTURED` from now on."""
        self._captures = captures
        self._lease = lease
        self._request_id = responder.request_id
        self._time = datetime.now(UTC)
        self._request = Copy(held, lease.max_body_bytes)
        self._response = Copy(held, lease.max_body_bytes)
        self._fields = fields
        responder.tee(self._response.add, CAPTURED)

    def receive(self, receive: Receive) -> Receive:
        """The same, with its body copied."""

        async def tee() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._request.add(message.get("body", b""))
            return message

        return tee

    def end(self) -> None:
        """The request is over. No I/O."""
        try:
            coding = content_coding(self._fields)
        except ApiError:
            coding = None
        self._captures.put(
            _Entry(self._lease, self._request_id, self._time, coding, self._request, self._response)
        )


def _plain(entry: _Entry) -> tuple[bytes, bool]:
    """The request's body without its content-encoding, if that can be read, and whether it was cut."""
    copy = entry.request
    if entry.coding is None or copy.is_cut:
        return b"".join(copy.pieces), copy.is_cut
    limit_bytes = entry.lease.max_body_bytes
    body = EncodedBody(copy.pieces, entry.coding, limit_bytes=2 * limit_bytes + STEP_BYTES)
    try:
        while not body.finished and sum(map(len, body.decoded)) <= limit_bytes:
            body.step(STEP_BYTES)
    except ApiError:
        if not body.decoded:
            return b"".join(copy.pieces), False
    plain = b"".join(body.decoded)
    return plain[:limit_bytes], len(plain) > limit_bytes or not body.finished
