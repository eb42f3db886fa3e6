"""What of an exchange is kept: names, kinds and sizes, and no sentence that somebody else wrote."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from llmgw.simulator.model import JsonObject
from tests.agents.tap import Exchange

_SPOKEN: Final = frozenset(
    ("role", "type", "name", "stream", "store", "effort", "summary", "display", "tool_choice", "model",
     "parallel_tool_calls", "status", "keep", "verbosity", "include", "namespace", "reasoning_effort")
)  # fmt: skip
"""Members whose values are words of an API."""
_CONVERSATION: Final = ("messages", "input")
_QUIET: Final = ("ping", ": keep-alive")
_STEADY: Final = ("headers", "body", "system", "tools")
SAME: Final = "as before"
MAX_WORD_CHARS: Final = 60
HEADERS: Final = ("anthropic-beta", "anthropic-version", "accept", "content-encoding", "originator")
"""Those whose values are kept; of the others only the name."""
_SECRET: Final = ("authorization", "x-api-key")
_OF_THE_RUN: Final = ("host", "connection", "content-length", "accept-encoding", "user-agent")


def shape(value: object, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """The same value with its texts as sizes."""
    match value:
        case dict():
            return {key: shape(each, key) for key, each in value.items()}
        case list():
            return [shape(each, name) for each in value]
        case str() if name not in _SPOKEN or len(value) > MAX_WORD_CHARS:
            return f"text ({len(value)})"
    return value


def exchange(passed: Exchange, earlier: Exchange | None) -> JsonObject:
    """A request and its answer. `earlier`: the one before, whose messages are not told again."""
    body = _json(passed.body)
    told: JsonObject = {"request": f"{passed.method} {passed.path}", "headers": headers(passed)}
    told["body"] = {name: shape(value, name) for name, value in body.items() if name not in _LONG}
    if "system" in body:
        told["system"] = shape(body["system"])
    if "tools" in body:
        told["tools"] = tools(body["tools"])
    for name in _CONVERSATION:
        if name in body:
            before = shape(_json(earlier.body).get(name, [])) if earlier is not None else []
            now = shape(body[name])
            same = _common(before, now)
            told[name] = ([f"the first {same} as before"] if same else []) + now[same:]
    told["status"] = passed.status
    if dropped := _header(passed, "x-llmgw-dropped"):
        told["dropped"] = dropped
    told["answer"] = events(passed)
    return told


_LONG: Final = (*_CONVERSATION, "tools", "system")


def headers(passed: Exchange) -> dict[str, str]:
    """Names, and some values; the key never."""
    told = {}
    for name, value in passed.headers:
        lower = name.lower()
        if lower in HEADERS:
            told[lower] = value
        elif lower in _SECRET:
            told[lower] = "Bearer …" if value.startswith("Bearer ") else "…"
        elif lower not in _OF_THE_RUN:
            told[lower] = f"text ({len(value)})"
    return dict(sorted(told.items()))


def tools(offered: Sequence[JsonObject]) -> list[str]:
    """Type and name of each, those of a namespace behind it."""
    told = []
    for tool in offered:
        name = tool.get("function", tool).get("name", "")
        inner = f": {', '.join(each['name'] for each in tool['tools'])}" if "tools" in tool else ""
        told.append(f"{tool.get('type', 'tool')} {name}".strip() + inner)
    return told


def events(passed: Exchange) -> list[str]:
    """The kinds of a stream's events in order, runs of one kind counted; or the kind of a whole answer."""
    media = _header(passed, "content-type")
    if not media.startswith("text/event-stream"):
        return [f"{media.split(';')[0] or 'nothing'} ({len(passed.answer)})"]
    kinds = [
        kind for block in bytes(passed.answer).split(b"\n\n") if block for kind in _kinds(block.decode())
    ]
    runs = ((kind, sum(1 for _ in run)) for kind, run in groupby(kinds))
    return [kind if number == 1 else f"{kind} × {number}" for kind, number in runs]


def _header(passed: Exchange, wanted: str) -> str:
    """Of the answer; empty if there is none."""
    return next((value for name, value in passed.answer_headers if name.lower() == wanted), "")


def _kinds(block: str) -> Iterator[str]:
    lines = dict(line.partition(":")[::2] for line in block.split("\n") if not line.startswith(":"))
    if "data" not in lines:
        yield block
        return
    data = _json(lines["data"].encode())
    if "choices" in data:
        yield from _chat_kinds(data)
        return
    kind = str(data.get("type") or ("error" if "error" in data else lines["data"].strip()))
    inner = next(
        (data[name].get("type") for name in ("delta", "content_block", "item") if _is(data, name)), None
    )
    yield f"{kind} ({inner})" if inner else kind


def _is(data: JsonObject, name: str) -> bool:
    return isinstance(data.get(name), dict)


def _chat_kinds(data: JsonObject) -> Iterator[str]:
    kinds = []
    for choice in data["choices"]:
        delta = choice.get("delta") or {}
        kinds += [name for name in ("reasoning_content", "content", "tool_calls") if delta.get(name)]
        if choice.get("finish_reason"):
            kinds.append(f"finish_reason {choice['finish_reason']}")
        if not kinds and "role" in delta:
            kinds.append("role")
    if data.get("usage"):
        kinds.append("usage")
    yield " + ".join(kinds) or "nothing"


def shortened(told: Sequence[JsonObject]) -> list[JsonObject]:
    """The same exchanges; what is as in the one before is not told again."""
    pairs = zip(told, ({}, *told), strict=False)
    return [
        {name: SAME if name in _STEADY and each == earlier.get(name) else each for name, each in now.items()}
        for now, earlier in pairs
    ]


def summary(told: Sequence[JsonObject]) -> dict[str, list[str]]:
    """What of a session is the same in each run: which words occur in it, without numbers and order."""
    found: dict[str, set[str]] = {
        name: set() for name in ("request", "headers", "body", "tools", "dropped", "answer")
    }
    for each in told:
        found["request"].add(f"{each['request']} {each['status']}")
        for name in ("headers", "body", "tools"):
            found[name] |= set() if each.get(name) == SAME else set(each.get(name, ()))
        found["dropped"] |= {each["dropped"]} if "dropped" in each else set()
        found["answer"] |= {kind.split(" × ")[0] for kind in each["answer"]} - set(_QUIET)
        for name in _CONVERSATION:
            found["body"] |= {f"{name}: {_words(m)}" for m in each.get(name, ()) if isinstance(m, dict)}
    return {name: sorted(words) for name, words in found.items()}


def _words(message: JsonObject) -> str:
    """Role and kinds of one message or item."""
    parts = message.get("content")
    kinds = sorted({str(part.get("type")) for part in parts}) if isinstance(parts, list) else []
    names = sorted(set(message) - {"content", "role"})
    return " ".join(filter(None, (str(message.get("role", message.get("type", ""))), *kinds, *names)))


def _common(before: list[Any], now: list[Any]) -> int:
    same = 0
    while same < min(len(before), len(now)) and before[same] == now[same]:
        same += 1
    return same


def _json(body: bytes) -> JsonObject:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
