"""`llmgw reload`: makes a running gateway load another config."""

import argparse
import sys
import time
from typing import Final

from llmgw.cli.common import add_config_option
from llmgw.config import Config, ConfigError, find_config, load_config
from llmgw.errors import CommandError
from llmgw.serving.run_folder import RunFolder

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
_POLL_INTERVAL_S: Final = 0.02


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_config_option(parser)
    parser.add_argument(
        "--timeout-s", type=float, default=15.0, help="how long to wait for the result (default: %(default)g)"
    )


def run(options: argparse.Namespace) -> int:
    file = find_config(options.config)
    try:
        # Secrets are resolved by the gateway; this process may have no access to them.
        config = load_config(file, secrets=False)
    except ConfigError as error:
        _refused(error)
        return 1
    folders = RunFolder.running(config.store.url)
    if not folders:
        raise CommandError(
            f"no gateway runs with the database {config.store.url}; llmgw serve starts one with {file}"
        )
    done = [_reload(folder, config, time.monotonic() + options.timeout_s) for folder in folders]
    return 0 if all(done) else 1


def _reload(folder: RunFolder, config: Config, deadline_s: float) -> bool:
    try:
        return _ask(folder, config, deadline_s)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(f"the gateway in {folder.path} can't be asked: {error}") from error


def _ask(folder: RunFolder, config: Config, deadline_s: float) -> bool:
    pid = folder.pid
    request = folder.ask(config.source)
    while (result := folder.result(request)) is None:
        _wait(f"the gateway with process id {pid} does not answer", deadline_s)
    if result.faults:
        _refused(ConfigError(config.source, result.faults))
        return False
    problems = [
        f"worker {worker}: {problem}"
        for worker in result.workers
        if (problem := _problem(folder, worker, result.generation, deadline_s)) is not None
    ]
    for problem in problems:
        print(f"llmgw: {problem}", file=sys.stderr)
    if not problems:
        workers = "1 worker" if len(result.workers) == 1 else f"{len(result.workers)} workers"
        print(f"{config.source} is in force in {workers} (process {pid}, generation {result.generation})")
    return not problems


def _problem(folder: RunFolder, pid: int, generation: int, deadline_s: float) -> str | None:
    """Wait for a worker. None: it uses the config, or it has ended and its successor uses it."""
    while (report := folder.worker_state(pid)) is None or report.generation < generation:
        if pid not in folder.workers():
            return None
        _wait(f"worker {pid} has not taken the config over yet", deadline_s)
    return report.problem


def _wait(what: str, deadline_s: float) -> None:
    """Sleep before the next poll. Raises CommandError after the deadline."""
    if time.monotonic() > deadline_s:
        raise CommandError(f"{what}; its log may say why")
    time.sleep(_POLL_INTERVAL_S)


def _refused(error: ConfigError) -> None:
    print(f"{error}\nllmgw: refused; a gateway that runs keeps its config", file=sys.stderr)
