"""A wrong model id → what may have been meant, at a price that does not grow with the number of models."""

from datetime import UTC, datetime
from unittest.mock import patch

import pytest

from llmgw.access.key import Key
from llmgw.routing.suggest import _COMPARED, _LOOKED_AT, Suggestions

MANY = [f"vendor-{letter}/model-{number:03}" for letter in "abcdefghij" for number in range(100)]


def key(*models: str) -> Key:
    return Key(1, "", "", b"", frozenset(models) or None, datetime.now(UTC), None, None)


@pytest.mark.parametrize(
    ("known", "wrong", "models", "best"),
    [
        (["qwen3.6-plus", "glm-5"], "qwen3.6-pluss", (), "qwen3.6-plus"),
        (["qwen3.6-plus", "glm-5"], "Qwen3.6-plus", (), "qwen3.6-plus"),
        (["qwen3.6-plus", "glm-5"], "wen3.6-plus", (), "qwen3.6-plus"),
        (["qwen3.6-plus", "glm-5"], "qwen3.6-pluss", ("glm-5",), None),
        (["qwen3.6-plus"], "something else", (), None),
        ([], "qwen3.6-plus", (), None),
        (MANY, "vendor-e/model-050x", (), "vendor-e/model-050"),
        (MANY, "vendor-e/model-5", ("vendor-e/model-055",), "vendor-e/model-055"),
        (MANY, "VENDOR-e/model-050", (), "vendor-e/model-050"),
        (MANY, "zzz", (), None),
    ],
)
def test_close_names(known: list[str], wrong: str, models: tuple[str, ...], best: str | None) -> None:
    assert next(iter(Suggestions(known).for_(wrong, key(*models))), None) == best


def test_few_names_are_compared_however_many_there_are() -> None:
    suggestions = Suggestions(MANY * 10)
    with patch("difflib.get_close_matches", return_value=[]) as compare:
        suggestions.for_("vendor-e/model-050x", key())
    [(_, compared), _] = compare.call_args
    assert len(compared) == _COMPARED
    with patch.object(Key, "may_use", return_value=False) as may_use:
        assert suggestions.for_("vendor-e/model-050x", key("nothing")) == []
    assert may_use.call_count == _LOOKED_AT


def test_all_names_are_looked_at_from_the_nearest_on() -> None:
    suggestions = Suggestions(["d", "a", "c", "b"])
    assert sorted(suggestions._around("bb")) == ["a", "b", "c", "d"]
    assert list(suggestions._around("bb"))[:2] == ["c", "b"]
    assert list(suggestions._around("z")) == ["d", "c", "b", "a"]
