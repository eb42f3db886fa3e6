"""Streams of the doors beside chat, read as a client reads them: what was said, and how it ended."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Door = Literal["chat", "messages", "responses"]
PATHS: dict[Door, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
SHOWING_REASONING: dict[Door, dict[str, Any]] = {
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "responses": {"reasoning": {"effort": "high", "summary": "auto"}},
}
"""What each asks for reasoning with."""


@dataclass
class Told:
    """What one stream told."""

    text: str = ""
    reasoning: str = ""
    arguments: str = ""
    finish_reason: str | None = None
    """In the API's own words; None where the stream did not come to its normal end."""
    tokens: int | None = None
    """Output tokens."""
    error: dict[str, Any] | None = None
    kinds: list[str] = field(default_factory=list)
    """The events' types, in their order."""


def events_of(body: bytes) -> Iterator[dict[str, Any]]:
    """The data of each event, whose `event:` line must name its type. Comments may stand between events."""
    for frame in body.decode().split("\n\n"):
        lines = [line for line in frame.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        name, data = lines
        event: dict[str, Any] = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", frame
        yield event


def read_stream(door: Door, body: bytes) -> Told:
    """A whole stream. AssertionError where it goes on after its end."""
    told = Told()
    read = _messages if door == "messages" else _responses
    for event in events_of(body):
        assert told.error is None, f"{event['type']} after an error"
        assert told.finish_reason is None or event["type"] == "message_stop", f"{event['type']} after the end"
        told.kinds.append(event["type"])
        read(told, event)
    return told


def _messages(told: Told, event: dict[str, Any]) -> None:
    match event["type"]:
        case "content_block_delta":
            delta = event["delta"]
            told.text += delta.get("text", "")
            told.reasoning += delta.get("thinking", "")
            told.arguments += delta.get("partial_json", "")
        case "message_delta":
            told.finish_reason = event["delta"]["stop_reason"]
            told.tokens = event["usage"]["output_tokens"]
        case "error":
            error = event["error"]
            told.error = {"code": error["type"], "message": error["message"]}


def _responses(told: Told, event: dict[str, Any]) -> None:
    match event["type"]:
        case "response.output_text.delta":
            told.text += event["delta"]
        case "response.reasoning_summary_text.delta":
            told.reasoning += event["delta"]
        case "response.function_call_arguments.delta":
            told.arguments += event["delta"]
        case "response.completed" | "response.incomplete":
            told.finish_reason = event["response"]["status"]
            usage = event["response"]["usage"]
            told.tokens = usage and usage["output_tokens"]
        case "response.failed":
            told.error = event["response"]["error"]


def read_whole(door: Door, body: bytes) -> Told:
    """A whole answer's text, end and tokens."""
    answer: dict[str, Any] = json.loads(body)
    if door == "messages":
        blocks, finish = answer["content"], answer["stop_reason"]
    else:
        messages = [item for item in answer["output"] if item["type"] == "message"]
        blocks, finish = [part for item in messages for part in item["content"]], answer["status"]
    text = "".join(block.get("text", "") for block in blocks)
    return Told(text=text, finish_reason=finish, tokens=answer["usage"]["output_tokens"])
