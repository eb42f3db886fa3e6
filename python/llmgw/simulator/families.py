"""The table of all simulated families."""

from llmgw.simulator.deepseek import DeepSeek
from llmgw.simulator.family import Family
from llmgw.simulator.glm import Glm
from llmgw.simulator.kimi import Kimi
from llmgw.simulator.minimax import MiniMax
from llmgw.simulator.model import Model
from llmgw.simulator.qwen import Qwen

FAMILIES: dict[str, Family] = {
    family.name: family for family in (Qwen(), DeepSeek(), Glm(), Kimi(), MiniMax())
}
"""By the name under which they are mounted."""

MODELS: tuple[Model, ...] = tuple(model for family in FAMILIES.values() for model in family.models)
"""All simulated models, families in order."""
