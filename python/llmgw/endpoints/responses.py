"""`POST /v1/responses`: OpenAI's Responses, the API of Codex."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from llmgw._core import ChatRequest
from llmgw.access.key import Key
from llmgw.endpoints.chat import ChatBody
from llmgw.errors import responses_frame
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, scan

RESPONSES_PATH: Final = "/v1/responses"


def read(pieces: Sequence[bytes], gateway: Gateway, key: Key) -> ChatBody:
    """A Responses body in chat's words, to be answered in that API's. Raises ApiError."""
    return ChatBody(scan(partial(ChatRequest.from_responses, seal=gateway.seal(key)), pieces))


RESPONSES: Final = Endpoint("responses", read, responses_frame)
