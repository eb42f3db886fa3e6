"""Model id → what serves it, and what a key is told that asks for something else."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.key import Key
from llmgw.config import parse_config
from llmgw.errors import ApiError
from llmgw.routing.router import Router
from llmgw.routing.verdict import Blame

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
    [target] = model.targets.all
    assert (model.id, target.name, "image" in model.modalities) == (model_id, upstream, images)
    assert (target.route.upstream_model, target.route.dialect) == (upstream_model, dialect)


@pytest.mark.parametrize(
    ("upstream", "target", "speaks"),
    [
        ({}, {}, []),
        ({"messages_url": "http://h/v1/messages"}, {}, ["messages"]),
        ({"responses_url": "http://h/v1/responses"}, {}, ["responses"]),
        (
            {"messages_url": "http://h/messages", "responses_url": "http://h/responses"},
            {},
            ["messages", "responses"],
        ),
        ({"messages_url": "http://h/messages"}, {"protocols": ["chat"]}, []),
        (
            {"messages_url": "http://h/messages", "responses_url": "http://h/responses"},
            {"protocols": ["chat", "responses"]},
            ["responses"],
        ),
    ],
)
@pytest.mark.parametrize("at_model", [True, False])
def test_which_apis_a_target_is_asked_in(
    upstream: dict[str, Any], target: dict[str, Any], speaks: list[str], *, at_model: bool
) -> None:
    model = (
        {"id": "m", "upstream": "u", **target}
        if at_model
        else {"id": "m", "targets": [{"upstream": "u", **target}]}
    )
    config = {"upstreams": {"u": {"base_url": "http://h/v1", **upstream}}, "models": [model]}
    [one] = Router(parse_config(config, Path("llmgw.toml"))).models["m"].targets.all
    assert one.route.speaks == speaks


def test_models_of_one_upstream_share_its_connections(router: Router) -> None:
    models = router.models
    first = {name: model.targets.all[0] for name, model in models.items()}
    assert first["qwen3.6-plus"].upstream is first["qwen3-max"].upstream
    assert first["qwen3-max"].upstream is not first["deepseek-v4-pro"].upstream
    assert list(models) == [model["id"] for model in MODELS]


def routed(*models: dict[str, Any], **more: Any) -> tuple[Router, list[tuple[str, int | None, str, bool]]]:  # noqa: ANN401
    """A router, and what it has told about cooling."""
    seen: list[tuple[str, int | None, str, bool]] = []
    config = parse_config({"upstreams": UPSTREAMS, "models": list(models), **more}, Path("llmgw.toml"))
    router = Router(config, observe=lambda *change: seen.append(change))
    router.take_effect()
    return router, seen


SEVERAL: dict[str, Any] = {
    "id": "several",
    "targets": [
        {"upstream": "two", "upstream_model": "qwen3-max", "weight": 3, "priority": 2},
        {"upstream": "one", "upstream_model": "glm-5"},
        {"upstream": "one", "upstream_model": "kimi-k3", "thinking": "directive"},
    ],
}


def test_each_target_has_its_own_route() -> None:
    router, _ = routed(SEVERAL)
    targets = router.models["several"].targets.all
    assert [(t.name, t.route.upstream_model, t.route.dialect, t.weight, t.priority) for t in targets] == [
        ("two", "qwen3-max", "enable_thinking", 3, 2),
        ("one", "glm-5", "thinking_object", 1, 1),
        ("one", "kimi-k3", "directive", 1, 1),
    ]


def test_models_share_what_is_known_of_the_same_model_at_the_same_upstream() -> None:
    alone = {"id": "alone", "upstream": "one", "upstream_model": "glm-5"}
    other = {"id": "other", "upstream": "one"}
    router, seen = routed(SEVERAL, alone, other)
    [only] = router.models["alone"].targets.all
    assert only.health is router.models["several"].targets.all[1].health
    assert [(h.upstream, h.upstream_model, h.may_cool) for h in router.health] == [
        ("two", "qwen3-max", True),
        ("one", "glm-5", True),
        ("one", "kimi-k3", True),
        ("one", "other", False),  # there is nobody else to ask
    ]
    assert seen == [
        ("two", None, "qwen3-max", False),
        ("one", None, "glm-5", False),
        ("one", None, "kimi-k3", False),
    ]


def test_the_config_says_when_a_target_cools_down() -> None:
    routing = {"cool_down_failures": 2, "cool_down_s": 40.0, "max_cool_down_s": 50.0}
    router, seen = routed(SEVERAL, routing=routing)
    target = router.models["several"].targets.all[1]
    for expected in ("up", "cooling"):
        target.health.end(Blame.UPSTREAM, probe=target.health.begin())
        assert target.health.state == expected
    assert 30 < target.health.cooling_s < 50
    assert seen[-1] == ("one", None, "glm-5", True)


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
    before.upstreams["two"].accounts[None].places.used = 3
    upstreams = {**UPSTREAMS, "two": {**UPSTREAMS["two"], "max_in_flight": 7}, "three": UPSTREAMS["one"]}
    after = Router(parse_config({"upstreams": upstreams, "models": MODELS}, Path("llmgw.toml")), before)
    after.take_effect()
    now, then = (
        {name: upstream.accounts[None] for name, upstream in router.upstreams.items()}
        for router in (after, before)
    )
    assert now["one"].client is then["one"].client
    assert now["two"].client is not then["two"].client
    # What is under way there began under the old config, and counts in the new one.
    assert (now["two"].places.used, now["two"].places.limit) == (3, 7)
    old, new = (router.models["vendor/team/kimi-k3"].targets.all[0] for router in (before, after))
    assert new.places is old.places
    # It may be another server by now: what was learned of the old one is forgotten.
    assert new.health is not old.health
    old, new = (router.models["qwen3-max"].targets.all[0] for router in (before, after))
    assert new.health is old.health
    assert now["three"].places is not then["one"].places


@pytest.mark.parametrize(
    ("names", "fallback", "modes"),
    [
        (["minimax-m2"], "error", ("on", "off")),
        (["kimi-k2-thinking"], "error", ("on", "off")),
        (["deepseek-r1", "qwen3-coder-plus"], "error", ("off",)),
        (["qwq-32b", "kimi-k2-thinking"], "error", ("on", "off")),
        (["qwen3-next-80b-a3b-thinking", "minimax-m2"], "error", ("on",)),
        (["qwen3-next-80b-a3b-thinking"], "drop", ("on", "off")),
    ],
)
def test_only_targets_with_a_switch_refuse_a_mode(
    names: list[str], fallback: str, modes: tuple[str, ...]
) -> None:
    targets = [{"upstream": "one", "upstream_model": name} for name in names]
    model = {"id": "m", "targets": targets, "thinking_fallback": fallback}
    config = parse_config({"upstreams": UPSTREAMS, "models": [model]}, Path("llmgw.toml"))
    assert Router(config).models["m"].thinking_modes == modes
