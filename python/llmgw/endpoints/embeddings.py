"""`POST /v1/embeddings`: texts or tokens in, vectors out."""

from collections.abc import Sequence
from typing import Final

from llmgw._core import EmbeddingRequest
from llmgw.access.key import Key
from llmgw.gateway import Gateway
from llmgw.pipeline.body import Endpoint, Plan, scan
from llmgw.routing.router import Model

EMBEDDINGS_PATH: Final = "/v1/embeddings"


class EmbeddingBody:
    """An embeddings body (see `pipeline.body.Body`). There are no streams, no thinking and no turns."""

    __slots__ = ("_request", "model")

    stream: Final = False

    def __init__(self, pieces: Sequence[bytes], gateway: Gateway, key: Key) -> None:  # noqa: ARG002
        """Raises ApiError."""
        self._request = scan(EmbeddingRequest, pieces)
        self.model = self._request.model

    def plan(self, gateway: Gateway, model: Model, key: Key) -> Plan:  # noqa: ARG002
        """Nothing to check: what may be in `input` is for the provider to say."""
        return Plan(self._request.rewrite, self._request.facts)


EMBEDDINGS: Final = Endpoint("embeddings", EmbeddingBody, kind="embedding")
