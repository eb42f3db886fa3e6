"""The client of a request, from the first byte of its body to the last byte of its answer.

A client may be slow to send its body, disconnect, or stop reading its answer. `ClientWatch` looks for all
three, for one request, as soon as the request has lasted for a moment (see `grace`); `AnswerWatch` for the
last alone, where there is no body and nothing to break off. `Clients` are those of a worker.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from llmgw.asgi.cut import Peer, cut_connections
from llmgw.asgi.grace import GRACE_S, Grace
from llmgw.asgi.request import Fields, RequestBody
from llmgw.asgi.types import Message, Receive, Scope
from llmgw.errors import ApiError

Address: TypeAlias = tuple[str, str]
"""The other end of a connection as granian has it in a scope: the port is a string."""


class Writes(Protocol):
    """What is known of an answer that is being written."""

    @property
    def writes(self) -> int:
        """Grows by one when a write begins and when it ends, so it is odd while the client must read."""


class Clients:
    """The clients of a worker's requests. For the event loop's thread only."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        """`grace_s`: how long a request runs before its client is watched."""
        self.grace = Grace(grace_s)
        self.reading: set[AnswerWatch] = set()
        """Those who should read an answer. Only the clients of requests that last."""
        self.running: dict[Address, int] = {}
        """How many requests of each connection are being served."""
        self._served: set[Address] = set()

    def begin(self, address: Address | None) -> None:
        """A request begins on a connection. To be followed by `end`. None: it is no TCP connection."""
        if address is not None:
            self.running[address] = self.running.get(address, 0) + 1

    def end(self, address: Address | None) -> None:
        """It is answered, as far as the server takes answers."""
        if address is None:
            return
        self._served.add(address)
        left = self.running[address] - 1
        if left:
            self.running[address] = left
        else:
            del self.running[address]

    def take_served(self) -> set[Address]:
        """The connections on which a request ended since the last call."""
        served, self._served = self._served, set()
        return served

    def cut_stalled(self, now_s: float, timeout_s: float) -> None:
        """Cut off the clients that have read nothing for `timeout_s`.

        `now_s`: of any monotonic clock. Precise to the time between two calls.
        """
        self._cut([client for client in self.reading if client.has_stalled(now_s, timeout_s)])

    def cut_waiting(self) -> None:
        """Cut off every client that keeps a write waiting, however briefly."""
        self._cut([client for client in self.reading if client.keeps_waiting])

    @staticmethod
    def _cut(clients: Iterable["AnswerWatch"]) -> None:
        peers = {peer for client in clients if (peer := client.cut()) is not None}
        if peers:
            asyncio.get_running_loop().run_in_executor(None, cut_connections, peers)


class AnswerWatch:
    """Does one request's client take its answer? Watched from `grace_s` after `begin`, until `end`."""

    stalled = False
    """It stopped reading, and was cut off."""
    _task: asyncio.Task[Any] | None = None
    # What the last look at the writes of the answer saw, and when.
    _writes = 0
    _since_s = 0.0
    _is_cut = False

    def __init__(self, clients: Clients, scope: Scope, answer: Writes) -> None:
        """Watches nothing yet."""
        self._clients = clients
        self._scope = scope
        self._answer = answer

    def begin(self) -> None:
        """The request begins, in the current task. To be followed by `end`."""
        self._task = asyncio.current_task()
        self._clients.grace.begin(self)

    def end(self) -> None:
        """The request ends."""
        self._clients.grace.end(self)
        self._clients.reading.discard(self)
        self._task = None

    def __enter__(self) -> Self:
        """See `begin`."""
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """See `end`."""
        self.end()

    def lasts(self) -> None:
        """See `Lasting`."""
        self._clients.reading.add(self)

    @property
    def keeps_waiting(self) -> bool:
        """True while a write of the answer waits for the client."""
        return bool(self._answer.writes % 2)

    def has_stalled(self, now_s: float, timeout_s: float) -> bool:
        """True if one and the same write has waited for `timeout_s` since the first call that saw it.

        A timer for each write would cost more than the write, so writes only count. Once True, the time
        begins anew.
        """
        writes = self._answer.writes
        if writes == self._writes and not (writes % 2 and now_s - self._since_s >= timeout_s):
            return False
        changed = writes != self._writes
        self._writes, self._since_s = writes, now_s
        return not changed

    def cut(self) -> Peer | None:
        """Give the client up. Returns the peer whose connection is to be cut, None where none can be.

        Other requests may share a connection of HTTP/2. Then only this request's task is cancelled, and the
        server keeps what it holds of the answer: it never looks at a stream again whose window stays closed.
        """
        self.stalled = True
        client = self._scope.get("client")
        shares = self._scope["http_version"].startswith("2")
        if shares and self._task is not None:
            self._task.cancel()
        if client and not self._is_cut and not (shares and self._clients.running.get(client, 1) > 1):
            # The write then fails by itself. (granian gives the port as a string.)
            self._is_cut = True
            return client[0], int(client[1])
        if self._task is not None:
            self._task.cancel()
        return None


class ClientWatch(AnswerWatch):
    """One request's client, from the first byte of its body: it may leave, too."""

    gone = False
    """It closed the connection, or reset the stream."""
    _lasts = False
    _waiting: asyncio.Future[Message] | None = None
    _told: asyncio.Future[None] | None = None

    def __init__(
        self,
        clients: Clients,
        scope: Scope,
        receive: Receive,
        answer: Writes,
        *,
        fields: Fields,
        body_timeout_s: float,
        on_loss: Callable[[], None],
        on_slow_body: Callable[[], None] | None = None,
    ) -> None:
        """`on_loss` is called once: when the client is known to be gone, or before it is cut off.

        `on_slow_body` is called if the body has not come when the request has lasted for a moment. An
        ApiError that it raises ends the wait.
        """
        super().__init__(clients, scope, answer)
        self._receive = receive
        self._body: RequestBody | None = RequestBody(fields, receive, on_end=self._body_is_read)
        """None once it was read."""
        self._body_timeout_s = body_timeout_s
        self._on_loss: Callable[[], None] | None = on_loss
        self._on_slow_body = on_slow_body

    def end(self) -> None:
        """The request ends."""
        super().end()
        # The server's awaitable holds our callback and takes no part in the collection of cycles.
        waiting, self._waiting = self._waiting, None
        self._body = self._on_loss = self._on_slow_body = None
        if waiting is not None:
            waiting.cancel()

    def read_body(
        self, *, limit_bytes: int, hold: Callable[[int], None]
    ) -> Coroutine[Any, Any, Sequence[bytes]]:
        """The request's body, in the pieces in which it came (see `RequestBody.read`). To be called once."""
        if self._body is None:
            message = "a body can be read once"
            raise RuntimeError(message)
        return self._body.read(limit_bytes=limit_bytes, hold=hold)

    def _body_is_read(self) -> None:
        self._body = None
        if self._lasts:
            self._watch()

    async def gone_within(self, timeout_s: float) -> bool:
        """Wait for this time, or until the client is gone. Only once the body has been read."""
        self._listen()
        if not self.gone:
            self._told = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._told,), timeout=timeout_s)
        return self.gone

    def lasts(self) -> None:
        """See `Lasting`."""
        self._lasts = True
        if self._body is None:
            self._watch()
        else:
            self._body.expire_in(self._body_timeout_s)
            try:
                if self._on_slow_body is not None:
                    self._on_slow_body()
            except ApiError as error:
                self._body.refuse(error)

    def _watch(self) -> None:
        self._clients.reading.add(self)
        self._listen()

    def _listen(self) -> None:
        """Have the server say when the client is gone.

        Only `receive` tells: granian neither cancels a task nor fails a `send`. It returns a future, so no
        task is made for it.
        """
        if self._waiting is None and self._on_loss is not None and not self.gone:
            self._waiting = asyncio.ensure_future(self._receive())
            self._waiting.add_done_callback(self._received)

    def _received(self, waiting: asyncio.Future[Message]) -> None:
        if waiting is not self._waiting:
            return
        self._waiting = None
        if waiting.cancelled():
            return
        if waiting.exception() is None and waiting.result()["type"] != "http.disconnect":
            self._listen()
            return
        self.gone = True
        self._lost()
        if self._told is not None and not self._told.done():
            self._told.set_result(None)

    def _lost(self) -> None:
        on_loss, self._on_loss = self._on_loss, None
        if on_loss is not None:
            on_loss()

    def cut(self) -> Peer | None:
        """See `AnswerWatch.cut`."""
        self._lost()
        return super().cut()
