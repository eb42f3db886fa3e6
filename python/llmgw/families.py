"""What a model's name tells about it: its make, whether it thinks, what it wants back.

A family says only what is certainly true of all its members. Everything here is a function of the config's
table and of the name that an upstream knows the model by, since one model may be served by several.
"""

import re
from typing import Final, NamedTuple

from llmgw.config import BOTH_MODES, ModelConfig, TargetConfig, ThinkingMode


class Family(NamedTuple):
    """Models of one make."""

    name: str
    owned_by: str
    pattern: re.Pattern[str]
    """Found anywhere in a model's name."""
    always_reasons: re.Pattern[str] | None = None
    """Names of those that are known to reason."""
    wants_reasoning: bool = False
    """While it thinks, it refuses an assistant message that called tools and lost its `reasoning_content`."""


def _named(pattern: str) -> re.Pattern[str]:
    # A name begins at the start or after a separator, so that `vendor/qwen3-max` is Qwen and `sqwen` is not.
    return re.compile(rf"(?:^|[/_.:-])(?:{pattern})", re.IGNORECASE)


OTHER: Final = Family("other", "unknown", _named(""))
FAMILIES: Final = (
    # Distilled models name two families (`deepseek-r1-distill-qwen-32b`): the one that made them comes first.
    Family(
        "deepseek",
        "deepseek",
        _named("deepseek"),
        _named("deepseek-v4-|deepseek-r1|deepseek-reasoner"),
        wants_reasoning=True,
    ),
    Family("qwen", "alibaba", _named("qwen|qwq|qvq"), _named("qwq|qvq|qwen3(?:\\.\\d+)?-[^/]*thinking")),
    Family("glm", "zhipu", _named("glm|chatglm")),
    Family(
        "kimi",
        "moonshotai",
        _named("kimi|moonshot"),
        _named("kimi-[^/]*thinking"),
        wants_reasoning=True,
    ),
    Family("minimax", "minimax", _named("minimax|abab"), _named("minimax-m2")),
)

_ALWAYS_THINKS: Final = _named(
    r"qwq|qvq|qwen3(?:\.\d+)?-[^/]*thinking|deepseek-r1|kimi-[^/]*thinking|minimax-m2(?!\d)"
)
_NEVER_THINKS: Final = _named(r"qwen3-(?:[^/]*-)?instruct|qwen3-coder")


def family_of(model: ModelConfig, upstream_model: str | None = None) -> Family:
    """By the upstream's name for the model; by its id where that is opaque (an endpoint's id)."""
    return _family_and_name(model, upstream_model or model.upstream_model)[0]


def thinking_modes(model: ModelConfig, target: TargetConfig) -> tuple[ThinkingMode, ...]:
    """What the switch may ask of a target: the config's word, else what the name says for sure, else both."""
    if target.thinking_modes is not None:
        return tuple(mode for mode in BOTH_MODES if mode in target.thinking_modes)
    _, name = _family_and_name(model, target.upstream_model)
    if _ALWAYS_THINKS.search(name):
        return ("on",)
    return ("off",) if _NEVER_THINKS.search(name) else BOTH_MODES


def model_modes(model: ModelConfig) -> tuple[ThinkingMode, ...]:
    """What all targets of a model have: whichever of them is asked, the switch can be honoured."""
    of_targets = [thinking_modes(model, target) for target in model.targets]
    return tuple(mode for mode in BOTH_MODES if all(mode in modes for modes in of_targets))


def wants_reasoning(model: ModelConfig, target: TargetConfig) -> bool:
    """Whether the reasoning of tool calls is kept for a target, and put back where it is missing."""
    if target.restore_reasoning is not None:
        return target.restore_reasoning
    return family_of(model, target.upstream_model).wants_reasoning


def _family_and_name(model: ModelConfig, upstream_model: str) -> tuple[Family, str]:
    for name in (upstream_model, model.id):
        for family in FAMILIES:
            if family.pattern.search(name):
                return family, name
    return OTHER, upstream_model
