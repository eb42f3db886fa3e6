"""What the core does, written in Python the usual way: parse, change, dump.

Each piece does the work that the contract asks for on the corpus, no more: it knows nothing of CR line ends,
depth limits or tool-call repair, so a comparison with it favours Python. Frames that need no change keep
their bytes here too.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson

Json = dict[str, Any]


class Library(NamedTuple):
    """A JSON library: `loads` from bytes, `dumps` to bytes."""

    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


def _stdlib_dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


LIBRARIES: Final = {
    "orjson": Library(orjson.loads, orjson.dumps),
    "json": Library(json.loads, _stdlib_dumps),
}

FIELD_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "model": (str,),
    "messages": (list,),
    "max_tokens": (int, float),
    "temperature": (int, float),
    "top_p": (int, float),
    "seed": (int,),
    "stream": (bool,),
    "stream_options": (dict,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "enable_thinking": (bool,),
    "llmgw_thinking": (bool,),
    "response_format": (dict,),
    "stop": (str, list),
    "reasoning_effort": (str,),
}


def first_image(messages: list[Json]) -> str | None:
    """The path of the first `image_url` part."""
    for number, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list):
            for part_number, part in enumerate(content):
                if part.get("type") == "image_url":
                    return f"messages[{number}].content[{part_number}]"
    return None


def rewrite(library: Library, body: bytes, upstream_model: str) -> bytes:
    """Check a request and rewrite it for an upstream of the `enable_thinking` dialect."""
    request = library.loads(body)
    for field, types in FIELD_TYPES.items():
        value = request.get(field)
        if value is not None and not isinstance(value, types):
            raise TypeError(field)
    first_image(request["messages"])
    request["model"] = upstream_model
    compatible, own = request.pop("enable_thinking", None), request.pop("llmgw_thinking", None)
    thinking = compatible if own is None else own
    if thinking is not None:
        request["enable_thinking"] = thinking
    if request.get("stream"):
        request["stream_options"] = {**(request.get("stream_options") or {}), "include_usage": True}
    return library.dumps(request)


class FrameSplitter:
    """SSE with LF line ends and one `data:` line per event: bytes in, payloads out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the events that are complete now."""
        *events, self._rest = (self._rest + data).split(b"\n\n")
        return [event[6:] for event in events if event.startswith(b"data: ")]


class Transformer:
    """A provider's stream in, a normalised stream out."""

    def __init__(self, library: Library, *, include_usage: bool) -> None:
        self._library = library
        self._splitter = FrameSplitter()
        self._include_usage = include_usage
        self._with_role: set[int] = set()
        self._last: Json = {}
        self._usage_frame = b""
        self.usage: Json | None = None
        self.finish_reason: str | None = None
        self.reasoning_seen = False

    def feed(self, data: bytes) -> bytes:
        """The whole frames that come of `data`."""
        return b"".join(
            b"data: %b\n\n" % frame
            for payload in self._splitter.feed(data)
            for frame in self._frames(payload)
        )

    def _frames(self, payload: bytes) -> list[bytes]:
        if payload == b"[DONE]":
            return (
                [self._usage_frame or self._made_usage_frame(), payload] if self._include_usage else [payload]
            )
        chunk = self._last = self._library.loads(payload)
        usage = chunk.get("usage")
        if usage is not None:
            self.usage = usage
        if not chunk["choices"]:
            self._usage_frame = payload if usage is not None else b""
            return []
        changed = usage is not None
        if changed:
            del chunk["usage"]
        for choice in chunk["choices"]:
            changed |= self._normalise(choice)
        return [self._library.dumps(chunk) if changed else payload]

    def _normalise(self, choice: Json) -> bool:
        """Make one choice what the contract says; True where that changed it."""
        delta, index, changed = choice["delta"], choice["index"], False
        if "reasoning" in delta:
            delta["reasoning_content"] = delta.pop("reasoning")
            changed = True
        if delta.get("reasoning_content"):
            self.reasoning_seen = True
        if index not in self._with_role:
            self._with_role.add(index)
            if delta.get("role") != "assistant":
                delta["role"] = "assistant"
                changed = True
        elif "role" in delta:
            del delta["role"]
            changed = True
        if "tool_calls" in delta and delta["tool_calls"] is None:
            del delta["tool_calls"]
            changed = True
        if "finish_reason" not in choice:
            choice["finish_reason"] = None
            changed = True
        self.finish_reason = choice["finish_reason"] or self.finish_reason
        return changed

    def _made_usage_frame(self) -> bytes:
        """The usage chunk that a provider did not send as one."""
        head = {name: self._last[name] for name in ("id", "created", "model")}
        return self._library.dumps(
            {**head, "object": "chat.completion.chunk", "choices": [], "usage": self.usage}
        )


class Merger:
    """A provider's stream in, one `chat.completion` out."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._splitter = FrameSplitter()
        self._choices: dict[int, Json] = {}
        self._content: dict[int, list[str]] = {}
        self._head: Json = {}
        self._usage: Json | None = None

    def feed(self, data: bytes) -> None:
        """Take in what a read gave."""
        for payload in self._splitter.feed(data):
            if payload == b"[DONE]":
                continue
            chunk = self._library.loads(payload)
            self._head = self._head or {name: chunk[name] for name in ("id", "created", "model")}
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk["choices"]:
                self._add(choice)

    def _add(self, choice: Json) -> None:
        index = choice["index"]
        if index not in self._choices:
            self._choices[index] = {"index": index, "finish_reason": None}
            self._content[index] = []
        self._content[index].append(choice["delta"].get("content") or "")
        self._choices[index]["finish_reason"] = (
            choice.get("finish_reason") or self._choices[index]["finish_reason"]
        )

    def completion(self) -> bytes:
        """The answer as one object, without any reasoning."""
        choices = [
            {**choice, "message": {"role": "assistant", "content": "".join(self._content[index])}}
            for index, choice in sorted(self._choices.items())
        ]
        return self._library.dumps(
            {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage}
        )
