"""`llmgw demo`: the gateway together with simulated providers, ready to try."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from llmgw.access.keys import create_key
from llmgw.cli.common import actor
from llmgw.config import load_config
from llmgw.errors import CommandError
from llmgw.serving.ports import claim_port
from llmgw.serving.server import Listening, is_up, run_gateway
from llmgw.simulator.model import Thinking
from llmgw.simulator.providers import PROVIDERS
from llmgw.store.open import opened_store

EPILOG: Final = """\
The providers are simulated: no account, no cost, made-up answers. Keys and ledger live in a temporary folder
that is removed at the end.

examples:
  llmgw demo
  llmgw demo --port 8001
"""
MODEL: Final = "qwen3.6-plus"
_PRICE: Final = "{input = 2.0, cached_input = 0.4, output = 12.0}"
"""Made up, as the answers are."""
_LOCALHOST: Final = "127.0.0.1"
_SIMULATOR_START_S: Final = 15.0
_SIMULATOR_STOP_S: Final = 5.0
_POLL_INTERVAL_S: Final = 0.02

_WELCOME: Final = """\

llmgw is running at {url}, with simulated providers behind it.

  key      {token}
  models   {models}

Paste this into another terminal:

curl -N {url}/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -H 'Authorization: Bearer {token}' \\
  --data-raw '{{
    "model": "{model}",
    "messages": [{{"role": "user", "content": "解释什么是 RESTful API"}}],
    "max_tokens": 2048,
    "stream": true,
    "stream_options": {{"include_usage": true}}
  }}'

or ask from here:

LLMGW_API_KEY={token} {llmgw} chat --base-url {url} --model {model} "Why is the sky blue?"

or let Claude Code or Codex ask:

export LLMGW_API_KEY={token}
{claude_code}
{codex}

Ctrl-C stops both.
"""
CLAUDE_CODE: Final = "ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=$LLMGW_API_KEY claude --model {model}"
CODEX: Final = (
    "codex -c model_provider=llmgw -c 'model_providers.llmgw={{"
    'name="llmgw",base_url="{url}/v1",env_key="LLMGW_API_KEY",wire_api="responses"'
    "}}' -m {model}"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--host", default=_LOCALHOST, help="address of the gateway (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the gateway (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    port = claim_port(options.host, options.port)
    signal.signal(signal.SIGTERM, _exit)  # until `run_gateway` blocks it
    with tempfile.TemporaryDirectory(prefix="llmgw-demo-") as folder, _simulator() as simulator_port:
        file = Path(folder, "llmgw.toml")
        file.write_text(demo_config(simulator_port), "utf-8")
        config = load_config(file)
        with opened_store(config.store) as store:
            token = create_key(store, actor=actor(), name="demo").token

        def welcome(listening: Listening) -> None:
            url = listening.url
            models = ", ".join(model.id for model in config.models)
            llmgw = os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("llmgw") else "llmgw"
            agents = {
                "claude_code": CLAUDE_CODE.format(url=url, model=MODEL),
                "codex": CODEX.format(url=url, model=MODEL),
            }
            print(
                _WELCOME.format(url=url, token=token, models=models, model=MODEL, llmgw=llmgw, **agents),
                flush=True,
            )

        run_gateway(config, host=options.host, port=port, workers=1, on_ready=welcome)
    return 0


def demo_config(simulator_port: int) -> str:
    """The text of a config file with every simulated model."""
    lines = ["[server]", 'log_level = "warning"']
    for name, provider in PROVIDERS.items():
        mount = f"http://{_LOCALHOST}:{simulator_port}/{name}"
        lines += ["", f"[upstreams.{name}]"]
        lines += [
            f'base_url = "{mount}/v1"',
            f'api_key = "{provider.api_key}"',
        ]
        lines += [
            f'rerank_url = "{mount}/{retrieval.path}"'
            for retrieval in provider.retrieval
            if retrieval.kind == "rerank"
        ]
        for model in provider.models:
            lines += ["", "[[models]]", f'id = "{model.id}"', f'upstream = "{name}"']
            # A list of plain strings is the same in JSON and TOML.
            lines += [f"input_modalities = {json.dumps(model.input_modalities)}"]
            lines += [f"context_window = {model.context_window}"]
            lines += [f"price = {_PRICE}"]
            if model.thinking is Thinking.ALWAYS:
                lines += ['thinking_modes = ["on"]']
        for retrieval in provider.retrieval:
            lines += ["", "[[models]]", f'id = "{retrieval.model}"', f'upstream = "{name}"']
            lines += [f'kind = "{retrieval.kind}"', "price = {input = 0.5}"]
    return "\n".join(lines) + "\n"


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


@contextmanager
def _simulator() -> Iterator[int]:
    """The simulated providers in a process of their own, on a free port."""
    port = claim_port(_LOCALHOST, 0)
    command = [sys.executable, "-m", "llmgw.simulator", "--host", _LOCALHOST, "--port", str(port)]
    # In its own session, so that Ctrl-C reaches only the gateway, which first lets its streams finish. Its
    # standard input ends when this process does, even if that is killed.
    process = subprocess.Popen(  # noqa: S603
        [*command, "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _SIMULATOR_START_S
        while not is_up(_LOCALHOST, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise CommandError("the simulated providers did not start")
            time.sleep(_POLL_INTERVAL_S)
        yield port
    finally:
        process.terminate()
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_SIMULATOR_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
