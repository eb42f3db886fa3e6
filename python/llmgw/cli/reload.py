"""`llmgw reload`: makes a running gateway load another config."""

import argparse
import sys
from typing import Final

from llmgw.cli.common import add_config_option
from llmgw.config import Config, ConfigError, find_config, load_config
from llmgw.errors import CommandError
from llmgw.serving.asking import TIMEOUT_S, ask_to_reload
from llmgw.serving.run_folder import RunFolder
from llmgw.store.facts import shown_url

EPILOG: Final = """\
The gateway is found by the database that the config names. It checks the file with its own environment and
secrets. If there is no fault, every worker uses the new config within a second or so. No request is lost:
running requests finish with the old config, on the old upstreams. If there is a fault, nothing changes, the
faults are shown and the exit status is 1. Secrets in files (api_key = "file:...") are read again too.

server.host, server.port, server.workers, store, ledger and cache need a restart. A worker that replaces a
dead one gets the active config, even if the file has been edited since.

SIGHUP to the gateway (kill -HUP, systemctl reload) does the same; the result is then in its log.

examples:
  llmgw reload
  llmgw reload --config /etc/llmgw.toml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_config_option(parser)
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=TIMEOUT_S,
        help="how long to wait for the result (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    file = find_config(options.config)
    try:
        # Secrets are resolved by the gateway; this process may have no access to them.
        config = load_config(file, secrets=False)
    except ConfigError as error:
        _refused(error)
        return 1
    folders = RunFolder.running(config.run_folder)
    if not folders:
        raise CommandError(
            f"no gateway runs here with the database {shown_url(config.store.url)}; "
            f"llmgw serve starts one with {file}"
        )
    done = [_reload(folder, config, options.timeout_s) for folder in folders]
    return 0 if all(done) else 1


def _reload(folder: RunFolder, config: Config, timeout_s: float) -> bool:
    done = ask_to_reload(folder, config.source, timeout_s)
    if done.faults:
        _refused(ConfigError(config.source, list(done.faults)))
        return False
    for problem in done.problems:
        print(f"llmgw: {problem}", file=sys.stderr)
    if not done.problems:
        workers = "1 worker" if len(done.workers) == 1 else f"{len(done.workers)} workers"
        print(f"{config.source} is in force in {workers} (process {done.pid}, generation {done.generation})")
    return not done.problems


def _refused(error: ConfigError) -> None:
    print(f"{error}\nllmgw: refused; a gateway that runs keeps its config", file=sys.stderr)
