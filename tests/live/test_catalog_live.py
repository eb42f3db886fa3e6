"""`/v1/models` and `/v1/model-catalog` of a running gateway."""

from urllib.parse import quote

import pytest

from llmgw.simulator import MODELS, Model
from tests.support.gateway import MORE_MODELS, Gateway

MEMBERS = {
    "id",
    "object",
    "family",
    "owned_by",
    "modalities",
    "context_window",
    "max_output_tokens",
    "capabilities",
    "thinking",
}
DIALECTS = {
    "qwen": "enable_thinking",
    "deepseek": "directive",
    "glm": "thinking_object",
    "kimi": "native",
    "minimax": "native",
}
ALWAYS_THINKING = ("qwen3-next-80b-a3b-thinking", "kimi-k2-thinking", "minimax-m2")
"""Known by their names; `glm-5-flash` is not."""


def test_the_lists(gateway: Gateway) -> None:
    expected = [model.id for model in MODELS] + [model.id for model in MORE_MODELS]
    for path in ("/v1/models", "/v1/model-catalog"):
        listed = gateway.get(path).json()
        assert listed["object"] == "list"
        assert [entry["id"] for entry in listed["data"]] == expected
        for entry in listed["data"]:
            assert gateway.get(f"{path}/{entry['id']}").json() == entry


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_an_entry(gateway: Gateway, model: Model) -> None:
    entry = gateway.get(f"/v1/model-catalog/{model.id}").json()
    assert set(entry) >= MEMBERS
    assert (entry["id"], entry["family"]) == (model.id, model.provider)
    assert entry["modalities"] == {"input": model.input_modalities, "output": ["text"]}
    assert (entry["context_window"], entry["max_output_tokens"]) == (model.context_window, None)
    dialect = DIALECTS[model.provider]
    modes = ["on"] if model.id in ALWAYS_THINKING else ["on", "off"]
    effective = dialect != "native" and len(modes) == 2
    assert entry["thinking"] == {"dialect": dialect, "switch_effective": effective, "modes": modes}


def test_the_config_wins_over_the_pattern(gateway: Gateway) -> None:
    entry = gateway.get("/v1/model-catalog/deepseek-by-object").json()
    assert entry["thinking"] == {
        "dialect": "thinking_object",
        "switch_effective": True,
        "modes": ["on", "off"],
    }
    assert entry["context_window"] is None


@pytest.mark.parametrize("spelling", ["vendor/team/kimi", quote("vendor/team/kimi", safe="")])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/model-catalog"])
def test_ids_with_slashes(gateway: Gateway, path: str, spelling: str) -> None:
    assert gateway.get(f"{path}/{spelling}").json()["id"] == "vendor/team/kimi"


def test_an_openai_model_object(gateway: Gateway) -> None:
    model = gateway.get("/v1/models/glm-5").json()
    assert set(model) >= {"id", "object", "created", "owned_by"}
    assert model["context_length"] == model["max_model_len"] == 204_800
    assert model["object"] == "model"
    assert isinstance(model["created"], int)


@pytest.mark.parametrize("path", ["/v1/models/nothing", "/v1/model-catalog/nothing"])
def test_unknown_models(gateway: Gateway, path: str) -> None:
    answer = gateway.get(path)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
