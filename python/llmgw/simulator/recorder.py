"""Which requests came in last, byte for byte: for tests, and for people who want to see what a gateway sends.

`GET /_requests` gives `{"requests": [...]}`, oldest first, each with `path`, `headers` (pairs), `body`
(base64 of the exact bytes), `state` (`open`, `answered`, `broken` or `client_left`) and `chunks` (events
sent so far). Filters: `x_request_id=…` (that header's value) and `contains=…` (text in the body).

The record is bounded by number and by bytes, and lives in memory only.
"""

import base64
from collections import deque
from dataclasses import dataclass
from typing import Literal

from llmgw.simulator.model import JsonObject

MAX_REQUESTS = 200
MAX_BYTES = 64 * 1024 * 1024
"""Of all bodies together."""


@dataclass
class Received:
    """One request; `state` and `chunks` change while it is answered."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes
    state: Literal["open", "answered", "broken", "client_left"] = "open"
    chunks: int = 0
    account: str | None = None
    """The key, of an account that has a prompt cache."""

    def as_json(self) -> JsonObject:
        """For `GET /_requests`."""
        return {
            "path": self.path,
            "headers": self.headers,
            "body": base64.b64encode(self.body).decode(),
            "state": self.state,
            "chunks": self.chunks,
        }


class Recorder:
    """The last requests of one process."""

    def __init__(self, *, max_requests: int = MAX_REQUESTS, max_bytes: int = MAX_BYTES) -> None:
        """The oldest go first when a bound is reached."""
        self._requests: deque[Received] = deque()
        self._bytes = 0
        self._max_requests = max_requests
        self._max_bytes = max_bytes

    def add(self, path: str, headers: list[tuple[str, str]], body: bytes) -> Received:
        """Record a request that has come in."""
        received = Received(path, headers, body)
        self._requests.append(received)
        self._bytes += len(body)
        while len(self._requests) > self._max_requests or self._bytes > self._max_bytes:
            self._bytes -= len(self._requests.popleft().body)
        return received

    def find(self, *, x_request_id: str | None = None, contains: str | None = None) -> list[Received]:
        """Those that match both filters."""
        return [
            r
            for r in self._requests
            if (x_request_id is None or ("x-request-id", x_request_id) in r.headers)
            and (contains is None or contains.encode() in r.body)
        ]
