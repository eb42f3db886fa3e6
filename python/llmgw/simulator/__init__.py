"""Simulated providers: Qwen, DeepSeek, GLM, Kimi, MiniMax, each with its own dialect and its own refusals.

They are here so that a newcomer sees the whole product work without a provider account, and for the tests.
They are no models: every answer says that it is simulated.

    python -m llmgw.simulator --port 9100

| mounted at     | models, and whether each thinks where its switch is not given                   |
| -------------- | ------------------------------------------------------------------------------- |
| `/qwen/v1`     | `qwen3.6-plus` (images; on), `qwen3-max` (off), `qwen3-next-80b-a3b-thinking` (always) |
| `/deepseek/v1` | `deepseek-v4-pro` (on), `deepseek-v4-flash` (on)                                |
| `/glm/v1`      | `glm-5` (on), `glm-4.6v` (images; on), `glm-5-flash` (always)                   |
| `/kimi/v1`     | `kimi-k2.6` (images; on), `kimi-k2-thinking` (always)                           |
| `/minimax/v1`  | `minimax-m3` (images; on), `minimax-m2` (always)                                |

The key of each is `sim-` and its name: `sim-qwen`. What its switch is, its module says.

Each has `GET models` and `POST chat/completions`; besides them stand `GET /healthz` and `GET /_requests`
(what came in, byte for byte: see `recorder`).

A request can carry one member that no provider knows, `simulate`. It passes through a gateway like any
other unknown member, so an operator can rehearse slow and failing providers end to end:

    "simulate": {"delay_ms": 20, "chunk_chars": 4, "first_delay_ms": 500, "error_after_chunks": 10}

See `simulation.Simulation` for all of its members.
"""

from llmgw.simulator.model import Model
from llmgw.simulator.providers import MODELS, PROVIDERS

__all__ = ["MODELS", "PROVIDERS", "Model"]
