"""The demo's welcome, and the client that goes on asking."""

import argparse
import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from llmgw.cli import demo
from llmgw.cli.simulated import live, team
from llmgw.cli.simulated.work import WORKS
from llmgw.config import Config
from llmgw.serving.server import Listening

URL = "http://127.0.0.1:8000"


@pytest.fixture
def welcome(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the demo prints, without its processes."""

    @contextmanager
    def simulator() -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(port=9100, wait=lambda: None)

    def run_gateway(config: Config, *, on_ready: Callable[[Listening], None], **_: Any) -> None:  # noqa: ANN401
        console = f"{URL}/console/" if config.admin.enabled else None
        on_ready(Listening(URL, console, has_admin=True))

    def run(*, traffic: bool = False, has_fastapi: bool = True, is_built: bool = True) -> str:
        monkeypatch.setattr(demo, "has_fastapi", lambda: has_fastapi)
        monkeypatch.setattr(demo, "is_built", lambda: is_built)
        options = argparse.Namespace(host="127.0.0.1", port=0, traffic=traffic)
        before = signal.getsignal(signal.SIGTERM)
        try:
            assert demo.run(options) == 0
        finally:
            signal.signal(signal.SIGTERM, before)
        return capsys.readouterr().out

    monkeypatch.setattr(demo, "simulator_process", simulator)
    monkeypatch.setattr(demo, "live_process", lambda *_: nullcontext())
    monkeypatch.setattr(demo, "run_gateway", run_gateway)
    return run


def test_the_welcome_names_the_console_and_two_keys(welcome: Callable[..., str]) -> None:
    said = welcome()
    assert f"  console    {URL}/console/\n  admin key  sk-gtw-admin-" in said
    assert "  key        sk-gtw-" in said
    assert said.index("  key        ") < said.index("  admin key  ")
    assert "simulated traffic" in said
    assert "llmgw demo --traffic goes on with it" in said
    assert max(map(len, said.partition("curl")[0].replace(", ", "\n").split("\n"))) <= 110


def test_the_welcome_says_what_goes_on(welcome: Callable[..., str]) -> None:
    assert "It goes on, about once a second." in welcome(traffic=True)


def test_without_fastapi_there_is_a_demo_all_the_same(welcome: Callable[..., str]) -> None:
    said = welcome(has_fastapi=False)
    assert "pip install 'llmgw[admin]'" in said
    assert "sk-gtw-admin-" not in said
    assert "curl -N" in said


def test_without_its_files_the_console_is_not_promised(welcome: Callable[..., str]) -> None:
    said = welcome(is_built=False)
    assert "  console    not built yet: make console\n" in said
    assert "/console/" not in said


TOKENS = {holder.name: f"sk-gtw-{number}" for number, holder in enumerate(team.HOLDERS)}
USABLE = {team.HELPDESK, team.WEBUI, team.CLAUDE_CODE, team.CODEX, team.EDITOR}


def asked(number: int, seed: int, answer: Callable[[httpx.Request], httpx.Response]) -> list[httpx.Request]:
    """The requests of a client."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer(request)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=URL, transport=httpx.MockTransport(handle)) as http:
            client = live.Client(http, TOKENS, random.Random(seed))
            for _ in range(number):
                await client.ask_once()

    asyncio.run(ask())
    return sent


def test_the_team_asks_with_the_keys_that_it_has_left() -> None:
    names = {f"Bearer {token}": name for name, token in TOKENS.items()}
    paths = {work.key: live.PATHS[work.api] for work in WORKS if work.key in USABLE}
    models = {work.key: work.models for work in WORKS}
    seen: Counter[str] = Counter()
    for request in asked(300, 5, lambda _: httpx.Response(200, content=b"{}")):
        name = names[request.headers["authorization"]]
        assert request.url.path == paths[name]
        body = httpx.Response(200, content=request.content).json()
        assert body["model"] in models[name]
        seen[name] += 1
    assert seen.keys() == USABLE


def test_a_gateway_that_is_not_there_yet_is_asked_again() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    assert len(asked(3, 1, refuse)) == 3
