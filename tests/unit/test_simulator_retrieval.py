"""The simulated embeddings and rerank: what they answer, and what they refuse as DashScope does."""

import math
from typing import Any

import pytest

from llmgw.simulator.model import RefusalError
from llmgw.simulator.retrieval import Embeddings, Rerank, relevance, vector

Body = dict[str, Any]


@pytest.mark.parametrize(
    ("api", "body", "told"),
    [
        (Embeddings(), {}, "contents is neither str nor list of str."),
        (Embeddings(), {"input": []}, "contents is neither str nor list of str."),
        (Embeddings(), {"input": [1]}, "contents is neither str nor list of str."),
        (Embeddings(), {"input": ["a"] * 11}, "batch size is invalid, it should not be larger than 10."),
        (Embeddings(), {"input": "a", "encoding_format": "base64"}, "encoding_format only supports float"),
        (Embeddings(), {"input": "a", "dimensions": 3}, "dimension 3 is not one of"),
        (Rerank(), {"documents": ["a"]}, "query is not a str"),
        (Rerank(), {"query": "a", "documents": [{}]}, "documents is neither str nor list of str."),
        (Rerank(), {"query": "a", "documents": ["a"] * 501}, "it should not be larger than 500."),
    ],
)
def test_refusals(api: Embeddings | Rerank, body: Body, told: str) -> None:
    with pytest.raises(RefusalError) as caught:
        api.answer(body, "0" * 32)
    assert told in caught.value.message
    assert caught.value.status == 400


def test_a_vector_is_its_text_s_own_and_of_length_one() -> None:
    assert vector("a", 64) == vector("a", 64) != vector("b", 64)
    assert len(vector("a", 2048)) == 2048
    assert math.isclose(math.hypot(*vector("a", 1024)), 1.0)


@pytest.mark.parametrize(
    ("query", "document", "share"),
    [
        ("red wine", "Wine, red", 1.0),
        ("red wine", "wine", 0.5),
        ("红酒", "红茶", 0.5),
        ("a", "b", 0.0),
        (" ", "b", 0.0),
    ],
)
def test_relevance(query: str, document: str, share: float) -> None:
    assert relevance(query, document) == share
