"""`llmgw check`: is the config correct, and do the upstreams answer?"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import httpx

from llmgw._core import dialect_for
from llmgw.cli.common import add_config_option, read_config
from llmgw.cli.table import print_table
from llmgw.config import CacheConfig, Config, ConfigError, UpstreamConfig
from llmgw.config.address import local_host, url_of
from llmgw.reasoning.store import CacheError
from llmgw.reasoning.turns import open_cache, sharing_problem

EPILOG: Final = """\
Asks every upstream for GET {base_url}/models, with its key; nothing is generated, so nothing is billed. Keys
are never printed. If [cache] names a Redis, one key is read there. The exit status is 1 if the config, an
upstream or Redis has a fault.

Shows the targets of models that have several. If the gateway is running at the config's host and port, also
shows how one of its workers sees the upstreams.

examples:
  llmgw check
  llmgw check --config /etc/llmgw.toml --timeout 5
"""
_NO_KEY: Final = bytes(32)
"""A key that is never stored."""
_MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_HEALTH_TIMEOUT_S: Final = 2.0


class Verdict(NamedTuple):
    """What a probe found."""

    fault: bool
    text: str


class Probe(NamedTuple):
    """One upstream's answer to `GET {base_url}/models`."""

    name: str
    url: str
    status: int | None
    elapsed_s: float
    verdict: Verdict


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_config_option(parser)
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="(default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    try:
        config = read_config(options.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    models = "1 model" if len(config.models) == 1 else f"{len(config.models)} models"
    print(f"{config.source}: no faults, {models}\n")
    if problem := sharing_problem(config, config.server.workers):
        print(f"warning: {problem}\n")
    show_targets(config)
    show_health(config, options.timeout)
    probes = asyncio.run(probe_all(config, options.timeout))
    cache = asyncio.run(probe_cache(config.cache))
    rows = [
        (
            probe.name,
            probe.url,
            "-" if probe.status is None else str(probe.status),
            f"{probe.elapsed_s * 1000:.0f}",
            f"FAULT: {probe.verdict.text}" if probe.verdict.fault else probe.verdict.text,
        )
        for probe in probes
    ]
    print_table(("UPSTREAM", "URL", "STATUS", "MS", "VERDICT"), rows, right=(2, 3))
    if cache is not None:
        print(f"\ncache: {'FAULT: ' if cache.fault else ''}{cache.text}")
    return 1 if any(verdict.fault for verdict in (*(p.verdict for p in probes), cache) if verdict) else 0


async def probe_cache(config: CacheConfig) -> Verdict | None:
    """Read from Redis, as requests do; None if no Redis is configured."""
    if config.url is None:
        return None
    store = open_cache(config)
    try:
        await store.get([_NO_KEY])
    except CacheError as error:
        return Verdict(fault=True, text=f"can't be used ({error})")
    finally:
        await store.close()
    return Verdict(fault=False, text="ok")


async def probe_all(config: Config, timeout_s: float) -> list[Probe]:
    """Probe all upstreams at once, in the order of the config."""
    # As for completions: no proxies from the environment, and a key never follows a redirect.
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout_s) as client:
        probes = (
            _probe(client, name, upstream, _wanted(config, name), timeout_s)
            for name, upstream in config.upstreams.items()
        )
        return await asyncio.gather(*probes)


def _wanted(config: Config, upstream: str) -> list[str]:
    targets = [target for model in config.models for target in model.targets]
    wanted = [target.upstream_model for target in targets if target.upstream == upstream]
    return list(dict.fromkeys(wanted))  # each once, in the order of the config


def show_targets(config: Config) -> None:
    """Print the targets of models that have several, and settings that prevent a fallback."""
    rows = [
        (
            model.id,
            target.upstream,
            target.upstream_model,
            target.thinking or dialect_for(target.upstream_model),
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
    for note in _notes(config):
        print(f"note: {note}\n")


def _notes(config: Config) -> Iterator[str]:
    heartbeat_s = config.server.heartbeat_s
    for name, upstream in config.upstreams.items():
        shared = any(
            target.upstream == name
            for model in config.models
            if len(model.targets) > 1
            for target in model.targets
        )
        if shared and upstream.first_event_timeout_s >= heartbeat_s:
            yield (
                f"upstreams.{name}.first_event_timeout_s ({upstream.first_event_timeout_s:g}) is not below "
                f"server.heartbeat_s ({heartbeat_s:g}): a stream's first heartbeat commits it, so where this "
                "upstream only keeps silent, streams do not go to another target"
            )


def show_health(config: Config, timeout_s: float) -> None:
    """Print what a running gateway reports about its upstreams; nothing if none is running."""
    url = url_of(local_host(config.server.host), config.server.port)
    try:
        answer = httpx.get(
            f"{url}/readyz?verbose", trust_env=False, timeout=min(timeout_s, _HEALTH_TIMEOUT_S)
        )
        rows = [_health_row(entry) for entry in answer.json()["upstreams"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return  # no server, or not an llmgw gateway
    print(f"a worker of the gateway at {url} says:")
    print_table(
        ("UPSTREAM", "UPSTREAM MODEL", "STATE", "FAILURES", "COOLING S", "IN FLIGHT"), rows, right=(3, 4, 5)
    )
    print()


def _health_row(entry: dict[str, Any]) -> tuple[str, ...]:
    members = ("upstream", "upstream_model", "state", "consecutive_failures", "cooling_s", "in_flight")
    return tuple(str(entry[member]) for member in members)


async def _probe(
    client: httpx.AsyncClient, name: str, upstream: UpstreamConfig, wanted: list[str], timeout_s: float
) -> Probe:
    headers = {"accept-encoding": "identity"}  # answers are never unpacked
    if upstream.api_key is not None:
        headers["authorization"] = f"Bearer {upstream.api_key.get_secret_value()}"
    status = None
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            async with client.stream("GET", f"{upstream.base_url}/models", headers=headers) as response:
                status = response.status_code
                body = await _read(response)
        verdict = judge(status, body, wanted)
    except (TimeoutError, httpx.TimeoutException):
        verdict = Verdict(fault=True, text=f"no answer within {timeout_s:g} s")
    except httpx.HTTPError as error:
        verdict = Verdict(fault=True, text=f"can't be reached ({type(error).__name__}: {error})")
    return Probe(name, upstream.base_url, status, time.monotonic() - started, verdict)


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            break
    return bytes(body)


_VERDICTS: Final[dict[int, Verdict]] = {
    HTTPStatus.UNAUTHORIZED: Verdict(fault=True, text="refuses the API key"),
    HTTPStatus.FORBIDDEN: Verdict(fault=True, text="refuses the API key"),
    HTTPStatus.NOT_FOUND: Verdict(
        fault=False, text="reachable, but has no list of models (is base_url right?)"
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: Verdict(fault=False, text="reachable, but has no list of models"),
    HTTPStatus.NOT_IMPLEMENTED: Verdict(fault=False, text="reachable, but has no list of models"),
    HTTPStatus.TOO_MANY_REQUESTS: Verdict(fault=False, text="reachable, but limits the rate of requests"),
}
_REDIRECTS: Final = range(300, 400)


def judge(status: int, body: bytes, wanted: list[str]) -> Verdict:
    """What an answer to `GET /models` means. `wanted`: the models that the config expects there."""
    if status in _REDIRECTS:
        return Verdict(fault=True, text="redirects; base_url must be the final address")
    if status != HTTPStatus.OK:
        return _VERDICTS.get(status, Verdict(fault=True, text="answers with an error"))
    listed = _listed(body)
    if listed is None:
        return Verdict(fault=False, text="answers, but with no list of models")
    missing = [model for model in wanted if model not in listed]
    return Verdict(fault=False, text=f"ok, but does not list {', '.join(missing)}" if missing else "ok")


def _listed(body: bytes) -> set[str] | None:
    try:
        return {model["id"] for model in json.loads(body)["data"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
