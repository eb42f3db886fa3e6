"""`POST /v1/rerank`: a query and documents in, their relevance out, in Jina's shape or Cohere's."""

from collections.abc import Sequence
from typing import Final

from llmgw._core import RerankRequest
from llmgw.access.key import Key
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, Plan, scan
from llmgw.routing.router import Model

RERANK_PATH: Final = "/v1/rerank"


class RerankBody:
    """A rerank body (see `pipeline.body.Body`). There are no streams, no thinking and no turns."""

    __slots__ = ("_request", "model")

    stream: Final = False

    def __init__(self, pieces: Sequence[bytes], gateway: Gateway, key: Key) -> None:  # noqa: ARG002
        """Raises ApiError."""
        self._request = scan(RerankRequest, pieces)
        self.model = self._request.model

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan:  # noqa: ARG002
        """Nothing to check: what may be in `documents` is for the provider to say."""
        return Plan(self._request.rewrite, self._request.facts)


RERANK: Final = Endpoint("rerank", RerankBody, kind="rerank")
