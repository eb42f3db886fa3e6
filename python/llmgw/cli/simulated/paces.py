"""How fast the demo's models answered. Made up, as their prices are."""

from typing import Final, NamedTuple


class Pace(NamedTuple):
    """Of one model."""

    first_s: float
    """The median until the first event of a short prompt's answer."""
    tokens_per_s: float
    reasoning: tuple[int, int] = (0, 0)
    """The least and the most tokens of its reasoning, where it reasons."""
    sloppy: float = 0.0
    """How many answers reason although thinking was switched off."""


PACES: Final = {
    "qwen3.6-plus": Pace(0.55, 72, (140, 1500), sloppy=0.03),
    "qwen3-max": Pace(0.7, 48, (200, 1400)),
    "qwen3-next-80b-a3b-thinking": Pace(0.8, 110, (500, 3200)),
    "deepseek-v4-pro": Pace(0.95, 41, (220, 2400), sloppy=0.2),
    "deepseek-v4-flash": Pace(0.42, 95, (90, 800), sloppy=0.12),
    "glm-5": Pace(0.62, 58, (120, 1300), sloppy=0.04),
    "glm-4.6v": Pace(0.9, 50, (100, 700)),
    "glm-5-flash": Pace(0.3, 120, (60, 400)),
    "kimi-k2.6": Pace(0.8, 52, (160, 1600)),
    "kimi-k2-thinking": Pace(1.1, 45, (600, 4200)),
    "minimax-m3": Pace(0.6, 80, (120, 1100)),
    "minimax-m2": Pace(0.65, 76, (150, 1200)),
    "text-embedding-v4": Pace(0.09, 0),
    "qwen3-rerank": Pace(0.14, 0),
}
PREFILL_TOKENS_PER_S: Final = 9000.0
"""How fast a prompt is read that no cache has."""
