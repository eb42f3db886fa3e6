"""MiniMax's Messages.

`minimax-m2` always thinks, `minimax-m3` unless `thinking` says `disabled`. The signature is a digest of the
thinking. Tokens are counted. Errors have Anthropic's shape, with the status and MiniMax's own code.
"""

import hashlib
from typing import ClassVar

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeRequest
from llmgw.simulator.native.messages import Messages, thinking_type
from llmgw.simulator.turn import Turn

_CODES = {
    Refusal.INVALID_KEY: ("authentication_error", "1004"),
    Refusal.INVALID_REQUEST: ("invalid_request_error", "2013"),
    Refusal.MODEL_NOT_FOUND: ("invalid_request_error", "2013"),
    Refusal.RATE_LIMITED: ("rate_limit_error", "1002"),
    Refusal.SERVER_ERROR: ("api_error", "1000"),
}


class MiniMaxMessages(Messages):
    """See the module."""

    paths: ClassVar[tuple[str, ...]] = ("anthropic/v1/messages",)
    counts_at: ClassVar[tuple[str, ...]] = ("anthropic/v1/messages/count_tokens",)

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """M2: always. M3: unless it is switched off."""
        kind = thinking_type(request.native)
        if kind not in (None, "adaptive", "enabled", "disabled"):
            raise RefusalError(Refusal.INVALID_REQUEST, "invalid params, invalid thinking type")
        return model.thinking is Thinking.ALWAYS or kind != "disabled"

    def signature(self, turn: Turn) -> str:
        """Of the thinking."""
        return hashlib.sha256(turn.answers[0].reasoning.encode()).hexdigest()

    def message_id(self, turn: Turn) -> str:
        """Without a prefix."""
        return turn.token

    def unknown_role(self, index: int, role: str) -> RefusalError:
        """As for chat."""
        del index
        return RefusalError(Refusal.INVALID_REQUEST, f"invalid params, invalid role: {role}")

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """The message ends with the code in brackets."""
        kind, code = _CODES[refusal.kind]
        said = {"type": kind, "message": f"{refusal.message} ({refusal.code or code})"}
        return {
            "type": "error",
            "error": {**said, "http_code": str(refusal.status)},
            "request_id": token,
        }
