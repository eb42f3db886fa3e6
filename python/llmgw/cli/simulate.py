"""`llmgw simulate`: runs the simulated providers alone."""

import argparse
from typing import Final

from llmgw.serving.ports import claim_port
from llmgw.simulator.serve import DEFAULT_DELAY_MS, DEFAULT_PORT, serve

EPILOG: Final = """\
Nothing here is a model: the answers are made up by a small program that speaks each provider's dialect and
obeys its switches. Point an upstream's base_url at one of http://HOST:PORT/{qwen,deepseek,glm,kimi,minimax}/v1;
its api_key is sim-NAME, such as sim-qwen. sim-qwen-1, sim-qwen-2 and so on are accounts of their own there.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="(default: %(default)s)")
    parser.add_argument(
        "--delay-ms", type=float, default=DEFAULT_DELAY_MS, help="pause between chunks (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    serve(options.host, claim_port(options.host, options.port), delay_ms=options.delay_ms)
    return 0
