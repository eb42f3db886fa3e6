"""What limits and prices count of a request, a second time: plain Python over parsed JSON.

It follows the rules at the head of rust/core/src/request/facts.rs and shares nothing with them.
"""

import json
from typing import Any, NamedTuple, Protocol, TypeGuard

from llmgw._core import RequestFacts

Json = dict[str, Any]

MEDIA = {
    "image_url", "video_url", "input_audio", "audio_url", "image", "input_image", "video", "input_video",
    "audio", "file", "input_file",
}  # fmt: skip
BY_MEMBER = ("image_url", "video_url", "input_audio", "audio_url")
READ_OF_A_MESSAGE = ("content", "reasoning_content", "tool_calls", "function_call", "reasoning", "refusal")
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
WHITE_SPACE = " \t\r\n"
TOKEN_BYTES = 4
MAX_CHOICES = 128
MAX_OUTPUT_TOKENS = 100_000_000


class Facts(NamedTuple):
    """The properties of a request, the user apart."""

    text_bytes: int
    images: int
    max_output_tokens: int | None
    choices: int


class Scanned(Protocol):
    """Any of the core's requests."""

    @property
    def facts(self) -> RequestFacts:
        """See `RequestFacts`."""


def facts_of(request: Scanned) -> Facts:
    """Those that the core has found."""
    return Facts(*(getattr(request.facts, name) for name in Facts._fields))


def chat(body: bytes) -> Facts:
    """Of a chat body in which no key comes twice."""
    members, written = json.loads(body), _written(body)
    text_bytes, images = 0, 0
    for message in members["messages"]:
        for name in READ_OF_A_MESSAGE:
            value = message.get(name)
            if name == "content" and isinstance(value, list):
                found = [_part(part) for part in value]
                text_bytes += sum(text for text, _ in found)
                images += sum(media for _, media in found)
            else:
                text_bytes += _strings(value)
    for name in ("tools", "response_format", "functions"):
        if members.get(name) is not None:
            text_bytes += _bytes(written[name])
    return Facts(text_bytes + _others(members), images, _limit(members, least=1), _choices(members))


def completion(body: bytes) -> Facts:
    """Of a body of text completions."""
    members = json.loads(body)
    prompt = members["prompt"]
    text_bytes, images = _inputs(prompt)
    prompts = sum(not _is_number(each) for each in prompt) if isinstance(prompt, list) else 1
    limits = [_limit(members, least=1), _limit({"max_tokens": members.get("max_tokens")}, least=0)]
    limit = min((each for each in limits if each is not None), default=None)
    return Facts(text_bytes + _others(members), images, limit, _choices(members) * max(prompts, 1))


def retrieval(body: bytes, *fields: str) -> Facts:
    """Of a body of embeddings or rerank, where these fields are read."""
    members = json.loads(body)
    found = [_inputs(members.get(field)) for field in fields]
    text_bytes = sum(text for text, _ in found) + _others(members)
    return Facts(text_bytes, sum(media for _, media in found), None, 1)


def _written(body: bytes) -> dict[str, str]:
    """The members of an object as they are written."""
    text, at, members = body.decode("utf-8", "surrogatepass"), 0, {}
    decoder = json.JSONDecoder()

    def skip(signs: str) -> None:
        nonlocal at
        while text[at] in WHITE_SPACE + signs:
            at += 1

    skip("{")
    while text[at] != "}":
        name, at = decoder.raw_decode(text, at)
        skip(":")
        _, end = decoder.raw_decode(text, at)
        members[name], at = text[at:end], end
        skip(",")
    return members


def _bytes(text: str) -> int:
    """In UTF-8; half of a surrogate pair has half of the pair's."""
    return sum(2 if "\ud800" <= sign <= "\udfff" else len(sign.encode()) for sign in text)


def _strings(value: object) -> int:
    match value:
        case str():
            return _bytes(value)
        case list():
            return sum(map(_strings, value))
        case dict():
            return sum(map(_strings, value.values()))
    return 0


def _part(part: object) -> tuple[int, int]:
    """The text of a content part, and how many media it is."""
    if not isinstance(part, dict):
        return _strings(part), 0
    kind = part.get("type")
    if any(part.get(name) is not None for name in BY_MEMBER) or (isinstance(kind, str) and kind in MEDIA):
        return _strings(part.get("text")), 1
    return _strings({name: value for name, value in part.items() if name != "type"}), 0


def _inputs(value: object) -> tuple[int, int]:
    match value:
        case list():
            found = [(TOKEN_BYTES, 0) if _is_number(each) else _inputs(each) for each in value]
        case dict():
            found = [
                (0, int(each is not None)) if name in MEDIA else _inputs(each) for name, each in value.items()
            ]
        case _:
            return _strings(value), 0
    return sum(text for text, _ in found), sum(media for _, media in found)


def _others(members: Json) -> int:
    return sum(_strings(members.get(name)) for name in ("suffix", "instruct", "instruction"))


def _limit(members: Json, *, least: int) -> int | None:
    given = [members.get(name) for name in LIMITS]
    sensible = [
        each for each in given if _is_number(each) and each % 1 == 0 and least <= each <= MAX_OUTPUT_TOKENS
    ]
    return int(min(sensible)) if sensible else None


def _choices(members: Json) -> int:
    given = [members.get(name) for name in ("n", "best_of")]
    most = [min(each, MAX_CHOICES) for each in given if _is_number(each) and each % 1 == 0 and each < 1e15]
    return int(max(1, *most)) if most else 1


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
