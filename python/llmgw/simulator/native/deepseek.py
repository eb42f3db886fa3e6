"""DeepSeek's Messages and Responses.

Messages: `thinking: {"type": …}`, on by default. A thinking block is signed with the message's id, a UUID.
While thinking is on, a request with `tools` must bring the thinking block of every answer back, with a
signature, which may be empty. Errors have OpenAI's shape.

Responses: `reasoning.effort`, on unless it is `none`. Stateless: `previous_response_id` is ignored. Reasoning
is told as `reasoning_text`, and must come back in the same way while `tools` are given.
"""

from typing import ClassVar, Literal

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError
from llmgw.simulator.native.api import NativeRequest
from llmgw.simulator.native.messages import Messages, answers_without_thinking, thinking_type
from llmgw.simulator.native.responses import Responses, answers_without_reasoning, effort
from llmgw.simulator.turn import Turn, as_uuid

_TYPES = {
    Refusal.INVALID_KEY: "authentication_error",
    Refusal.RATE_LIMITED: "rate_limit_error",
    Refusal.SERVER_ERROR: "internal_error",
}


def _error(refusal: RefusalError) -> JsonObject:
    kind = _TYPES.get(refusal.kind, "invalid_request_error")
    return {"error": {"message": refusal.message, "type": kind, "param": None, "code": refusal.code or kind}}


def _unknown(place: str, role: str, known: str) -> RefusalError:
    return RefusalError(
        Refusal.INVALID_REQUEST,
        f"Failed to deserialize the JSON body into the target type: {place}: unknown variant `{role}`, "
        f"expected one of {known}",
    )


def _lost(member: str) -> RefusalError:
    return RefusalError(
        Refusal.INVALID_REQUEST, f"The `{member}` in the thinking mode must be passed back to the API."
    )


class DeepSeekMessages(Messages):
    """See the module."""

    paths: ClassVar[tuple[str, ...]] = ("anthropic/v1/messages", "anthropic/messages")

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """On, unless it is switched off."""
        del model
        kind = thinking_type(request.native)
        if kind not in (None, "enabled", "adaptive", "disabled"):
            raise _unknown("thinking.type", str(kind), "`enabled`, `adaptive`, `disabled`")
        thinking = kind != "disabled"
        if thinking and answers_without_thinking(request.native, calls_only=not request.tools):
            raise _lost("content[].thinking")
        return thinking

    def signature(self, turn: Turn) -> str:
        """The message's id."""
        return self.message_id(turn)

    def message_id(self, turn: Turn) -> str:
        """A UUID."""
        return as_uuid(turn.token)

    def unknown_role(self, index: int, role: str) -> RefusalError:
        """As its other APIs word it."""
        return _unknown(f"messages[{index}].role", role, "`user`, `assistant`, `system`")

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """OpenAI's shape, on this path too."""
        del token
        return _error(refusal)


class DeepSeekResponses(Responses):
    """See the module."""

    paths: ClassVar[tuple[str, ...]] = ("responses", "v1/responses")
    reasons_in: ClassVar[Literal["summary", "content"]] = "content"

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """On, unless the effort is `none`."""
        del model
        thinking = effort(request.native) != "none"
        if thinking and request.tools and answers_without_reasoning(request.native):
            raise _lost("reasoning_text")
        return thinking

    def response_id(self, turn: Turn) -> str:
        """A UUID."""
        return as_uuid(turn.token)

    def unknown_role(self, index: int, role: str) -> RefusalError:
        """As its other APIs word it."""
        return _unknown(f"input[{index}].role", role, "`user`, `assistant`, `system`, `developer`")

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """OpenAI's shape."""
        del token
        return _error(refusal)
