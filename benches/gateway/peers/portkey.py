"""Portkey's open gateway (Node)."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.gateway.peers.base import PEERS_DIR, Launch, not_installed, run
from benches.gateway.processes import LOCALHOST, free_port
from benches.gateway.workloads import UPSTREAM_MODELS

VERSION: Final = "1.15.2"
_SERVER_VERSION: Final = "1.13.8"
"""Of @hono/node-server. With the one that npm would choose, streams end in a 500 (see `settings`)."""
_FOLDER: Final = PEERS_DIR / "portkey"
_PACKAGE: Final = _FOLDER / "node_modules" / "@portkey-ai" / "gateway"


@dataclass(frozen=True)
class Portkey:
    """The package of the npm registry."""

    name: str = "portkey"
    settings: str = (
        f"`@portkey-ai/gateway` {VERSION}, `node build/start-server.js --headless`, `NODE_ENV=production` "
        "([self-hosting](https://github.com/Portkey-AI/gateway/blob/main/docs/installation-deployments.md)); "
        f"`@hono/node-server` {_SERVER_VERSION}, since with later ones its streams fail "
        "([issue 1389](https://github.com/Portkey-AI/gateway/issues/1389)). It has no keys of its own, so "
        "nothing is checked: provider and address come with each request"
    )

    def absent(self) -> str | None:
        """Unless installed, with a Node to run it."""
        if shutil.which("node") is None:
            return "no node on this machine"
        return not_installed(self.name, _PACKAGE)

    def install(self) -> None:
        """From the npm registry. Raises BenchError."""
        _FOLDER.mkdir(parents=True, exist_ok=True)
        wanted = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": VERSION},
            "overrides": {"@hono/node-server": _SERVER_VERSION},
        }
        (_FOLDER / "package.json").write_text(json.dumps(wanted), "utf-8")
        # patch-package, its only script, is for its developers.
        run(["npm", "install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts"], cwd=_FOLDER)

    def version(self) -> str:
        """Of the package, and of the Node that runs it."""
        package = json.loads((_PACKAGE / "package.json").read_bytes())
        return f"{package['version']}, node {run(['node', '--version']).strip().removeprefix('v')}"

    def launch(self, upstream_port: int, folder: Path) -> Launch:  # noqa: ARG002  (it has no config)
        """Everything is in the headers of a request."""
        port = free_port()
        server = _PACKAGE / "build" / "start-server.js"
        return Launch(
            command=["node", str(server), "--headless", f"--port={port}"],
            port=port,
            health="/",
            env={"NODE_ENV": "production"},
            headers={
                "authorization": "Bearer mock",
                "x-portkey-provider": "openai",
                "x-portkey-custom-host": f"http://{LOCALHOST}:{upstream_port}/v1",
            },
            models=UPSTREAM_MODELS,
        )
