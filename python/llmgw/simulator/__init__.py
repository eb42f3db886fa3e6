"""Simulated providers: Qwen, DeepSeek, GLM, Kimi, MiniMax, each with its own dialect and its own refusals.

They let a newcomer try the whole product without a provider account, and serve the tests. There is no model
in them: every answer says that it is simulated.

    python -m llmgw.simulator --port 9100

| mounted at     | models, and whether each thinks where its switch is not given                   |
| -------------- | ------------------------------------------------------------------------------- |
| `/qwen/v1`     | `qwen3.6-plus` (images; on), `qwen3-max` (off), `qwen3-next-80b-a3b-thinking` (always) |
| `/deepseek/v1` | `deepseek-v4-pro` (on), `deepseek-v4-flash` (on)                                |
| `/glm/v1`      | `glm-5` (on), `glm-4.6v` (images; on), `glm-5-flash` (always)                   |
| `/kimi/v1`     | `kimi-k2.6` (images; on), `kimi-k2-thinking` (always)                           |
| `/minimax/v1`  | `minimax-m3` (images; on), `minimax-m2` (always)                                |

The key of each is `sim-` and its name: `sim-qwen`. Each key that goes on behind it (`sim-qwen-2`) is an
account of its own, with a prompt cache (see `cache`). Each module describes its provider's switch.

Each has `GET models` and `POST chat/completions`. DeepSeek and Qwen have `POST completions` too: DeepSeek
also at `/deepseek/beta`, Qwen as vLLM serves it (see `completion`). Where the real ones speak Anthropic's
Messages or OpenAI's Responses, these do too (see `native`):

| API       | where                                                                                |
| --------- | ------------------------------------------------------------------------------------ |
| Messages  | `anthropic/v1/messages` below `/deepseek`, `/glm`, `/kimi`, `/minimax`, `/qwen/apps` |
| Responses | `/deepseek/responses`, `/qwen/compatible-mode/v1/responses`                          |

Qwen also has `text-embedding-v4`, at `/qwen/v1/embeddings`, and `qwen3-rerank`, at
`/qwen/compatible-api/v1/reranks` (see `retrieval`). The server has `GET /healthz` and `GET /_requests` (the
last requests, byte for byte: see `recorder`).

A request may have a member that no real provider knows, `simulate`. A gateway passes it through like any
other unknown member, so an operator can try out slow and failing providers end to end:

    "simulate": {"delay_ms": 20, "chunk_chars": 4, "first_delay_ms": 500, "error_after_chunks": 10}

See `simulation.Simulation` for all of its members.
"""

from llmgw.simulator.model import Model
from llmgw.simulator.providers import MODELS, PROVIDERS

__all__ = ["MODELS", "PROVIDERS", "Model"]
