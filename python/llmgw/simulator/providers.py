"""Which simulated providers are there?"""

from llmgw.simulator.deepseek import DeepSeek
from llmgw.simulator.glm import Glm
from llmgw.simulator.kimi import Kimi
from llmgw.simulator.minimax import MiniMax
from llmgw.simulator.model import Model
from llmgw.simulator.provider import Provider
from llmgw.simulator.qwen import Qwen

PROVIDERS: dict[str, Provider] = {
    provider.name: provider for provider in (Qwen(), DeepSeek(), Glm(), Kimi(), MiniMax())
}
"""By the name that begins their path."""

MODELS: tuple[Model, ...] = tuple(model for provider in PROVIDERS.values() for model in provider.models)
"""All simulated models, providers in order."""
