"""`POST /v1/chat/completions`."""

from collections.abc import Awaitable, Sequence
from typing import Final, Self

from llmgw._core import ChatRequest
from llmgw.access.key import Key
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, Plan, scan
from llmgw.pipeline.offload import LARGE_BYTES, off_loop
from llmgw.routing.router import Model

CHAT_COMPLETIONS: Final = "/v1/chat/completions"


class ChatBody:
    """A chat completion's body (see `pipeline.body.Body`)."""

    __slots__ = ("_request", "model", "stream")

    def __init__(self, request: ChatRequest) -> None:
        """`request`: the scanned body, converted if it came in another API's words."""
        self._request = request
        self.model = request.model
        self.stream = request.stream

    @classmethod
    def read(cls, pieces: Sequence[bytes], gateway: Gateway, key: Key) -> Self:  # noqa: ARG003
        """Scan a chat body. Raises ApiError."""
        return cls(scan(ChatRequest, pieces))

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan | Awaitable[Plan]:
        """Images and other media, the thinking switch, and reasoning that the client may have lost."""
        request = self._request
        model.check_media(request)
        model.check_thinking(request)
        if model.wants_reasoning:
            return self._with_reasoning(gateway, model, key)
        return Plan(request.rewrite, request.facts, request)

    async def _with_reasoning(self, gateway: Gateway, model: Model, key: Key) -> Plan:
        is_large = self._request.size_bytes >= LARGE_BYTES
        reasoning = gateway.reasoning.of(
            self._request, model.routes, key, off_loop=off_loop if is_large else None
        )
        return Plan(await reasoning.rewriter(), self._request.facts, self._request, reasoning.keep)


CHAT: Final = Endpoint("chat", ChatBody.read)
