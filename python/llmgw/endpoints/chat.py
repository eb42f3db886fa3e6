"""`POST /v1/chat/completions`."""

from collections.abc import Awaitable, Sequence
from typing import Final

from llmgw._core import ChatRequest, Exchange
from llmgw.access.key import Key
from llmgw.errors import ApiError
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Plan, scan
from llmgw.routing.router import Model

CHAT_COMPLETIONS: Final = "/v1/chat/completions"


class ChatBody:
    """A chat completion's body (see `pipeline.body.Body`)."""

    __slots__ = ("_request", "model", "stream")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Raises ApiError."""
        self._request = scan(ChatRequest, pieces)
        self.model = self._request.model
        self.stream = self._request.stream

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan | Awaitable[Plan]:
        """Images, the thinking switch, and reasoning that the client may have lost."""
        request = self._request
        if request.first_image is not None and not model.accepts_images:
            message = f"The model {model.id!r} takes no images. GET /v1/model-catalog tells which models do."
            raise ApiError("unsupported_modality", message, param=request.first_image)
        model.check_thinking(request)
        return self._with_reasoning(gateway, model, key) if model.wants_reasoning else Plan(request.rewrite)

    async def _with_reasoning(self, gateway: Gateway, model: Model, key: Key) -> Plan:
        request = self._request

        async def keep_reasoning(exchange: Exchange) -> None:
            await gateway.reasoning.keep(exchange, request, key)

        return Plan(await gateway.reasoning.rewriter(request, model.routes, key), keep_reasoning)
