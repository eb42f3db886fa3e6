"""OpenAI's Responses: its events as a client reads them, and the openai SDK's types as their schemas."""

import json
from functools import cache
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

PATH = "/v1/responses"
LAST = ("response.completed", "response.incomplete", "response.failed")


@cache
def _event() -> TypeAdapter[Any]:
    # It is a union of some sixty models: made where it is needed.
    return TypeAdapter(ResponseStreamEvent)


def event_faults(event: dict[str, Any]) -> list[str]:
    """What of an event does not fit the SDK's type for it."""
    try:
        _event().validate_python(event)
    except ValidationError as error:
        return [str(fault) for fault in error.errors(include_url=False)]
    return []


def response_faults(response: dict[str, Any]) -> list[str]:
    """What of a response does not fit the SDK's type for it."""
    try:
        Response.model_validate(response)
    except ValidationError as error:
        return [str(fault) for fault in error.errors(include_url=False)]
    return []


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events that came whole. Their names are their types, their numbers rise from 0 by one."""
    events: list[dict[str, Any]] = []
    for frame in stream.split(b"\n\n")[:-1]:
        if frame.startswith(b":"):
            continue
        name, data = frame.split(b"\ndata: ")
        event = json.loads(data)
        assert name == b"event: " + event["type"].encode(), frame
        assert event["sequence_number"] == len(events), frame
        events.append(event)
    return events
