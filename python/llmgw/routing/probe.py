"""How an upstream is asked whether it is there, without having anything generated: for `llmgw check`."""

import asyncio
import difflib
import json
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Literal, NamedTuple

import httpx

from llmgw._core import root_certificates
from llmgw.config import Config, ModelKind

_MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
_MAX_NAMED: Final = 3
"""Of the models that an upstream does not list; the others are counted."""

Level = Literal["ok", "warning", "fault"]


class Verdict(NamedTuple):
    """What was found."""

    level: Level
    text: str

    def __str__(self) -> str:
        """For a table's cell."""
        marks: dict[Level, str] = {"ok": "", "warning": "warning: ", "fault": "FAULT: "}
        return marks[self.level] + self.text


class Probe(NamedTuple):
    """What an upstream answered one of its accounts."""

    upstream: str
    account: int | None
    """Its number; None: there is one."""
    url: str
    status: int | None
    """Of its list of models; None: no answer."""
    elapsed_s: float
    verdict: Verdict


async def probe_all(
    config: Config, *, timeout_s: float, compare_list: bool, told: Callable[[str], None]
) -> list[Probe]:
    """Ask all upstreams at once, with the key of each account; the probes in the order of the config.

    `compare_list`: a configured model that an upstream does not list is a fault. `told` gets the name of each
    upstream when it has answered an account.
    """
    # As for completions: the system's roots, no proxies from the environment, no key behind a redirect.
    async with httpx.AsyncClient(
        verify=trust(), trust_env=False, follow_redirects=False, timeout=timeout_s
    ) as client:

        async def one(name: str, account: int | None) -> Probe:
            wanted = _wanted(config, name) if compare_list else []
            probe = await _probe(client, config, name, account, wanted, timeout_s)
            told(name)
            return probe

        return await asyncio.gather(*(one(name, account) for name, account in _accounts(config)))


def number_of_probes(config: Config) -> int:
    """How many answers `probe_all` waits for."""
    return len(_accounts(config))


def _accounts(config: Config) -> list[tuple[str, int | None]]:
    return [(name, account) for name, table in config.upstreams.items() for account in table.accounts]


def trust() -> ssl.SSLContext:
    """A context that trusts whom the gateway trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if roots := root_certificates():
        context.load_verify_locations(cadata=roots)
    return context


def _wanted(config: Config, upstream: str) -> list[str]:
    # Many hosts list only what can chat.
    targets = [target for model in config.models if model.kind == "chat" for target in model.targets]
    wanted = [target.upstream_model for target in targets if target.upstream == upstream]
    return list(dict.fromkeys(wanted))  # each once, in the order of the config


async def _probe(
    client: httpx.AsyncClient,
    config: Config,
    name: str,
    account: int | None,
    wanted: list[str],
    timeout_s: float,
) -> Probe:
    upstream = config.upstreams[name]
    headers = {"accept-encoding": "identity"}  # answers are never unpacked
    key = upstream.accounts[account]
    if key is not None:
        headers["authorization"] = f"Bearer {key.get_secret_value()}"
    status = None
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            async with client.stream("GET", f"{upstream.base_url}/models", headers=headers) as response:
                status = response.status_code
                body = await _read(response)
            verdict = judge(status, body, wanted)
            if status in _NO_LIST and await _has_nothing(client, _urls(config, name), headers):
                verdict = _wrong_base(upstream.base_url)
    except (TimeoutError, httpx.TimeoutException):
        verdict = Verdict("fault", f"no answer within {timeout_s:g} s")
    except httpx.HTTPError as error:
        verdict = Verdict("fault", f"can't be reached ({type(error).__name__}: {error})")
    return Probe(name, account, upstream.base_url, status, time.monotonic() - started, verdict)


def _urls(config: Config, name: str) -> list[str]:
    """Where requests for an upstream's models go."""
    upstream = config.upstreams[name]
    base_url = upstream.base_url
    urls: dict[ModelKind, str] = {
        "chat": f"{base_url}/chat/completions",
        "embedding": f"{base_url}/embeddings",
        "rerank": upstream.rerank_url or f"{base_url}/rerank",
    }
    kinds = (m.kind for m in config.models for target in m.targets if target.upstream == name)
    return [urls[kind] for kind in dict.fromkeys(kinds)] or [urls["chat"]]


async def _has_nothing(client: httpx.AsyncClient, urls: list[str], headers: dict[str, str]) -> bool:
    """Ask each for nothing: whoever has the path refuses the body, and generates nothing."""
    for url in urls:
        async with client.stream("POST", url, headers=headers, json={}) as response:
            if response.status_code not in _NO_PATH:
                return False
    return True


def _wrong_base(base_url: str) -> Verdict:
    hint = "is base_url right?"
    if not base_url.rsplit("/", 1)[-1].startswith("v"):
        hint = f'should base_url be "{base_url}/v1"?'
    return Verdict("fault", f"has neither a list of models nor an endpoint for them at this address; {hint}")


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            break
    return bytes(body)


_ASK_MODELS: Final = "llmgw check --try asks the models themselves"
_NO_PATH: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
_NO_LIST: Final = _NO_PATH | {HTTPStatus.NOT_IMPLEMENTED}
_VERDICTS: Final[dict[int, Verdict]] = {
    HTTPStatus.UNAUTHORIZED: Verdict("fault", "refuses the API key"),
    HTTPStatus.FORBIDDEN: Verdict("fault", "refuses the API key"),
    HTTPStatus.TOO_MANY_REQUESTS: Verdict("warning", "reachable, but limits the rate of requests"),
    **dict.fromkeys(_NO_LIST, Verdict("warning", f"has no list of models; {_ASK_MODELS}")),
}
_REDIRECTS: Final = range(300, 400)


def judge(status: int, body: bytes, wanted: list[str]) -> Verdict:
    """What an answer to `GET /models` means. `wanted`: the models that must be on the list."""
    if status in _REDIRECTS:
        return Verdict("fault", "redirects; base_url must be the final address")
    if status != HTTPStatus.OK:
        return _VERDICTS.get(status, Verdict("fault", "answers with an error"))
    listed = _listed(body)
    if listed is None:
        return Verdict("warning", f"answers, but with no list of models; {_ASK_MODELS}")
    missing = [model for model in wanted if model not in listed]
    return Verdict("fault", _not_listed(missing, sorted(listed))) if missing else Verdict("ok", "ok")


def _not_listed(missing: list[str], listed: list[str]) -> str:
    more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
    text = f"does not list {', '.join(missing[:_MAX_NAMED])}{more}"
    close = difflib.get_close_matches(missing[0], listed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{text}{hint} (--no-list: its list is not complete)"


def _listed(body: bytes) -> set[str] | None:
    try:
        return {str(model["id"]) for model in json.loads(body)["data"] if isinstance(model["id"], str)}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
