"""How `llmgw chat` asks a gateway over HTTP."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import httpx

from llmgw.errors import CommandError

_TIMEOUT: Final = httpx.Timeout(10.0, read=300.0)

Chunk = dict[str, Any]
ChatMessage = dict[str, str]


class Question(NamedTuple):
    """What is asked, and of whom."""

    model: str
    messages: Sequence[ChatMessage]
    thinking: bool | None
    """The gateway's switch; None: not sent."""

    def body(self) -> dict[str, Any]:
        """The request."""
        request: dict[str, Any] = {
            "model": self.model,
            "messages": self.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self.thinking is not None:
            request["llmgw_thinking"] = self.thinking
        return request


class Client:
    """A gateway and a key. Raises CommandError for whatever fails."""

    def __init__(self, base_url: str, key: str) -> None:
        """`base_url` with or without `/v1`."""
        self.url = base_url.rstrip("/").removesuffix("/v1")
        try:
            key.encode("ascii")
        except UnicodeEncodeError as error:
            raise CommandError("the API key holds characters that no key has") from error
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def first_model(self) -> str:
        """The first chat model that the key may use."""
        try:
            response = self._http.get("/v1/models")
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        _check(response)
        # An older gateway has only chat models, and names no kinds.
        models = [each for each in response.json()["data"] if each.get("kind", "chat") == "chat"]
        if not models:
            raise CommandError("this key may use no chat model")
        return str(models[0]["id"])

    def chunks(self, question: Question) -> Iterator[Chunk]:
        """The chunks of a streamed answer."""
        try:
            with self._http.stream("POST", "/v1/chat/completions", json=question.body()) as response:
                if response.is_error:
                    response.read()
                    _check(response)
                for data in _data_lines(response.iter_bytes()):
                    if data == b"[DONE]":
                        return
                    chunk = json.loads(data)
                    if "error" in chunk:
                        raise CommandError(_describe(chunk, response))
                    yield chunk
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        raise CommandError("the answer broke off")

    def _unreachable(self, error: httpx.TransportError) -> CommandError:
        problem = f"{self.url}: {type(error).__name__}: {error}"
        return CommandError(f"the gateway can't be reached at {problem}; is llmgw serve running?")


def _data_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The payloads of the gateway's frames, one `data:` line each."""
    # Not `iter_lines`: httpx also ends a line at U+2028, which a JSON string may contain.
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _check(response: httpx.Response) -> None:
    if response.is_error:
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        raise CommandError(_describe(answer, response))


def _describe(answer: object, response: httpx.Response) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return f"the server answered with status {response.status_code}; is this an llmgw gateway?"
    request_id = response.headers.get("x-request-id", "-")
    return (
        f"{error.get('code')}: {error.get('message')} (status {response.status_code}, request {request_id})"
    )
