"""llmgw itself: one worker, with everything on that a production gateway has on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.gateway.machine import ROOT
from benches.gateway.peers.base import Launch, run
from benches.gateway.processes import LOCALHOST, BenchError, free_port
from benches.gateway.workloads import DOORS, UPSTREAM_MODELS

PROGRAM: Final = ROOT / ".venv" / "bin" / "llmgw"


@dataclass(frozen=True)
class Llmgw:
    """The gateway that all this is about."""

    name: str = "llmgw"
    program: Path = PROGRAM
    """Another build, with `--before`, so that two are compared in one run."""
    durability: str = "relaxed"
    """Of the ledger; `benches.gateway.durability` compares the two."""
    limited: bool = False
    """With limits and budgets, so that every request is reserved, settled, priced and told of in headers."""
    settings: str = (
        "`llmgw serve`, one worker, release build; key check, routing, capability check, thinking rewrite, "
        "ledger (SQLite) and metrics on ([docs/config.md](config.md))"
    )

    def absent(self) -> str | None:
        """A debug build is no gateway to measure."""
        if not self.program.exists():
            return "not built: make bench-gateway"
        code = "from llmgw import _core; print(_core.DEBUG_BUILD)"
        if run([self.program.parent / "python", "-c", code]).strip() != "False":
            return "its extension is a debug build: make bench-gateway"
        return None

    def install(self) -> None:
        """`make bench-gateway` has built it."""

    def version(self) -> str:
        """As it says itself."""
        return run([self.program, "--version"]).strip().removeprefix("llmgw ")

    def launch(self, upstream_port: int, folder: Path) -> Launch:
        """A config file, a database and a fresh key."""
        config = folder / "llmgw.toml"
        text = config_of(upstream_port, folder, self.durability, limited=self.limited)
        config.write_text(text, "utf-8")
        if self.limited:
            run([self.program, "projects", "create", "--name", "bench", *_PROJECT, "--config", config])
        limits = _KEY if self.limited else ()
        key = (
            run([self.program, "keys", "create", "--name", "bench", *limits, "--config", config])
            .strip()
            .splitlines()[0]
        )
        if not key.startswith("sk-gtw-"):
            raise BenchError("llmgw keys create printed no key")
        port = free_port()
        return Launch(
            command=[str(self.program), "serve", "--config", str(config), "--port", str(port)],
            port=port,
            health="/healthz",
            doors=("chat", *DOORS),
            headers={"authorization": f"Bearer {key}"},
        )


_PROJECT: Final = ("--rpm", "900000000", "--tpm", "900000000000", "--budget", "1000000/month")
_KEY: Final = (
    *("--project", "bench", "--rpm", "600000000", "--tpm", "600000000000", "--concurrency", "100000"),
    *("--budget", "100000/day", "--budget", "900000000000tokens/month"),
)
"""So high that nothing is refused."""
_OF_A_MODEL: Final = (
    "requests_per_minute = 900000000",
    "price = {input = 2.0, cached_input = 0.4, output = 12.0}",
)


def config_of(upstream_port: int, folder: Path, durability: str, *, limited: bool) -> str:
    """The text of a config file, with the database in `folder`."""
    lines = ["[server]", "workers = 1", 'log_level = "warning"']
    lines += ["[store]", f'url = "sqlite:///{folder}/llmgw.db"']
    lines += ["[ledger]", f'durability = "{durability}"']
    lines += ["[upstreams.mock]", f'base_url = "http://{LOCALHOST}:{upstream_port}/v1"', 'api_key = "mock"']
    for model, upstream_model in UPSTREAM_MODELS.items():
        lines += [
            "[[models]]",
            f'id = "{model}"',
            'upstream = "mock"',
            f'upstream_model = "{upstream_model}"',
        ]
        lines += ['input_modalities = ["text", "image"]', *(_OF_A_MODEL if limited else ())]
    return "\n".join(lines) + "\n"
