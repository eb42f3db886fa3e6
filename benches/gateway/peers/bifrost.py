"""Bifrost (Go), where the Go module proxy hands it out and it builds.

Only the download has ever run in this project: the module proxy that was at hand refuses the module. Where it
builds, and its answers pass the load client's checks, its figures are as good as any other's.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.gateway.peers.base import PEERS_DIR, Launch, not_installed, run
from benches.gateway.processes import LOCALHOST, BenchError, free_port
from benches.gateway.workloads import UPSTREAM_MODELS

MODULE: Final = "github.com/maximhq/bifrost/transports"
VERSION: Final = "v1.3.9"
_FOLDER: Final = PEERS_DIR / "bifrost"
_PROGRAM: Final = _FOLDER / "bifrost-http"
_REFUSAL: Final = _FOLDER / "absent.txt"
"""Why the last installation failed, for later reports."""


@dataclass(frozen=True)
class Bifrost:
    """Its HTTP transport."""

    name: str = "bifrost"
    settings: str = (
        f"`{MODULE}` {VERSION}, file configuration without stores, logging off, `initial_pool_size` 5000, "
        "`concurrency` 1000, `buffer_size` 5000 "
        "([performance tuning](https://docs.getbifrost.ai/providers/performance))"
    )

    def absent(self) -> str | None:
        """Unless built."""
        if not _PROGRAM.exists() and _REFUSAL.exists():
            return _REFUSAL.read_text("utf-8")
        return not_installed(self.name, _PROGRAM)

    def install(self) -> None:
        """From the Go module proxy. Raises BenchError."""
        _FOLDER.mkdir(parents=True, exist_ok=True)
        try:
            self._build()
        except BenchError as error:
            _REFUSAL.write_text(str(error), "utf-8")
            raise
        _REFUSAL.unlink(missing_ok=True)

    def _build(self) -> None:
        download = ["go", "mod", "download"]
        run([*download, f"{MODULE}@{VERSION}"], cwd=_FOLDER)  # a refusal reads better without -json
        downloaded = json.loads(run([*download, "-json", f"{MODULE}@{VERSION}"], cwd=_FOLDER))
        source = _FOLDER / "source"
        shutil.rmtree(source, ignore_errors=True)
        # Modules are unpacked read-only.
        shutil.copytree(downloaded["Dir"], source, copy_function=shutil.copyfile)
        # The web interface is embedded and no part of the module; an empty page satisfies the compiler.
        ui = source / "bifrost-http" / "ui"
        ui.mkdir(mode=0o755, exist_ok=True)
        (ui / "index.html").touch()
        run(["go", "build", "-trimpath", "-ldflags=-s -w", "-o", _PROGRAM, "./bifrost-http"], cwd=source)

    def version(self) -> str:
        """The one that is built."""
        return VERSION

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """A config file in its application folder."""
        port = free_port()
        app = folder / "bifrost"
        app.mkdir(exist_ok=True)
        config = {
            "client": {"enable_logging": False, "initial_pool_size": 5000, "drop_excess_requests": False},
            "providers": {
                "openai": {
                    "keys": [{"name": "mock", "value": "mock", "models": ["*"], "weight": 1.0}],
                    "network_config": {"base_url": f"http://{LOCALHOST}:{upstream_port}"},
                    "concurrency_and_buffer_size": {"concurrency": 1000, "buffer_size": 5000},
                }
            },
            "config_store": {"enabled": False},
            "logs_store": {"enabled": False},
        }
        (app / "config.json").write_text(json.dumps(config), "utf-8")
        address = ["-host", LOCALHOST, "-port", str(port)]
        return Launch(
            command=[str(_PROGRAM), "-app-dir", str(app), *address, "-log-level", "error"],
            port=port,
            health="/health",
            # It asks for a price list at its start. Nobody answers on the discard port.
            env={"HTTPS_PROXY": f"http://{LOCALHOST}:9"},
            models={name: f"openai/{upstream}" for name, upstream in UPSTREAM_MODELS.items()},
        )
