"""What a config doesn't use costs a gateway neither time nor memory: its modules are not imported."""

import os
import subprocess
import sys

import pytest

from llmgw.store import open_store

PROGRAM = """\
import asyncio, sys
from pathlib import Path
from llmgw.cli.main import make_parser
make_parser(["serve"])
from llmgw.serving.worker import preload
preload()
from llmgw.app import App
from llmgw.config import load_config
from llmgw.store.open import opened_store

async def live(app):
    received = asyncio.Queue()
    sent = []
    async def send(message):
        sent.append(message["type"])
        await received.put({"type": "lifespan.shutdown"})
    await received.put({"type": "lifespan.startup"})
    await app({"type": "lifespan"}, received.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"], sent

config = load_config(Path(sys.argv[1]))
with opened_store(config.store):
    pass
asyncio.run(live(App(config)))
print("\\n".join(sys.modules))
"""
"""What `llmgw serve` does in parent and worker, in one process."""
CONFIG = """\
[store]
url = "sqlite:///gateway.db"
[upstreams.one]
base_url = "http://127.0.0.1:9/v1"
[[models]]
id = "m"
upstream = "one"
"""
NOT_USED = (
    "alembic",
    "argcomplete",
    "fastapi",
    "httpcore",
    "httpx",
    "llmgw.admin.api",
    "llmgw.budgets.webhook",
    "llmgw.simulator",
    "mako",
    "openai",
    "opentelemetry",
    "psycopg",
    "redis",
    "sqlalchemy.dialects.mssql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.oracle",
    "sqlalchemy.dialects.postgresql",
    "starlette",
    "tomlkit",
)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules of a gateway that has started on a database of today, and stopped."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "llmgw.toml").write_text(CONFIG)
    open_store(f"sqlite:///{folder}/gateway.db").close()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "llmgw.toml")],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("LLMGW_", "OTEL_"))},
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("module", NOT_USED)
def test_a_start_leaves_out_what_its_config_does_not_use(imported: set[str], module: str) -> None:
    assert not {name for name in imported if name == module or name.startswith(f"{module}.")}


@pytest.mark.parametrize(
    "module", ["llmgw.pipeline.request", "sqlalchemy.dialects.sqlite", "prometheus_client"]
)
def test_a_start_has_what_requests_use(imported: set[str], module: str) -> None:
    assert module in imported


def test_a_start_has_few_modules(imported: set[str]) -> None:
    """Each takes half a millisecond and some memory. More may be worth it; then say so here."""
    assert len(imported) <= MOST, sorted(imported)


MOST = 800
