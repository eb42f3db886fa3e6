"""Embeddings and rerank as DashScope has them: models that write nothing.

A vector is made from the hash of its text, so the same text always has the same one. The relevance of a
document is the share of the query's tokens that it has.
"""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from llmgw.simulator import tokens
from llmgw.simulator.model import JsonObject, Refusal, RefusalError
from llmgw.simulator.simulation import Simulation
from llmgw.simulator.turn import as_uuid

MAX_TEXTS = 10
"""Of one embeddings request."""
DIMENSIONS = (1024, 64, 128, 256, 512, 768, 1536, 2048)
"""That a vector may have; the first if a request does not say."""
MAX_DOCUMENTS = 500
"""Of one rerank request."""


@dataclass(frozen=True)
class RetrievalRequest:
    """The parsed body."""

    body: JsonObject
    simulation: Simulation


class Retrieval(ABC):
    """One model and its API. Instances hold no state."""

    kind: ClassVar[Literal["embedding", "rerank"]]
    """As the gateway's config spells it."""
    model: ClassVar[str]
    path: ClassVar[str]
    """Below the provider's mount."""

    def parse(self, raw: bytes, *, delay_ms: float) -> RetrievalRequest:
        """Raises RefusalError if the body is not JSON, or for another model."""
        try:
            body = json.loads(raw)
        except ValueError:
            raise RefusalError(Refusal.INVALID_REQUEST, "the body is not JSON") from None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise RefusalError(Refusal.INVALID_REQUEST, "model must be a string")
        if body["model"] != self.model:
            told = f"Unsupported model `{body['model']}` for OpenAI compatibility mode."
            raise RefusalError(Refusal.MODEL_NOT_FOUND, told)
        return RetrievalRequest(body, Simulation.parse(body.get("simulate"), delay_ms=delay_ms))

    @abstractmethod
    def answer(self, body: JsonObject, token: str) -> JsonObject:
        """The answer; `token` as in `Turn`. Raises RefusalError as the real provider would."""


class Embeddings(Retrieval):
    """Texts only, a few at a time, and floats only."""

    kind: ClassVar[Literal["embedding", "rerank"]] = "embedding"
    model: ClassVar[str] = "text-embedding-v4"
    path: ClassVar[str] = "v1/embeddings"

    def answer(self, body: JsonObject, token: str) -> JsonObject:
        """See `Retrieval`."""
        texts = _texts(body.get("input"), "contents", most=MAX_TEXTS)
        dimensions = body.get("dimensions", DIMENSIONS[0])
        if dimensions not in DIMENSIONS:
            raise _invalid(f"dimension {dimensions} is not one of {sorted(DIMENSIONS)}", "dimensions")
        if body.get("encoding_format", "float") != "float":
            raise _invalid("encoding_format only supports float", "encoding_format")
        data = [
            {"embedding": vector(text, dimensions), "index": index, "object": "embedding"}
            for index, text in enumerate(texts)
        ]
        total = sum(map(tokens.count, texts))
        usage = {"prompt_tokens": total, "total_tokens": total}
        return {"data": data, "model": self.model, "object": "list", "usage": usage, "id": as_uuid(token)}


class Rerank(Retrieval):
    """Jina's shape, at a path of its own."""

    kind: ClassVar[Literal["embedding", "rerank"]] = "rerank"
    model: ClassVar[str] = "qwen3-rerank"
    path: ClassVar[str] = "compatible-api/v1/reranks"

    def answer(self, body: JsonObject, token: str) -> JsonObject:
        """See `Retrieval`."""
        query = body.get("query")
        if not isinstance(query, str) or not query:
            raise _invalid("query is not a str", "query")
        documents = _texts(body.get("documents"), "documents", most=MAX_DOCUMENTS)
        scores = [relevance(query, document) for document in documents]
        order = sorted(range(len(documents)), key=lambda index: (-scores[index], index))
        results: list[JsonObject] = [
            {"index": index, "relevance_score": scores[index]} for index in order[: body.get("top_n")]
        ]
        if body.get("return_documents") is True:
            for result in results:
                result["document"] = {"text": documents[result["index"]]}
        total = sum(map(tokens.count, [query, *documents]))
        usage = {"total_tokens": total}
        return {
            "object": "list", "results": results, "model": self.model, "id": as_uuid(token), "usage": usage
        }  # fmt: skip


def vector(text: str, dimensions: int) -> list[float]:
    """A vector of length one."""
    raw = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    numbers = [int.from_bytes(raw[at : at + 2], "big") - 32_767.5 for at in range(0, len(raw), 2)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def relevance(query: str, document: str) -> float:
    """Which share of the query's tokens the document has, upper and lower case alike."""
    wanted, had = (set(tokens.split(text.lower())) for text in (query, document))
    return len(wanted & had) / len(wanted) if wanted else 0.0


def _texts(value: object, name: str, *, most: int) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _invalid(f"{name} is neither str nor list of str.", f"input.{name}")
    if len(texts) > most:
        told = f"batch size is invalid, it should not be larger than {most}."
        raise _invalid(told, f"input.{name}")
    return texts


def _invalid(problem: str, place: str) -> RefusalError:
    told = f"<400> InternalError.Algo.InvalidParameter: Value error, {problem}: {place}"
    return RefusalError(Refusal.INVALID_REQUEST, told, code="InvalidParameter")
