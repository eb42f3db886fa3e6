"""llama.cpp's server with a model that is made here, and the gateway in front of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.llama.model import HELLO, WEATHER, Script, write_model
from tests.support.gateway import Gateway
from tests.support.processes import ROOT, Process, free_port

SERVER: Final = ROOT / "target" / "llama" / "build" / "bin" / "llama-server"
API_KEY: Final = "llama-server-s-own-key"
CONTEXT: Final = 65_536
"""In tokens, for each of the two slots."""
TIMEOUT_S: Final = 60.0


class LlamaServer:
    """`llama-server` on a free port, with one scripted model and two slots."""

    def __init__(self, folder: Path, script: Script) -> None:
        """Starts it and waits until the model is loaded. RuntimeError where it was not built."""
        if not SERVER.is_file():
            raise RuntimeError(f"there is no {SERVER}: `make test-llama` builds it")
        self.script = script
        model = folder / "model.gguf"
        write_model(model, script)
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.process = Process(
            SERVER,
            *("--model", str(model), "--alias", "scripted", "--offline"),
            *("--host", "127.0.0.1", "--port", str(port), "--api-key", API_KEY),
            *("--parallel", "2", "--ctx-size", str(2 * CONTEXT), "--threads", "1"),
            *("--jinja", "--slots", "--metrics"),
            folder=folder,
        )
        self.process.wait_ready(f"{self.url}/health")
        headers = {"authorization": f"Bearer {API_KEY}"}
        self.client = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=TIMEOUT_S)

    def busy(self) -> list[dict[str, Any]]:
        """The slots that generate right now."""
        slots = self.client.get("/slots").raise_for_status().json()
        return [slot for slot in slots if slot["is_processing"]]

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.process.kill()


@pytest.fixture(scope="session")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """The one that greets."""
    server = LlamaServer(tmp_path_factory.mktemp("hello"), HELLO)
    yield server
    server.close()


@pytest.fixture(scope="session")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """The one that calls a tool."""
    server = LlamaServer(tmp_path_factory.mktemp("weather"), WEATHER)
    yield server
    server.close()


@pytest.fixture(scope="session")
def llama_gateway(
    tmp_path_factory: pytest.TempPathFactory, hello: LlamaServer, weather: LlamaServer
) -> Iterator[Gateway]:
    """A gateway before both: models `hello`, `weather`, and `locked-out`, whose key is a wrong one."""
    models = (("hello", hello, API_KEY), ("weather", weather, API_KEY), ("locked-out", hello, "wrong-key"))
    tables = ['[store]\nurl = "sqlite:///gateway.db"']
    for name, server, key in models:
        tables.append(f'[upstreams.{name}]\nbase_url = "{server.url}/v1"\napi_key = "{key}"')
        tables.append(
            f'[[models]]\nid = "{name}"\nupstream = "{name}"\nupstream_model = "scripted"\n'
            'thinking = "chat_template_kwargs"'
        )
    with Gateway(tmp_path_factory.mktemp("gateway"), "\n\n".join(tables) + "\n") as gateway:
        gateway.client.timeout = httpx.Timeout(TIMEOUT_S)
        yield gateway
