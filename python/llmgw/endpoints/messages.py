"""`POST /v1/messages`: Anthropic's Messages, the API of Claude Code."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from llmgw._core import ChatRequest
from llmgw.access.key import Key
from llmgw.endpoints.chat import ChatBody
from llmgw.errors import anthropic_frame
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, scan

MESSAGES_PATH: Final = "/v1/messages"


def read(pieces: Sequence[bytes], gateway: Gateway, key: Key) -> ChatBody:
    """A Messages body in chat's words, to be answered in Anthropic's. Raises ApiError."""
    read_messages = partial(
        ChatRequest.from_messages,
        seal=gateway.seal(key),
        keep_cache_control_of=gateway.router.keep_cache_control_of,
    )
    return ChatBody(scan(read_messages, pieces))


MESSAGES: Final = Endpoint(
    "messages",
    read,
    anthropic_frame,
    limit_headers="anthropic",
    passed_headers=(b"anthropic-version", b"anthropic-beta"),
)
