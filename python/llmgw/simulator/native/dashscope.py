"""DashScope's Responses, for Qwen.

Switch: `enable_thinking`, a boolean of DashScope's own, else `reasoning.effort`; without either a model does
what it does in chat. Reasoning comes as a summary and need not come back. `previous_response_id` is refused,
as nothing is kept here; other fields that DashScope does not document are ignored. Errors have its own shape.
"""

from typing import ClassVar, Literal

from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeRequest
from llmgw.simulator.native.responses import Responses, effort
from llmgw.simulator.turn import Turn, as_uuid

_TYPES = {
    Refusal.INVALID_KEY: ("invalid_request_error", "invalid_api_key"),
    Refusal.INVALID_REQUEST: ("invalid_request_error", "InvalidParameter"),
    Refusal.MODEL_NOT_FOUND: ("invalid_request_error", "model_not_found"),
    Refusal.RATE_LIMITED: ("limit_requests", "limit_requests"),
    Refusal.SERVER_ERROR: ("internal_error", "internal_error"),
}


class QwenResponses(Responses):
    """See the module."""

    paths: ClassVar[tuple[str, ...]] = (
        "compatible-mode/v1/responses",
        "api/v2/apps/protocols/compatible-mode/v1/responses",
    )
    reasons_in: ClassVar[Literal["summary", "content"]] = "summary"

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """The boolean, else the effort, else the model's own way."""
        if request.native.get("previous_response_id") is not None:
            raise RefusalError(Refusal.INVALID_REQUEST, "previous_response_id does not exist")
        switch = request.native.get("enable_thinking")
        if switch is not None and not isinstance(switch, bool):
            raise RefusalError(Refusal.INVALID_REQUEST, "parameter.enable_thinking must be a boolean")
        if model.thinking is Thinking.ALWAYS and switch is False:
            raise RefusalError(
                Refusal.INVALID_REQUEST, "The value of the enable_thinking parameter is restricted to True."
            )
        if switch is None and effort(request.native) is not None:
            switch = effort(request.native) != "none"
        if switch is None or model.thinking is Thinking.ALWAYS:
            return model.thinking is not Thinking.OFF
        return switch

    def response_id(self, turn: Turn) -> str:
        """A UUID."""
        return as_uuid(turn.token)

    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """DashScope names the request beside the error."""
        kind, code = _TYPES[refusal.kind]
        said = {"message": refusal.message, "type": kind, "param": None, "code": refusal.code or code}
        return {"error": said, "request_id": as_uuid(token)}
