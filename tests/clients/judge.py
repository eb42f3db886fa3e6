"""What a client saw beside what the gateway promised. A cell passes only where every part was looked at."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.clients.scenarios import Promise, Refusal

PARTS = ("text", "reasoning", "tool_calls", "finish_reason", "usage")


def faults(
    promised: Promise | None,
    refusal: Refusal | None,
    seen: Mapping[str, Any] | None,
    *,
    cannot: Mapping[str, str],
    message: str | None = None,
) -> list[str]:
    """Everything that is wrong, in words; empty where the promise was kept.

    `cannot` names the parts that this client has no place for; that it left them out is checked too, so that
    a reason that no longer holds is found. `message` is what the gateway says in an error, from a plain HTTP
    request of the same kind.
    """
    if seen is None:
        return ["it said nothing about this case"]
    if refusal is not None:
        return _refusal_faults(promised, refusal, seen, cannot, message)
    if seen["error"] is not None:
        return [f"an error: {seen['error']}"]
    if promised is None:
        return ["it did not ask"]
    found = [fault for part in PARTS for fault in _part_faults(part, promised, seen, cannot)]
    if "tool_calls" not in cannot:
        found += _id_faults(seen.get("tool_calls") or [])
    after = promised.text_after_tools
    if after is not None and after not in seen.get("text_after_tools", ""):
        found.append(f"after the tool's result: {seen.get('text_after_tools')!r} without {after!r}")
    return found


def _part_faults(
    part: str, promised: Promise, seen: Mapping[str, Any], cannot: Mapping[str, str]
) -> Iterator[str]:
    if part in cannot:
        if seen.get(part):
            yield f"{part} was seen, so this is no longer true: {cannot[part]}"
    elif part not in seen:
        yield f"{part} was not looked at"
    elif (got := _plain(part, seen[part])) != (wanted := _plain(part, getattr(promised, part))):
        yield f"{part}: {got!r} instead of {wanted!r}"


def _refusal_faults(
    promised: Promise | None,
    refusal: Refusal,
    seen: Mapping[str, Any],
    cannot: Mapping[str, str],
    message: str | None,
) -> list[str]:
    error = seen["error"]
    if error is None:
        return [f"no error was raised; the text was {seen.get('text')!r}"]
    found = []
    for part, wanted in (("status", refusal.status), ("code", refusal.code)):
        if f"error.{part}" not in cannot and error.get(part) != wanted:
            found.append(f"{part} {error.get(part)!r} instead of {wanted!r}")
    if not message or message not in str(error.get("message")):
        found.append(f"the message {error.get('message')!r} lacks {message!r}")
    if refusal.status is None:
        text, whole = seen.get("text", ""), promised.text if promised else ""
        if not text or text == whole or not whole.startswith(text):
            found.append(f"before the error came {text!r}, which is no beginning of {whole!r}")
        if seen.get("finish_reason") in {"stop", "length", "tool_calls"}:
            found.append(f"it took the broken stream for one that ended by {seen['finish_reason']}")
    return found


def _plain(part: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A part without what clients may write differently: the blanks around a text, how arguments are held."""
    if part in {"text", "reasoning"}:
        # MiniMax writes line breaks around `<think>`.
        return value.strip()
    if part == "tool_calls":
        return [_call(call) for call in value]
    return value


def _call(call: Any) -> tuple[str, Any]:  # noqa: ANN401 - any JSON value
    name, arguments = (call["name"], call["arguments"]) if isinstance(call, dict) else call
    return name, json.loads(arguments) if isinstance(arguments, str) else arguments


def _id_faults(calls: list[dict[str, Any]]) -> list[str]:
    ids = [call.get("id") for call in calls]
    return [] if all(ids) and len(set(ids)) == len(ids) else [f"the ids of the calls: {ids}"]
