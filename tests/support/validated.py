"""Transports that validate whatever the gateway answers against the schemas of its API, whichever test asks.

A transport only notes what is wrong, since a client may swallow an exception from there; the fixture
`answers_fit_the_schemas` in tests/conftest.py, which every test has, fails where something was noted.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import httpx
import httpx2

from tests.support import anthropic_schemas, responses, schemas

_noted: list[str] = []


def take() -> list[str]:
    """What was wrong since the last call."""
    taken = _noted[:]
    _noted.clear()
    return taken


OPENAI = "OpenAI"
ANTHROPIC = "Anthropic"
RESPONSE = "Response"
"""The kind of a whole answer of the Responses API, for which the openai SDK's types are the schema."""


def api_of(path: str, headers: Mapping[str, str]) -> str:
    """Whose schemas an answer must fit."""
    is_shared = path == "/v1/models" or path.startswith("/v1/models/")
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return ANTHROPIC
    return ANTHROPIC if is_shared and "anthropic-version" in headers else OPENAI


def note(path: str, status: int, content_type: str, body: bytes, *, whole: bool, api: str = OPENAI) -> None:
    """Validate one answer. Of one that the client did not read to its end, the frames that came whole."""
    if content_type.startswith("text/event-stream"):
        _note_stream(path, body, whole=whole)
        return
    if api == ANTHROPIC:
        if body and whole:
            _note_anthropic(path, status, body)
        return
    kind = schemas.ERROR if status >= httpx.codes.BAD_REQUEST else _kind(path)
    if path == "/readyz" and status == httpx.codes.SERVICE_UNAVAILABLE:
        kind = None  # a report for load balancers, no error
    if kind is not None and body and whole:
        _note_value(path, kind, body)


def _note_stream(path: str, body: bytes, *, whole: bool) -> None:
    if path in {"/v1/chat/completions", "/v1/completions"}:
        for frame in body.split(b"\n\n")[: None if whole else -1]:
            _note_frame(path, frame)
    elif path == "/v1/messages":
        for event in body.split(b"\n\n")[:-1]:
            _note_event(path, event)
    elif path == responses.PATH:
        _note_events(body)


def _note_events(stream: bytes) -> None:
    for event in responses.events_of(stream):
        _noted.extend(f"{fault} in {json.dumps(event)[:2000]}" for fault in responses.event_faults(event))


def _note_anthropic(path: str, status: int, body: bytes) -> None:
    kind = None
    if status >= httpx.codes.BAD_REQUEST:
        kind = anthropic_schemas.ERROR
    elif path == "/v1/messages":
        kind = anthropic_schemas.MESSAGE
    elif path == "/v1/models":
        kind = anthropic_schemas.MODEL_LIST
    elif path.startswith("/v1/models/"):
        kind = anthropic_schemas.MODEL
    if kind is not None:
        _note_as_anthropics(path, kind, body)


def _note_event(path: str, event: bytes) -> None:
    """An event of Anthropic's; `ping` and `error` are not among the schemas' own."""
    name, _, data = event.partition(b"\ndata: ")
    if name == b"event: error":
        _note_as_anthropics(path, anthropic_schemas.ERROR, data)
    elif name != b"event: ping":
        _note_as_anthropics(path, anthropic_schemas.EVENT, data)


def _note_as_anthropics(path: str, kind: str, body: bytes) -> None:
    try:
        found = anthropic_schemas.faults(kind, json.loads(body))
    except ValueError as error:
        found = [str(error)]
    _noted.extend(f"{path}, as Anthropic's {kind}: {fault} in {body[:2000]!r}" for fault in found)


def _kind(path: str) -> str | None:
    """What a good answer of this path is; None for what OpenAI does not have."""
    if path == "/v1/chat/completions":
        return schemas.COMPLETION
    if path == "/v1/completions":
        return schemas.TEXT_COMPLETION
    if path == responses.PATH:
        return RESPONSE
    if path == "/v1/embeddings":
        return schemas.EMBEDDINGS
    if path == "/v1/models":
        return schemas.MODEL_LIST
    return schemas.MODEL if path.startswith("/v1/models/") else None


def _note_frame(path: str, frame: bytes) -> None:
    data = frame.removeprefix(b"data: ")
    if data in {b"", b"[DONE]"} or frame.startswith(b":"):
        return
    is_error = data.startswith(b'{"error":')
    kind = schemas.TEXT_CHUNK if path == "/v1/completions" else schemas.CHUNK
    _note_value(path, schemas.ERROR if is_error else kind, data)


def _note_value(path: str, kind: str, body: bytes) -> None:
    try:
        value = json.loads(body)
        found = responses.response_faults(value) if kind == RESPONSE else schemas.faults(kind, value)
    except ValueError as error:
        found = [str(error)]
    _noted.extend(f"{path}, as {kind}: {fault} in {body[:2000]!r}" for fault in found)


class _Body:
    """What was read of one answer."""

    def __init__(self, path: str, asked: Mapping[str, str], status: int, headers: Mapping[str, str]) -> None:
        api, content_type = api_of(path, asked), headers.get("content-type", "")
        self._note: Callable[[bytes, bool], None] = lambda body, whole: note(
            path, status, content_type, body, whole=whole, api=api
        )
        self._read = bytearray()
        self._whole = False
        self._closed = False

    def add(self, data: bytes) -> bytes:
        self._read += data
        return data

    def end(self) -> None:
        self._whole = True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._note(bytes(self._read), self._whole)


class _Stream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, body: _Body) -> None:
        self._stream = stream
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            yield self._body.add(data)
        self._body.end()

    def close(self) -> None:
        self._stream.close()
        self._body.close()


class ValidatedTransport(httpx.HTTPTransport):
    """For httpx.Client."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and listen to the answer."""
        response = super().handle_request(request)
        body = _Body(request.url.path, request.headers, response.status_code, response.headers)
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Stream(response.stream, body)
        return response


class _Stream2(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, body: _Body) -> None:
        self._stream = stream
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for data in self._stream:
            yield self._body.add(data)
        self._body.end()

    def close(self) -> None:
        self._stream.close()
        self._body.close()


class ValidatedTransport2(httpx2.HTTPTransport):
    """For httpx2.Client, which the `openai` SDK uses."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, and listen to the answer."""
        response = super().handle_request(request)
        body = _Body(request.url.path, request.headers, response.status_code, response.headers)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Stream2(response.stream, body)
        return response


class _AsyncStream2(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, body: _Body) -> None:
        self._stream = stream
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._stream:
            yield self._body.add(data)
        self._body.end()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._body.close()


class AsyncValidatedTransport2(httpx2.AsyncHTTPTransport):
    """For httpx2.AsyncClient."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it, and listen to the answer."""
        response = await super().handle_async_request(request)
        body = _Body(request.url.path, request.headers, response.status_code, response.headers)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _AsyncStream2(response.stream, body)
        return response
