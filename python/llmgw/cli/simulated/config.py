"""The demo's config file: every simulated model, its price, and the admin API with the console."""

import json
from typing import Final

from llmgw.cli.simulated.faults import STANDBY
from llmgw.simulator.model import Thinking
from llmgw.simulator.provider import Provider
from llmgw.simulator.providers import PROVIDERS

_LOCALHOST: Final = "127.0.0.1"
_STANDBY_OF: Final = "qwen"
_WITH_STANDBY: Final = "qwen3.6-plus"

PRICES: Final = {
    "qwen3.6-plus": "{input = 2.0, cached_input = 0.4, output = 12.0}",
    "qwen3-max": "{input = 6.0, cached_input = 1.2, output = 24.0}",
    "qwen3-next-80b-a3b-thinking": "{input = 1.0, output = 10.0}",
    "deepseek-v4-pro": "{input = 4.0, cached_input = 0.4, output = 16.0}",
    "deepseek-v4-flash": "{input = 1.0, cached_input = 0.1, output = 4.0}",
    "glm-5": "{input = 4.0, cached_input = 0.8, output = 18.0}",
    "glm-4.6v": "{input = 1.0, cached_input = 0.2, output = 3.0}",
    "glm-5-flash": "{input = 0.5, cached_input = 0.1, output = 2.0}",
    "kimi-k2.6": "{input = 6.0, cached_input = 1.0, output = 25.0}",
    "kimi-k2-thinking": "{input = 4.0, cached_input = 1.0, output = 16.0}",
    "minimax-m3": "{input = 2.5, cached_input = 0.25, output = 10.0}",
    "minimax-m2": "{input = 2.1, cached_input = 0.21, output = 8.4}",
    "text-embedding-v4": "{input = 0.5}",
    "qwen3-rerank": "{input = 0.8}",
}
"""In CNY per million tokens. Made up, as the answers are: look at your provider's page for real ones."""


def demo_config(simulator_port: int, *, admin: bool = True) -> str:
    """The text of the file. `admin`: whether the package that the admin API needs is there."""
    lines = ["[server]", 'log_level = "warning"']
    if admin:
        lines += ["", "[admin]", "enabled = true", "capture = true"]
    for name, provider in PROVIDERS.items():
        lines += _upstream(name, name, provider, simulator_port)
        if name == _STANDBY_OF:
            lines += _upstream(STANDBY, name, provider, simulator_port)
        for model in provider.models:
            lines += ["", "[[models]]", f'id = "{model.id}"']
            lines += [_targets(name, model.id)]
            # A list of plain strings is the same in JSON and TOML.
            lines += [f"input_modalities = {json.dumps(model.input_modalities)}"]
            lines += [f"context_window = {model.context_window}"]
            lines += [f"price = {PRICES[model.id]}"]
            if model.thinking is Thinking.ALWAYS:
                lines += ['thinking_modes = ["on"]']
        for retrieval in provider.retrieval:
            lines += ["", "[[models]]", f'id = "{retrieval.model}"', f'upstream = "{name}"']
            lines += [f'kind = "{retrieval.kind}"', f"price = {PRICES[retrieval.model]}"]
    return "\n".join(lines) + "\n"


def _upstream(name: str, mount: str, provider: Provider, port: int) -> list[str]:
    url = f"http://{_LOCALHOST}:{port}/{mount}"
    lines = ["", f"[upstreams.{name}]", f'base_url = "{url}/v1"', f'api_key = "{provider.api_key}"']
    return lines + [
        f'rerank_url = "{url}/{retrieval.path}"'
        for retrieval in provider.retrieval
        if retrieval.kind == "rerank"
    ]


def _targets(upstream: str, model: str) -> str:
    if model != _WITH_STANDBY:
        return f'upstream = "{upstream}"'
    standby = f'{{upstream = "{STANDBY}", priority = 2}}'
    return f'targets = [{{upstream = "{upstream}"}}, {standby}]'
