"""What `/v1/models` and `/v1/model-catalog` say."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmgw.access.key import Key
from llmgw.config import Config, ModelConfig, parse_config
from llmgw.routing.catalog import Catalog

Json = dict[str, Any]


def config(*models: Json) -> Config:
    tables = [{"upstream": "u", **model} for model in models]
    return parse_config({"upstreams": {"u": {"base_url": "http://h"}}, "models": tables}, Path("llmgw.toml"))


def key(*models: str) -> Key:
    """A key for these models; for all if none is named."""
    return Key(1, "", "", b"", frozenset(models) or None, datetime.now(UTC), None, None)


def entry(model: Json, dialect: str = "native") -> Json:
    body: Json = json.loads(Catalog(config(model), {model["id"]: dialect}).entry(model["id"]))
    return body


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("qwen3.6-plus", "qwen"),
        ("Qwen/Qwen3-8B", "qwen"),
        ("qwq-32b", "qwen"),
        ("deepseek-v4-pro", "deepseek"),
        ("deepseek-ai/DeepSeek-V4-Flash", "deepseek"),
        ("deepseek-r1-distill-qwen-32b", "deepseek"),
        ("glm-5", "glm"),
        ("zai-org/GLM-5", "glm"),
        ("chatglm3-6b", "glm"),
        ("kimi-k3", "kimi"),
        ("moonshot-v1-8k", "kimi"),
        ("MiniMax-M3", "minimax"),
        ("abab6.5", "minimax"),
        ("gpt-5", "other"),
        ("sqwen", "other"),
        ("notglm-1", "other"),
    ],
)
def test_families(name: str, family: str) -> None:
    assert ModelConfig(id=name, upstream="u").family.name == family


def test_the_id_tells_where_the_upstream_s_name_is_opaque() -> None:
    assert ModelConfig(id="kimi-k3", upstream="u", upstream_model="ep-20261123").family.name == "kimi"
    assert ModelConfig(id="kimi-k3", upstream="u", upstream_model="glm-5").family.name == "glm"


def test_an_entry_of_which_nothing_is_known() -> None:
    assert entry({"id": "m"}) == {
        "id": "m",
        "object": "model_catalog_entry",
        "kind": "chat",
        "family": "other",
        "owned_by": "unknown",
        "modalities": {"input": ["text"], "output": ["text"]},
        "context_window": None,
        "max_output_tokens": None,
        "capabilities": {
            "streaming": True,
            "tools": None,
            "vision": False,
            "reasoning": None,
            "json_mode": None,
        },
        "thinking": {"dialect": "native", "switch_effective": False, "modes": ["on", "off"]},
    }


def test_the_config_s_facts_go_on_top() -> None:
    model = {
        "id": "vendor/qwen3.6-plus",
        "owned_by": "us",
        "input_modalities": ["text", "image"],
        "output_modalities": ["text", "audio"],
        "context_window": 1_000_000,
        "max_output_tokens": 65_536,
        "capabilities": {"tools": True, "reasoning": False},
    }
    assert entry(model, "enable_thinking") == {
        "id": "vendor/qwen3.6-plus",
        "object": "model_catalog_entry",
        "kind": "chat",
        "family": "qwen",
        "owned_by": "us",
        "modalities": {"input": ["text", "image"], "output": ["text", "audio"]},
        "context_window": 1_000_000,
        "max_output_tokens": 65_536,
        "capabilities": {
            "streaming": True,
            "tools": True,
            "vision": True,
            "reasoning": False,
            "json_mode": None,
        },
        "thinking": {"dialect": "enable_thinking", "switch_effective": True, "modes": ["on", "off"]},
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deepseek-v4-pro", True),
        ("minimax-m2", True),
        ("minimax-m3", None),
        ("qwen3-next-80b-a3b-thinking", True),
        ("qwen3-coder", None),
        ("kimi-k2-thinking", True),
        ("glm-4-9b", None),
    ],
)
def test_reasoning_is_claimed_only_where_it_is_certain(name: str, *, expected: bool | None) -> None:
    assert entry({"id": name})["capabilities"]["reasoning"] is expected


@pytest.mark.parametrize(
    ("dialect", "effective"),
    [
        ("enable_thinking", True),
        ("directive", True),
        ("thinking_object", True),
        ("chat_template_kwargs", True),
        ("native", False),
    ],
)
def test_switch_effective(dialect: str, *, effective: bool) -> None:
    modes = ["on", "off"]
    said = entry({"id": "m"}, dialect)["thinking"]
    assert said == {"dialect": dialect, "switch_effective": effective, "modes": modes}


@pytest.mark.parametrize(
    ("model", "modes"),
    [
        ({"id": "qwen3-next-80b-a3b-thinking"}, ["on"]),
        ({"id": "qwen3-coder-plus"}, ["off"]),
        ({"id": "qwen3.6-plus", "thinking_modes": ["off"]}, ["off"]),
        ({"id": "qwen3.6-plus", "thinking_modes": ["off", "on"]}, ["on", "off"]),
    ],
)
def test_modes(model: Json, modes: list[str]) -> None:
    said = entry(model, "enable_thinking")["thinking"]
    assert (said["modes"], said["switch_effective"]) == (modes, len(modes) == 2)


def test_models_are_openai_s_and_say_what_clients_look_for() -> None:
    known = {
        "id": "glm-5",
        "context_window": 200_000,
        "max_output_tokens": 98_304,
        "input_modalities": ["text", "image"],
    }
    catalog = Catalog(config({"id": "a/b"}, known), {"a/b": "native", "glm-5": "native"})
    text = ["text"]
    assert json.loads(catalog.models(key())) == {
        "object": "list",
        "data": [
            {
                "id": "a/b",
                "object": "model",
                "created": 0,
                "owned_by": "unknown",
                "kind": "chat",
                "modalities": {"input": text, "output": text},
                "architecture": {"input_modalities": text, "output_modalities": text},
            },
            {
                "id": "glm-5",
                "object": "model",
                "created": 0,
                "owned_by": "zhipu",
                "context_length": 200_000,
                "context_window": 200_000,
                "max_context_length": 200_000,
                "max_model_len": 200_000,
                "max_output_tokens": 98_304,
                "max_completion_tokens": 98_304,
                "kind": "chat",
                "modalities": {"input": ["text", "image"], "output": text},
                "architecture": {"input_modalities": ["text", "image"], "output_modalities": text},
            },
        ],
    }
    assert json.loads(catalog.model("a/b"))["id"] == "a/b"


@pytest.mark.parametrize(
    ("allowed", "expected"), [((), ["a", "b", "c"]), (("c", "a"), ["a", "c"]), (("zzz",), [])]
)
def test_lists_hold_what_the_key_may_use(allowed: tuple[str, ...], expected: list[str]) -> None:
    models = [{"id": model_id} for model_id in ("a", "b", "c")]
    catalog = Catalog(config(*models), dict.fromkeys(("a", "b", "c"), "native"))
    for body in (catalog.models(key(*allowed)), catalog.entries(key(*allowed))):
        assert [model["id"] for model in json.loads(body)["data"]] == expected
