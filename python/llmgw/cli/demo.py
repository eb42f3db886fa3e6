"""`llmgw demo`: the gateway together with simulated providers, ready to try."""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from llmgw.access.keys import create_key
from llmgw.admin.console import is_built
from llmgw.cli.common import actor
from llmgw.cli.simulated import MARK
from llmgw.cli.simulated.begin import simulate_past
from llmgw.cli.simulated.config import demo_config
from llmgw.cli.simulated.processes import live_process, simulator_process
from llmgw.cli.simulated.traffic import DAYS
from llmgw.config import Config, load_config
from llmgw.config.address import local_host, url_of
from llmgw.serving.ports import claim_port
from llmgw.serving.server import Listening, run_gateway
from llmgw.store.open import opened_store

EPILOG: Final = """\
The providers are simulated: no account, no cost, made-up answers and prices. Keys and ledger live in a
temporary folder that is removed at the end.

The ledger begins with two weeks of a simulated team's requests, so that the console has something to show.
The names of the team's projects and keys begin with simulated-, the ids of its past requests with
req_simulated_. The two keys that are printed are yours: one for models, one for the console.

examples:
  llmgw demo
  llmgw demo --port 8001
  llmgw demo --traffic            the simulated team goes on asking, about once a second
"""
MODEL: Final = "qwen3.6-plus"

_WELCOME: Final = """\

llmgw is running at {url}, with simulated providers behind it.

  key        {token}
  models     {models}
{admin}
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
_ADMIN: Final = """\
  console    {console}
  admin key  {token}

Sign in to the console with the admin key. What it shows of the last {days} days is simulated traffic, of
projects and keys whose names begin with {mark}. {more}
"""
_QUIET: Final = "llmgw demo --traffic goes on with it, about once a second."
_GOES_ON: Final = "It goes on, about once a second."
_NO_ADMIN: Final = """\

The console and the admin API need one more package: pip install 'llmgw[admin]'
"""
CLAUDE_CODE: Final = "ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN=$LLMGW_API_KEY claude --model {model}"
CODEX: Final = (
    "codex -c model_provider=llmgw -c 'model_providers.llmgw={{"
    'name="llmgw",base_url="{url}/v1",env_key="LLMGW_API_KEY",wire_api="responses"'
    "}}' -m {model}"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--host", default="127.0.0.1", help="address of the gateway (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the gateway (default: %(default)s)")
    parser.add_argument(
        "--traffic", action="store_true", help="let the simulated team go on asking, about once a second"
    )


def run(options: argparse.Namespace) -> int:
    port = claim_port(options.host, options.port)
    signal.signal(signal.SIGTERM, _exit)  # until `run_gateway` blocks it
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="llmgw-demo-"))
        simulator = stack.enter_context(simulator_process())
        file = Path(folder, "llmgw.toml")
        file.write_text(demo_config(simulator.port, admin=has_fastapi()), "utf-8")
        config = load_config(file)
        with opened_store(config.store) as store:
            simulated = simulate_past(store, config)
            token = create_key(store, actor=actor(), name="demo").token
            admin = create_key(store, actor=actor(), name="demo-admin", kind="admin").token
        simulator.wait()
        if options.traffic:
            stack.enter_context(live_process(url_of(local_host(options.host), port), simulated))

        def welcome(listening: Listening) -> None:
            more = _GOES_ON if options.traffic else _QUIET
            console = listening.console if is_built() else "not built yet: make console"
            told = _ADMIN.format(console=console, token=admin, days=DAYS, mark=MARK, more=more)
            told = _NO_ADMIN if listening.console is None else told
            print(_welcome(listening.url, token, told, config), flush=True)

        run_gateway(config, host=options.host, port=port, workers=1, on_ready=welcome)
    return 0


def has_fastapi() -> bool:
    """True if the admin API can be served."""
    return importlib.util.find_spec("fastapi") is not None


def _welcome(url: str, token: str, admin: str, config: Config) -> str:
    return _WELCOME.format(
        url=url,
        token=token,
        admin=admin,
        models=", ".join(model.id for model in config.models),
        model=MODEL,
        llmgw=os.path.relpath(sys.argv[0]) if sys.argv[0].endswith("llmgw") else "llmgw",
        claude_code=CLAUDE_CODE.format(url=url, model=MODEL),
        codex=CODEX.format(url=url, model=MODEL),
    )


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
