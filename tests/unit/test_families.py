"""What names tell."""

from typing import Any

import pytest

from llmgw.config import ModelConfig, TargetConfig

BOTH = ("on", "off")


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("qwen3-next-80b-a3b-thinking", ("on",)),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", ("on",)),
        ("qwen3.5-plus-thinking", ("on",)),
        ("qwq-32b", ("on",)),
        ("qvq-max", ("on",)),
        ("kimi-k2-thinking", ("on",)),
        ("moonshotai/kimi-k2-thinking-turbo", ("on",)),
        ("MiniMax-M2", ("on",)),
        ("minimax-m2.5", ("on",)),
        ("deepseek-r1-0528", ("on",)),
        ("qwen3-235b-a22b-instruct-2507", ("off",)),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", ("off",)),
        ("qwen3-coder-plus", ("off",)),
        ("qwen3.6-plus", BOTH),
        ("qwen3-max", BOTH),
        ("qwen3-32b", BOTH),
        ("kimi-k2.6", BOTH),
        ("minimax-m3", BOTH),
        ("minimax-m25", BOTH),
        ("deepseek-v4-pro", BOTH),
        ("glm-5-flash", BOTH),
        ("gpt-5-thinking", BOTH),
    ],
)
def test_modes_by_name(name: str, modes: tuple[str, ...]) -> None:
    assert ModelConfig(id="m", upstream="u", upstream_model=name).modes == modes
    # The name under which clients know it counts where the upstream's is opaque.
    assert ModelConfig(id=name, upstream="u", upstream_model="ep-2026").modes == modes


@pytest.mark.parametrize(
    ("names", "modes"),
    [
        (("qwen3.6-plus", "glm-5"), BOTH),
        (("qwen3.6-plus", "qwq-32b"), ("on",)),
        (("qwen3-coder-plus", "qwen3.6-plus"), ("off",)),
        (("qwen3-coder-plus", "qwq-32b"), ()),
    ],
)
def test_a_model_has_the_modes_that_all_its_targets_have(
    names: tuple[str, ...], modes: tuple[str, ...]
) -> None:
    targets = tuple(TargetConfig(upstream="u", upstream_model=name) for name in names)
    assert ModelConfig(id="m", targets=targets).modes == modes


def test_a_target_s_own_word_wins_over_its_model_s() -> None:
    own = TargetConfig(upstream="u", thinking_modes=("on",), restore_reasoning=False)
    model = ModelConfig(
        id="m", targets=(own, TargetConfig(upstream="u")), thinking_modes=("off",), restore_reasoning=True
    )
    assert [model.modes_at(target) for target in model.targets] == [("on",), ("off",)]
    assert [model.wants_reasoning_at(target) for target in model.targets] == [False, True]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("deepseek-v4-pro", True),
        ("deepseek-ai/DeepSeek-V3.2", True),
        ("kimi-k2.6", True),
        ("moonshot-v1-8k", True),
        ("qwen3.6-plus", False),
        ("glm-5", False),
        ("minimax-m2", False),
        ("gpt-5", False),
    ],
)
def test_who_wants_reasoning_back(name: str, *, wanted: bool) -> None:
    for word, expected in ((None, wanted), (True, True), (False, False)):
        model = ModelConfig(id="m", upstream="u", upstream_model=name, restore_reasoning=word)
        assert model.wants_reasoning_at(model.targets[0]) is expected


@pytest.mark.parametrize(
    ("name", "refuses"),
    [
        ("qwen3.6-plus", {"developer_role", "minimal_effort", "base64_embeddings"}),
        ("deepseek-v4-pro", {"developer_role", "max_completion_tokens", "minimal_effort"}),
        ("deepseek-r1-distill-qwen-32b", {"developer_role", "max_completion_tokens", "minimal_effort"}),
        (
            "glm-5",
            {"developer_role", "max_completion_tokens", "minimal_effort", "empty_text", "nulls"},
        ),
        ("kimi-k2.6", {"developer_role"}),
        ("minimax-m3", {"developer_role"}),
        ("gemini-3-flash", {"nulls"}),
        ("devstral-2512", {"nulls"}),
        ("gpt-5", set()),
        ("text-embedding-v4", {"developer_role", "minimal_effort", "base64_embeddings"}),
        ("Qwen/Qwen3-Embedding-8B", {"developer_role", "minimal_effort", "base64_embeddings"}),
        ("text-embedding-3-small", set()),
        ("bge-m3", set()),
    ],
)
def test_what_a_family_refuses(name: str, refuses: set[str]) -> None:
    for model_id, upstream_model in (("m", name), (name, "ep-2026")):
        model = ModelConfig(id=model_id, upstream="u", upstream_model=upstream_model)
        assert model.refused_at(model.targets[0]) == refuses


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ({}, {"developer_role", "minimal_effort", "base64_embeddings"}),
        ({"developer_role": "keep"}, {"minimal_effort", "base64_embeddings"}),
        ({"developer_role": "system"}, {"developer_role", "minimal_effort", "base64_embeddings"}),
        ({"refuses": ()}, set()),
        ({"refuses": ("nulls",)}, {"nulls"}),
        ({"refuses": ("nulls",), "developer_role": "system"}, {"nulls", "developer_role"}),
        ({"refuses": ("developer_role",), "developer_role": "keep"}, set()),
    ],
)
def test_the_config_knows_better_what_is_refused(words: dict[str, Any], refused: set[str]) -> None:
    of_model = ModelConfig(id="qwen3-max", upstream="u", **words)
    target = TargetConfig(upstream="u", **words)
    of_target = ModelConfig(id="qwen3-max", targets=(target,), developer_role="keep", refuses=("empty_text",))
    assert of_model.refused_at(of_model.targets[0]) == refused
    if words.keys() == {"refuses", "developer_role"}:
        assert of_target.refused_at(of_target.targets[0]) == refused
