"""Model id → what serves it, and what a key is told that asks for something else."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmgw.config import parse_config
from llmgw.errors import ApiError
from llmgw.keys import Key
from llmgw.routing import Router

UPSTREAMS: dict[str, dict[str, Any]] = {
    "one": {"base_url": "http://127.0.0.1:1/v1", "api_key": "sk-upstream"},
    "two": {"base_url": "https://localhost/v1", "idle_timeout_s": 1},
}
MODELS: list[dict[str, Any]] = [
    {"id": "qwen3.6-plus", "upstream": "one", "input_modalities": ["text", "image"]},
    {"id": "qwen3-max", "upstream": "one"},
    {"id": "vendor/team/kimi-k3", "upstream": "two", "upstream_model": "kimi-k3"},
    {"id": "deepseek-v4-pro", "upstream": "two", "thinking": "thinking_object", "drop": ["seed"]},
    {"id": "deepseek-v4-flash", "upstream": "two", "upstream_stream": "never"},
    {"id": "served-by-vllm", "upstream": "two", "upstream_model": "glm-5"},
]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(parse_config({"upstreams": UPSTREAMS, "models": MODELS}, Path("llmgw.toml")))


def key(*models: str) -> Key:
    """A key for these models; for all if none is named."""
    return Key(1, "", "", b"", frozenset(models) or None, datetime.now(UTC), None, None)


@pytest.mark.parametrize(
    ("model_id", "upstream", "upstream_model", "dialect", "images"),
    [
        ("qwen3.6-plus", "one", "qwen3.6-plus", "enable_thinking", True),
        ("qwen3-max", "one", "qwen3-max", "enable_thinking", False),
        ("vendor/team/kimi-k3", "two", "kimi-k3", "native", False),
        ("deepseek-v4-pro", "two", "deepseek-v4-pro", "thinking_object", False),
        ("deepseek-v4-flash", "two", "deepseek-v4-flash", "directive", False),
        ("served-by-vllm", "two", "glm-5", "thinking_object", False),
    ],
)
def test_resolve(
    router: Router, model_id: str, upstream: str, upstream_model: str, dialect: str, *, images: bool
) -> None:
    model = router.resolve(model_id, key(model_id))
    assert (model.id, model.upstream_name, model.accepts_images) == (model_id, upstream, images)
    assert (model.route.upstream_model, model.route.dialect) == (upstream_model, dialect)


def test_models_of_one_upstream_share_its_connections(router: Router) -> None:
    models = router.models
    assert models["qwen3.6-plus"].upstream is models["qwen3-max"].upstream
    assert models["qwen3-max"].upstream is not models["deepseek-v4-pro"].upstream
    assert list(models) == [model["id"] for model in MODELS]


def refusal(router: Router, model_id: str, asking: Key) -> ApiError:
    with pytest.raises(ApiError) as caught:
        router.resolve(model_id, asking)
    assert caught.value.param == "model"
    return caught.value


def test_unknown_model(router: Router) -> None:
    error = refusal(router, "nothing-like-it", key())
    assert (error.code, error.status) == ("model_not_found", 404)
    assert error.message == (
        "The model 'nothing-like-it' does not exist. GET /v1/models lists what this key may use."
    )


def test_close_matches(router: Router) -> None:
    assert "Did you mean 'qwen3.6-plus'" in refusal(router, "qwen3.6-pluss", key()).message
    assert refusal(router, "deepseek-v4", key()).message.count("'deepseek-v4-") == 2


def test_close_matches_are_only_those_that_the_key_may_use(router: Router) -> None:
    message = refusal(router, "deepseek-v4", key("deepseek-v4-pro")).message
    assert "'deepseek-v4-pro'" in message
    assert "flash" not in message


def test_model_that_the_key_may_not_use(router: Router) -> None:
    error = refusal(router, "qwen3-max", key("qwen3.6-plus"))
    assert (error.code, error.status) == ("model_not_allowed", 403)


def test_an_endless_model_id_is_cut(router: Router) -> None:
    assert len(refusal(router, "x" * 1_000_000, key()).message) < 400


def test_what_a_reload_leaves_alone_keeps_its_connections() -> None:
    before = Router(parse_config({"upstreams": UPSTREAMS, "models": MODELS}, Path("llmgw.toml")))
    before.upstreams["two"].slots.used = 3
    upstreams = {**UPSTREAMS, "two": {**UPSTREAMS["two"], "max_in_flight": 7}, "three": UPSTREAMS["one"]}
    after = Router(parse_config({"upstreams": upstreams, "models": MODELS}, Path("llmgw.toml")), before)
    assert after.upstreams["one"].client is before.upstreams["one"].client
    assert after.upstreams["two"].client is not before.upstreams["two"].client
    # What is under way there began under the old config, and counts in the new one.
    assert (after.upstreams["two"].slots.used, after.upstreams["two"].slots.limit) == (3, 7)
    assert after.models["vendor/team/kimi-k3"].slots is before.models["vendor/team/kimi-k3"].slots
    assert after.upstreams["three"].slots is not before.upstreams["one"].slots
