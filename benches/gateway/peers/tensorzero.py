"""TensorZero: its Python wheel holds the whole gateway (Rust) and can serve it over HTTP."""

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
from benches.gateway.processes import LOCALHOST
from benches.gateway.workloads import UPSTREAM_MODELS

VERSION: Final = "2026.5.2"
_PROGRAM: Final = PEERS_DIR / "tensorzero" / "bin" / "python"
# What `tensorzero.patch_openai_client` does; afterwards Python only sleeps.
_SERVER: Final = """\
import signal
import sys
from tensorzero.tensorzero import _start_http_gateway

gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class TensorZero:
    """The release before 2026.6."""

    name: str = "tensorzero"
    settings: str = (
        f"wheel {VERSION}, its embedded HTTP gateway, `observability.enabled = false` "
        "([configuration](https://www.tensorzero.com/docs/gateway/configuration-reference)), no keys, "
        "log level error; the guide to [latency and throughput]"
        "(https://www.tensorzero.com/docs/deployment/optimize-latency-and-throughput) only tunes the "
        "observability that is off here"
    )

    def absent(self) -> str | None:
        """Unless installed."""
        return not_installed(self.name, _PROGRAM)

    def install(self) -> None:
        """From its wheel. Raises BenchError."""
        install_python_package(self.name, f"tensorzero=={VERSION}")

    def version(self) -> str:
        """Of the wheel."""
        return python_package_version(self.name, "tensorzero")

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """It chooses its port itself."""
        config = folder / "tensorzero.toml"
        lines = ["[gateway]", "observability.enabled = false"]
        lines += ["[object_storage]", 'type = "disabled"']  # images are refused where it says nothing of it
        for model, upstream_model in UPSTREAM_MODELS.items():
            lines += [f"[models.{model}]", 'routing = ["mock"]', f"[models.{model}.providers.mock]"]
            lines += ['type = "openai"', f'model_name = "{upstream_model}"', 'api_key_location = "none"']
            lines += [f'api_base = "http://{LOCALHOST}:{upstream_port}/v1"']
        config.write_text("\n".join(lines) + "\n", "utf-8")
        return Launch(
            command=[str(_PROGRAM), "-c", _SERVER, str(config)],
            port=None,
            # This build has no health route; its 404 comes from the running gateway.
            health="/health",
            path="/openai/v1/chat/completions",
            # Otherwise it logs a line for every request with a member that it does not know.
            env={"RUST_LOG": "error"},
            models={name: f"tensorzero::model_name::{name}" for name in UPSTREAM_MODELS},
        )
