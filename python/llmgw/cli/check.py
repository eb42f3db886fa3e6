"""`llmgw check`: is the config correct, and do the upstreams answer?"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import httpx

from llmgw._core import dialect_for
from llmgw.cli.common import add_config_option, read_config
from llmgw.cli.priced import prices_object, show_prices
from llmgw.cli.servers import probe_cache, probe_store
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.cli.trial import Trial, number_of_targets, try_all
from llmgw.config import Config, ConfigError
from llmgw.config.address import local_host, url_of
from llmgw.prices.shown import oddities, targets_of
from llmgw.reasoning.turns import sharing_problem
from llmgw.routing.accounts import account_name
from llmgw.routing.probe import Probe, Verdict, number_of_probes, probe_all

EPILOG: Final = """\
Asks every upstream for GET {base_url}/models, with its key; nothing is generated, so nothing is billed. A
chat model that an upstream does not list is a fault, unless --no-list says that its list is not complete.
--try also sends a request for one token to each target of each model, as the gateway would; an embedding
model is asked for one vector, a rerank model about one document. Keys are never printed. If [cache] names a
Redis, one key is read there; if [store] names a PostgreSQL server, it is asked for its tables' version.

Shows the targets of models that have several, and prices: of a million tokens, of a typical request. If the
gateway is running at the config's host and port, also shows how one of its workers sees the upstreams.

The exit status is 1 if there is a fault; a warning leaves it 0.

examples:
  llmgw check
  llmgw check --try
  llmgw check --config /etc/llmgw.toml --timeout-s 5 --json
"""
_HEALTH_TIMEOUT_S: Final = 2.0


class Findings(NamedTuple):
    """Everything that was found out."""

    warnings: list[str]
    health: list[dict[str, Any]] | None
    """What a running gateway reports; None: none runs."""
    probes: list[Probe]
    trials: list[Trial]
    store: Verdict | None
    cache: Verdict | None

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """All of them."""
        yield from (probe.verdict for probe in self.probes)
        yield from (trial.verdict for trial in self.trials)
        yield from (each for each in (self.store, self.cache) if each is not None)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_config_option(parser)
    # `--timeout` was its name before every duration told its unit.
    parser.add_argument(
        "--timeout-s", "--timeout", type=float, default=10.0, metavar="SECONDS",
        help="how long to wait for an upstream's list of models (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--no-list", action="store_true", help="models need not be on an upstream's list")
    parser.add_argument(
        "--try", action="store_true", dest="tries", help="ask each target for one token (which is billed)"
    )
    add_json_option(parser)


def run(options: argparse.Namespace) -> int:
    try:
        config = read_config(options.config)
    except ConfigError as error:
        if options.json:
            faults = [fault._asdict() for fault in error.faults]
            print_json({"config": str(error.source), "ok": False, "faults": faults})
        else:
            print(error, file=sys.stderr)
        return 1
    found = asyncio.run(_find_out(config, options))
    is_good = not any(verdict.level == "fault" for verdict in found.verdicts)
    if options.json:
        print_json(_as_object(config, found, is_good=is_good))
    else:
        _print(config, found)
    return 0 if is_good else 1


async def _find_out(config: Config, options: argparse.Namespace) -> Findings:
    shared = sharing_problem(config, config.server.workers)
    with _Progress("upstreams", number_of_probes(config)) as progress:
        probes = await probe_all(
            config, timeout_s=options.timeout_s, compare_list=not options.no_list, told=progress
        )
    trials: list[Trial] = []
    if options.tries:
        with _Progress("targets", number_of_targets(config)) as progress:
            trials = await try_all(config, told=progress)
    return Findings(
        warnings=[*([shared] if shared else []), *_notes(config), *_oddities(config)],
        health=await asyncio.to_thread(running_health, config, options.timeout_s),
        probes=probes,
        trials=trials,
        store=await asyncio.to_thread(probe_store, config.store),
        cache=await probe_cache(config.cache),
    )


class _Progress:
    """A line on the terminal that says how many have answered; nothing where no terminal is."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = total
        self._done = 0
        self._shown = sys.stderr.isatty()

    def __call__(self, _name: str) -> None:
        self._done += 1
        self._show()

    def __enter__(self) -> Callable[[str], None]:
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        self._write("")

    def _show(self) -> None:
        self._write(f"{self._what}: {self._done} of {self._total} have answered")

    def _write(self, line: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()


def _print(config: Config, found: Findings) -> None:
    models = "1 model" if len(config.models) == 1 else f"{len(config.models)} models"
    print(f"{config.source}: {models}, no fault in the file\n")
    show_targets(config)
    if _has_prices(config):
        show_prices(config)
        print()
    for warning in found.warnings:
        print(f"warning: {warning}\n")
    if found.health is not None:
        _show_health(url_of(local_host(config.server.host), config.server.port), found.health)
    rows = [
        (
            account_name(each.upstream, each.account),
            each.url,
            "-" if each.status is None else str(each.status),
            _ms(each.elapsed_s),
            str(each.verdict),
        )
        for each in found.probes
    ]
    print_table(("UPSTREAM", "URL", "STATUS", "MS", "VERDICT"), rows, right=(2, 3))
    if found.trials:
        print()
        trials = [
            (
                each.model,
                account_name(each.upstream, each.account),
                each.upstream_model,
                _ms(each.elapsed_s),
                str(each.verdict),
            )
            for each in found.trials
        ]
        print_table(("MODEL", "UPSTREAM", "UPSTREAM MODEL", "MS", "ONE TOKEN"), trials, right=(3,))
    for name, verdict in (("store", found.store), ("cache", found.cache)):
        if verdict is not None:
            print(f"\n{name}: {verdict}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def show_targets(config: Config) -> None:
    """Print the targets of models that have several."""
    rows = [
        (
            model.id,
            target.upstream,
            target.upstream_model,
            (target.thinking or dialect_for(target.upstream_model)) if model.kind == "chat" else "-",
            str(target.weight),
            str(target.priority),
        )
        for model in config.models
        if len(model.targets) > 1
        for target in model.targets
    ]
    if rows:
        print_table(
            ("MODEL", "UPSTREAM", "UPSTREAM MODEL", "DIALECT", "WEIGHT", "PRIORITY"), rows, right=(4, 5)
        )
        print()


def _notes(config: Config) -> Iterator[str]:
    heartbeat_s = config.server.heartbeat_s
    for name, upstream in config.upstreams.items():
        has_successor = any(
            target.upstream == name
            and (other.upstream != name or len(upstream.accounts) > 1)
            and other.priority >= target.priority
            for model in config.models
            for target in model.targets
            for other in model.targets
        )
        if has_successor and upstream.first_event_timeout_s >= heartbeat_s:
            yield (
                f"upstreams.{name}.first_event_timeout_s ({upstream.first_event_timeout_s:g}) is not below "
                f"server.heartbeat_s ({heartbeat_s:g}): a stream's first heartbeat commits it, so where this "
                "upstream only keeps silent, streams do not go to another target"
            )


def _has_prices(config: Config) -> bool:
    return any(target.price is not None for model in config.models for target in model.targets)


def _oddities(config: Config) -> Iterator[str]:
    for target in targets_of(config):
        yield from oddities(target)


def running_health(config: Config, timeout_s: float) -> list[dict[str, Any]] | None:
    """What a gateway at the config's address reports about its upstreams; None if none is running."""
    url = url_of(local_host(config.server.host), config.server.port)
    try:
        answer = httpx.get(
            f"{url}/readyz?verbose", trust_env=False, timeout=min(timeout_s, _HEALTH_TIMEOUT_S)
        )
        return [
            # A gateway that was not restarted since an upgrade tells of no accounts.
            {
                "account": None,
                **{member: entry[member] for member in _HEALTH if member != "account" or member in entry},
            }
            for entry in answer.json()["upstreams"]
        ]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return None  # no server, or not an llmgw gateway


_HEALTH: Final = (
    "upstream", "account", "upstream_model", "state", "consecutive_failures", "cooling_s", "in_flight",
)  # fmt: skip


def _show_health(url: str, health: list[dict[str, Any]]) -> None:
    print(f"a worker of the gateway at {url} says:")
    rows = [
        [account_name(entry["upstream"], entry["account"]), *(str(entry[member]) for member in _HEALTH[2:])]
        for entry in health
    ]
    print_table(
        ("UPSTREAM", "UPSTREAM MODEL", "STATE", "FAILURES", "COOLING S", "IN FLIGHT"), rows, right=(3, 4, 5)
    )
    print()


def _as_object(config: Config, found: Findings, *, is_good: bool) -> dict[str, Any]:
    return {
        "config": str(config.source),
        "ok": is_good,
        "warnings": found.warnings,
        "prices": prices_object(config),
        "upstreams": [_flat(each) for each in found.probes],
        "targets": [_flat(each) for each in found.trials],
        "store": None if found.store is None else found.store._asdict(),
        "cache": None if found.cache is None else found.cache._asdict(),
        "running": found.health,
    }


def _flat(each: Probe | Trial) -> dict[str, Any]:
    members = each._asdict()
    verdict = members.pop("verdict")
    return {**members, "elapsed_s": round(each.elapsed_s, 3), **verdict._asdict()}
