"""`POST /v1/responses`: OpenAI's Responses, the API of Codex."""

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from llmgw._core import ChatRequest, responses_head
from llmgw.access.key import Key
from llmgw.endpoints.chat import ChatBody
from llmgw.errors import ApiError
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Body, Endpoint, Plan, scan
from llmgw.pipeline.offload import off_loop
from llmgw.routing.router import Model

RESPONSES_PATH: Final = "/v1/responses"


def read(pieces: Sequence[bytes], gateway: Gateway, key: Key) -> Body:
    """A Responses body in chat's words, to be answered in that API's. Raises ApiError."""
    if gateway.responses is None:
        return ChatBody(scan(partial(ChatRequest.from_responses, seal=gateway.seal(key)), pieces))
    model, stream, previous = scan(responses_head, pieces)
    body = KeptBody(pieces, model, previous, stream=stream)
    if previous is None:
        body.convert(gateway, key, None)
    return body


class KeptBody:
    """A body whose conversation is kept, or goes on with a kept one (see `pipeline.body.Body`)."""

    __slots__ = ("_pieces", "_previous", "_request", "model", "stream")

    def __init__(self, pieces: Sequence[bytes], model: str, previous: str | None, *, stream: bool) -> None:
        """`previous`: the response after which the conversation goes on."""
        self.model = model
        self.stream = stream
        self._pieces = pieces
        self._previous = previous
        self._request: ChatRequest | None = None

    def convert(self, gateway: Gateway, key: Key, kept_items: bytes | None) -> ChatRequest:
        """In chat's words, with what was kept before it. Raises ApiError."""
        convert = partial(
            ChatRequest.from_responses, seal=gateway.seal(key), keeps=True, kept_items=kept_items
        )
        self._request = scan(convert, self._pieces)
        self._pieces = ()
        return self._request

    async def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan:
        """That of a chat body; and the conversation is kept when the answer is complete."""
        responses, request = gateway.responses, self._request
        if responses is None:
            raise ApiError("internal_error", "The gateway failed on this request.")
        if request is None:
            kept = await responses.items(key, self._previous or "")
            request = await off_loop(partial(self.convert, gateway, key, kept))
        plan = ChatBody(request).plan(gateway, model, key)
        if not isinstance(plan, Plan):
            plan = await plan
        items = request.kept_items
        if items is None:
            return plan
        return plan._replace(keep_answer=partial(responses.keep, key, items, off_loop=off_loop))


def error_frame(error: ApiError, request_id: str, instead_of: bytes) -> bytes:
    """A response that has failed, where the last block would have completed it (see `Endpoint`)."""
    del request_id
    frames = [frame for frame in instead_of.split(b"\n\n") if not frame.startswith(b":")]
    number = _sequence_number(frames[0])
    response = _event(instead_of.rstrip(b"\n").rpartition(b"\n\n")[2]).get("response")
    event: dict[str, Any]
    if not isinstance(response, dict):
        event = {"type": "error", "code": _CODE, "message": error.message, "param": None}
    else:
        failed = {"code": _CODE, "message": error.message}
        told: dict[str, Any] = {
            "status": "failed",
            "error": failed,
            "incomplete_details": None,
            "output": [],
            "usage": None,
        }
        event = {"type": "response.failed", "response": response | told}
    data = json.dumps(event | {"sequence_number": number}, ensure_ascii=False, separators=(",", ":"))
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data.encode("utf-8", "replace"))


_CODE: Final = "server_error"
"""Of the codes that OpenAI has for a failed response: Codex asks again after it."""
_READ_BYTES: Final = 262_144
"""A longer event is not read: it would keep the event loop."""
_TAIL_BYTES: Final = 64
_AT_THE_END: Final = re.compile(rb'"sequence_number":(\d{1,18})\}$')


def _sequence_number(frame: bytes) -> int:
    """Of an event that is too long to be read, what its end says: there the gateway writes it."""
    number = _event(frame).get("sequence_number")
    if isinstance(number, int):
        return number
    found = _AT_THE_END.search(frame[-_TAIL_BYTES:])
    return int(found[1]) if found else 0


def _event(frame: bytes) -> dict[str, Any]:
    """The data of one event; nothing of one that is too long, or no object."""
    data = next((line[6:] for line in frame.split(b"\n") if line.startswith(b"data: ")), b"")
    if len(data) > _READ_BYTES:
        return {}
    try:
        event = json.loads(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


RESPONSES: Final = Endpoint("responses", read, error_frame)
