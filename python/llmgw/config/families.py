"""What does a model's name say: who makes it, does it think, does it need its reasoning back?

Only this module knows model names, apart from the thinking dialects (`_core.dialect_for`). A family states
only what is true of all its members. Each function takes the upstream's name for the model and, because that
may be opaque (an endpoint's id), the model's id.
"""

import re
from typing import Final, Literal, NamedTuple, get_args

ThinkingMode = Literal["on", "off"]
Refused = Literal[
    "developer_role",
    "empty_text",
    "nulls",
    "max_completion_tokens",
    "minimal_effort",
    "base64_embeddings",
]
"""What a provider may refuse or pass over: it gets the same in other words, see `_core.Route`."""
BOTH_MODES: Final[tuple[ThinkingMode, ...]] = get_args(ThinkingMode)
"""The modes that a thinking switch may ask for."""


class Family(NamedTuple):
    """Models of one maker."""

    name: str
    owned_by: str
    pattern: re.Pattern[str]
    """Searched for anywhere in a model's name."""
    always_reasons: re.Pattern[str] | None = None
    """Names of members that are known to reason."""
    refuses: frozenset[Refused] = frozenset()
    """What its makers' own API is known to refuse, or to pass over without a word."""
    wants_reasoning: bool = False
    """When thinking, it refuses an assistant message with tool calls but without its `reasoning_content`."""


def _named(pattern: str) -> re.Pattern[str]:
    # A name begins at the start or after a separator, so that `vendor/qwen3-max` is Qwen and `sqwen` is not.
    return re.compile(rf"(?:^|[/_.:-])(?:{pattern})", re.IGNORECASE)


def _set(*refused: Refused) -> frozenset[Refused]:
    return frozenset(refused)


OTHER: Final = Family("other", "unknown", _named(""))
FAMILIES: Final = (
    # A distilled model has two families in its name (`deepseek-r1-distill-qwen-32b`), its maker first.
    Family(
        "deepseek",
        "deepseek",
        _named("deepseek"),
        _named("deepseek-v4-|deepseek-r1|deepseek-reasoner"),
        refuses=_set("developer_role", "max_completion_tokens", "minimal_effort"),
        wants_reasoning=True,
    ),
    Family(
        "qwen",
        "alibaba",
        # The last ones are embeddings and rerank; OpenAI's embeddings have no `v` before their number.
        _named("qwen|qwq|qvq|text-embedding-v\\d|tongyi-embedding|gte-rerank"),
        _named("qwq|qvq|qwen3(?:\\.\\d+)?-[^/]*thinking"),
        # To DashScope `max_completion_tokens` is another limit than `max_tokens`: it covers the reasoning.
        # Its embeddings are floats only.
        refuses=_set("developer_role", "minimal_effort", "base64_embeddings"),
    ),
    Family(
        "glm",
        "zhipu",
        _named("glm|chatglm"),
        # It checks each member of a message, and names those that it does not like (1214).
        refuses=_set("developer_role", "max_completion_tokens", "minimal_effort", "empty_text", "nulls"),
    ),
    Family(
        "kimi",
        "moonshotai",
        _named("kimi|moonshot"),
        _named("kimi-[^/]*thinking"),
        refuses=_set("developer_role"),
        wants_reasoning=True,
    ),
    Family(
        "minimax",
        "minimax",
        _named("minimax|abab"),
        _named("minimax-m2"),
        refuses=_set("developer_role"),
    ),
    # These two check the type of each member of a message as well.
    Family("gemini", "google", _named("gemini"), refuses=_set("nulls")),
    Family(
        "mistral",
        "mistralai",
        _named("mistral|mixtral|ministral|magistral|codestral|devstral|pixtral"),
        refuses=_set("nulls"),
    ),
)

_ALWAYS_THINKS: Final = _named(
    r"qwq|qvq|qwen3(?:\.\d+)?-[^/]*thinking|deepseek-r1|kimi-[^/]*thinking|minimax-m2(?!\d)"
)
_NEVER_THINKS: Final = _named(r"qwen3-(?:[^/]*-)?instruct|qwen3-coder")
_REASONS_INLINE: Final = re.compile(r"minimax-m[23](?!\d)", re.IGNORECASE)


def family_of(upstream_model: str, model_id: str) -> Family:
    """By the upstream's name for the model, else by its id."""
    return _family_and_name(upstream_model, model_id)[0]


def thinking_modes(upstream_model: str, model_id: str) -> tuple[ThinkingMode, ...]:
    """The thinking modes that a model's name implies; both if it implies none."""
    _, name = _family_and_name(upstream_model, model_id)
    if _ALWAYS_THINKS.search(name):
        return ("on",)
    return ("off",) if _NEVER_THINKS.search(name) else BOTH_MODES


def reasons_inline(upstream_model: str) -> bool:
    """True if the reasoning is in the content (MiniMax's is, unless `reasoning_split` is sent)."""
    return _REASONS_INLINE.match(upstream_model) is not None


def _family_and_name(upstream_model: str, model_id: str) -> tuple[Family, str]:
    for name in (upstream_model, model_id):
        for family in FAMILIES:
            if family.pattern.search(name):
                return family, name
    return OTHER, upstream_model
