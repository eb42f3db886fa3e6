"""`POST /v1/completions`: text completions, the API before chat (vLLM, DeepSeek's FIM, edit predictions)."""

from collections.abc import Sequence
from typing import Final

from llmgw._core import CompletionRequest
from llmgw.access.key import Key
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, Plan, scan
from llmgw.routing.router import Model

COMPLETIONS: Final = "/v1/completions"


class CompletionBody:
    """A text completion's body (see `pipeline.body.Body`). It has no images, no thinking and no turns."""

    __slots__ = ("_request", "model", "stream")

    def __init__(self, pieces: Sequence[bytes], gateway: Gateway, key: Key) -> None:  # noqa: ARG002
        """Raises ApiError."""
        self._request = scan(CompletionRequest, pieces)
        self.model = self._request.model
        self.stream = self._request.stream

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan:  # noqa: ARG002
        """Nothing to check: the prompt is a text."""
        return Plan(self._request.rewrite, self._request.facts)


TEXT: Final = Endpoint("completions", CompletionBody)
