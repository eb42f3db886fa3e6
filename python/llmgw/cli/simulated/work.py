"""What each key of the demo is used for: through which API, with which models, when, and how much.

Numbers are made up so that they look like a team's of twenty people.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from llmgw.cli.simulated.team import (
    BATCH,
    CLAUDE_CODE,
    CODEX,
    CRAWLER,
    EDITOR,
    HELPDESK,
    INTERN,
    NOTEBOOK,
    WEBUI,
)

OFFICE: Final = (0, 0, 0, 0, 0, 0, 0, 1, 5, 12, 14, 12, 5, 7, 13, 14, 13, 10, 6, 3, 3, 2, 1, 0)
"""How busy each hour of the day is, in the configured time zone."""
SERVICE: Final = (2, 1, 1, 1, 1, 1, 2, 4, 8, 10, 11, 10, 8, 8, 10, 11, 10, 9, 8, 8, 9, 8, 6, 4)
NIGHT: Final = (6, 12, 14, 14, 10, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3)
LATE: Final = (2, 1, 0, 0, 0, 0, 0, 0, 1, 4, 6, 6, 4, 6, 8, 8, 8, 6, 5, 7, 9, 9, 7, 4)

Asks = Mapping[bool | None, int]
"""How many requests of so many switch thinking on or off; None: neither."""
_NEVER_ASKS: Final[Asks] = MappingProxyType({None: 1})


class Work(NamedTuple):
    """What a key is used for. Pairs are the least and the most."""

    key: str
    requests: int
    """In two weeks."""
    api: str
    models: Mapping[str, int]
    """How many of so many sessions are with each."""
    hours: tuple[int, ...]
    weekend: float
    """How busy Saturday and Sunday are, relative to the other days."""
    turns: tuple[int, int]
    """Requests of one session."""
    pause_s: tuple[float, float]
    """Between two of them."""
    prompt: tuple[int, int]
    """Tokens of the first one's prompt."""
    grows: tuple[int, int]
    """Tokens by which the prompt grows with each turn, besides the answer before."""
    output: tuple[int, int]
    """Tokens of an answer, without its reasoning."""
    streams: float = 1.0
    """The share of answers that are streamed."""
    asks: Asks = _NEVER_ASKS
    tools: float = 0.0
    """The share of answers that call a tool."""
    users: tuple[str, ...] = ()
    """Who is behind the key, as the requests name them."""
    retrieval: tuple[str, ...] = ()
    """Models for embeddings and rerank that each turn asks first."""


_FRONT_DESK: Final = ("lin.mei", "zhou.tao", "he.xin", "gao.jun", "ma.li", "tang.yi")

WORKS: Final = (
    Work(
        HELPDESK, 171, "chat", {"qwen3.6-plus": 6, "deepseek-v4-flash": 3}, SERVICE, 0.55,
        turns=(1, 2), pause_s=(8, 90), prompt=(9000, 38_000), grows=(3000, 9000), output=(260, 1400),
        streams=0.8, asks={False: 7, None: 2, True: 1},
        retrieval=("text-embedding-v4", "qwen3-rerank"),
    ),
    Work(
        WEBUI, 118, "chat",
        {"qwen3.6-plus": 4, "glm-5": 3, "kimi-k2.6": 3, "minimax-m3": 2, "deepseek-v4-pro": 2, "glm-4.6v": 1},
        LATE, 0.3,
        turns=(1, 4), pause_s=(20, 240), prompt=(400, 22_000), grows=(100, 4000), output=(300, 2600),
        asks={None: 5, True: 3, False: 2}, users=_FRONT_DESK,
    ),
    Work(
        CLAUDE_CODE, 102, "messages", {"glm-5": 5, "kimi-k2.6": 3, "minimax-m3": 3}, OFFICE, 0.15,
        turns=(5, 12), pause_s=(4, 45), prompt=(38_000, 70_000), grows=(1500, 14_000), output=(90, 1800),
        asks={True: 7, None: 2, False: 2}, tools=0.8, users=("wang.fang", "qian.bo", "feng.lu"),
    ),
    Work(
        CODEX, 70, "responses", {"deepseek-v4-pro": 5, "qwen3-max": 2, "qwen3.6-plus": 2}, OFFICE, 0.2,
        turns=(4, 9), pause_s=(5, 40), prompt=(22_000, 48_000), grows=(1500, 10_000), output=(90, 1500),
        asks={None: 7, False: 2}, tools=0.75,
    ),
    Work(
        EDITOR, 42, "completions", {"qwen3.6-plus": 2, "qwen3-max": 3}, OFFICE, 0.1,
        turns=(1, 6), pause_s=(3, 30), prompt=(300, 2400), grows=(0, 200), output=(8, 90),
        streams=0.5, asks={None: 1},
    ),
    Work(
        BATCH, 44, "chat", {"deepseek-v4-flash": 5, "qwen3-next-80b-a3b-thinking": 2}, NIGHT, 1.0,
        turns=(3, 6), pause_s=(1, 6), prompt=(9000, 60_000), grows=(0, 0), output=(600, 2600),
        streams=0.0, asks={None: 3, False: 2},
    ),
    Work(
        NOTEBOOK, 33, "chat", {"kimi-k2-thinking": 3, "minimax-m2": 2, "glm-4.6v": 2, "glm-5": 1}, LATE, 1.2,
        turns=(1, 3), pause_s=(30, 300), prompt=(800, 26_000), grows=(200, 3000), output=(400, 3200),
        streams=0.6, asks={None: 4, True: 3, False: 1},
    ),
    Work(
        INTERN, 14, "chat", {"glm-5-flash": 3, "qwen3.6-plus": 2}, OFFICE, 0.1,
        turns=(2, 5), pause_s=(1, 8), prompt=(80, 700), grows=(20, 300), output=(80, 600),
    ),
    Work(
        CRAWLER, 6, "embeddings", {"text-embedding-v4": 1}, SERVICE, 1.0,
        turns=(2, 3), pause_s=(1, 4), prompt=(4000, 30_000), grows=(0, 0), output=(0, 0), streams=0.0,
    ),
)  # fmt: skip
"""Together 600 requests."""
