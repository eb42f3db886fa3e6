"""LiteLLM's proxy (Python)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.gateway.peers.base import (
    PEERS_DIR,
    Launch,
    install_python_package,
    not_installed,
    python_package_version,
)
from benches.gateway.processes import LOCALHOST, free_port
from benches.gateway.workloads import UPSTREAM_MODELS

VERSION: Final = "1.106.2"
_PROGRAM: Final = PEERS_DIR / "litellm" / "bin" / "litellm"
_KEY: Final = "sk-bench"


@dataclass(frozen=True)
class LiteLlm:
    """The version of the figures in the project's notes."""

    name: str = "litellm"
    settings: str = (
        f"`litellm[proxy]` {VERSION}, one uvicorn worker, master key, `LITELLM_MODE=PRODUCTION`, "
        "`LITELLM_LOG=ERROR`, `set_verbose: false`, `json_logs: true`, `request_timeout: 600` "
        "([production checklist](https://docs.litellm.ai/docs/proxy/prod)); no database, so no spend log; "
        "up to 4,096 upstream connections instead of 500, for the thousand streams; "
        "`LITELLM_LOCAL_MODEL_COST_MAP=True` keeps it from the network"
    )

    def absent(self) -> str | None:
        """Unless installed."""
        return not_installed(self.name, _PROGRAM)

    def install(self) -> None:
        """From its wheel. Raises BenchError."""
        install_python_package(self.name, f"litellm[proxy]=={VERSION}")

    def version(self) -> str:
        """Of the wheel."""
        return python_package_version(self.name, "litellm")

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """Its config is YAML, of which JSON is a part."""
        port = free_port()
        models = [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"openai/{upstream_model}",
                    "api_base": f"http://{LOCALHOST}:{upstream_port}/v1",
                    "api_key": "mock",
                    # A parameter that OpenAI's API does not have must be allowed by name.
                    "allowed_openai_params": ["enable_thinking"],
                },
            }
            for model, upstream_model in UPSTREAM_MODELS.items()
        ]
        config = folder / "litellm.yaml"
        settings = {"set_verbose": False, "json_logs": True, "request_timeout": 600}
        config.write_text(json.dumps({"model_list": models, "litellm_settings": settings}), "utf-8")
        arguments = ["--config", str(config), "--host", LOCALHOST, "--port", str(port), "--num_workers", "1"]
        return Launch(
            command=[str(_PROGRAM), *arguments],
            port=port,
            health="/health/liveliness",
            env={
                "LITELLM_MODE": "PRODUCTION",
                "LITELLM_LOG": "ERROR",
                "LITELLM_MASTER_KEY": _KEY,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                # Otherwise its 501st request to one provider waits for another to end.
                "AIOHTTP_CONNECTOR_LIMIT": "4096",
                "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "4096",
            },
            headers={"authorization": f"Bearer {_KEY}"},
        )
