"""The gateway from a page in a browser, by the rules that browsers keep (tests/support/fetch.py)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.chat import body, streamed
from tests.support.fetch import SAFE_RESPONSE_HEADERS, BlockedError, Page
from tests.support.frames import check_stream
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.scripted import ScriptedUpstream
from tests.support.simulator import SimulatorProcess

HOME = "https://app.example"
OTHER = "https://evil.example"
NOT_FOR_PAGES = {"server", "date", "vary", "x-accel-buffering", "transfer-encoding", "connection"}
SDK_HEADERS = {"x-stainless-lang": "js", "x-stainless-retry-count": "0", "openai-organization": "o"}


@pytest.fixture(scope="module")
def open_gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """One that serves the pages of `HOME`."""
    config = config_text(
        simulator.url,
        scripted.base_url,
        server=f'cors_origins = ["{HOME}", "app://local"]\nmax_body_bytes = 4096',
    )
    with Gateway(tmp_path_factory.mktemp("cors"), config) as process:
        yield process


@pytest.fixture(scope="module")
def any_gateway(
    tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> Iterator[Gateway]:
    """One that serves the pages of any origin."""
    config = config_text(simulator.url, scripted.base_url, server='cors_origins = ["*"]')
    with Gateway(tmp_path_factory.mktemp("cors-any"), config) as process:
        yield process


def headers(gateway: Gateway, **more: str) -> dict[str, str]:
    return {**gateway.headers(), "Content-Type": "application/json", **SDK_HEADERS, **more}


def content(asked: dict[str, Any]) -> bytes:
    return json.dumps(asked).encode()


@pytest.mark.parametrize("origin", [HOME, "app://local"])
def test_a_page_streams(open_gateway: Gateway, origin: str) -> None:
    page = Page(origin, open_gateway.client)
    asked = content(streamed("glm-5", enable_thinking=False))
    seen = page.fetch(CHAT_COMPLETIONS, method="POST", headers=headers(open_gateway), content=asked)
    assert check_stream(seen.body, include_usage=False).only.content
    assert seen.headers["x-llmgw-thinking"] == "off; thinking_object"
    assert seen.headers["x-llmgw-attempts"] == "1"
    assert seen.headers["x-request-id"].startswith("req_")


def test_a_page_of_any_origin_where_all_are_allowed(any_gateway: Gateway) -> None:
    for origin in (HOME, OTHER, "null"):
        page = Page(origin, any_gateway.client)
        asked = content(body("glm-5"))
        seen = page.fetch(CHAT_COMPLETIONS, method="POST", headers=headers(any_gateway), content=asked)
        assert (seen.status, json.loads(seen.body)["object"]) == (200, "chat.completion")


@pytest.mark.parametrize(("key", "status"), [(None, 200), ("sk-gtw-wrong", 401)])
def test_a_page_with_anthropic_s_sdk_in_it(open_gateway: Gateway, key: str | None, status: int) -> None:
    """Its headers may be sent, and those that it reads are shown."""
    given = {
        "x-api-key": key or open_gateway.key,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "context-1m-2025-08-07",
        "anthropic-dangerous-direct-browser-access": "true",
        "x-stainless-lang": "js",
        "x-stainless-retry-count": "0",
        "x-stainless-timeout": "600",
        "x-app": "cli",
    }
    seen = Page(HOME, open_gateway.client).fetch("/v1/models", headers=given)
    assert (seen.status, "has_more" in json.loads(seen.body)) == (status, status == 200)
    assert seen.headers["request-id"] == seen.headers["x-request-id"]


LIMITED = {"simulate": {"status": 429, "retry_after_s": 7}}


@pytest.mark.parametrize(
    ("name", "method", "path", "asked", "key", "status"),
    [
        ("models", "GET", "/v1/models", {}, None, 200),
        ("no key", "GET", "/v1/models", {}, "-", 401),
        ("wrong key", "POST", CHAT_COMPLETIONS, body("glm-5"), "sk-gtw-wrong", 401),
        ("no body", "POST", CHAT_COMPLETIONS, {}, None, 400),
        ("no model", "POST", CHAT_COMPLETIONS, body("none"), None, 404),
        ("no path", "GET", "/v1/none", {}, None, 404),
        ("no method", "POST", "/v1/models", {}, None, 405),
        ("no size", "POST", CHAT_COMPLETIONS, body("glm-5", x="x" * 5000), None, 413),
        ("no more", "POST", CHAT_COMPLETIONS, body("qwen3-max", **LIMITED), None, 429),
        ("no upstream", "POST", CHAT_COMPLETIONS, body("unreachable"), None, 502),
    ],
)
def test_a_page_sees_every_answer_and_all_that_its_headers_say(
    open_gateway: Gateway,
    name: str,
    method: str,
    path: str,
    asked: dict[str, Any],
    key: str | None,
    status: int,
) -> None:
    given = headers(open_gateway)
    if key == "-":
        del given["authorization"]
    elif key is not None:
        given["authorization"] = f"Bearer {key}"
    sent = content(asked) if method == "POST" else b""
    seen = Page(HOME, open_gateway.client).fetch(path, method=method, headers=given, content=sent)
    assert seen.status == status, (name, seen.body)
    assert "x-request-id" in seen.headers
    assert ("x-should-retry" in seen.headers) is (400 <= status < 500 and status != 429)
    assert seen.headers.get("retry-after") == ("7" if status == 429 else None)
    bare = open_gateway.client.request(method, path, headers={**given, "origin": HOME}, content=sent)
    hidden = set(bare.headers) - set(seen.headers) - NOT_FOR_PAGES
    assert {header for header in hidden if not header.startswith("access-control-")} == set(), name
    assert bare.headers["vary"] == "origin"


def test_a_page_of_another_origin_sees_nothing(open_gateway: Gateway) -> None:
    asked = content(body("glm-5"))
    for origin in (OTHER, f"{HOME}:8443", "http://app.example", "https://APP.example", "null"):
        page = Page(origin, open_gateway.client)
        with pytest.raises(BlockedError):
            page.fetch(CHAT_COMPLETIONS, method="POST", headers=headers(open_gateway), content=asked)
        with pytest.raises(BlockedError):
            page.fetch("/healthz")
    bare = open_gateway.client.get("/healthz", headers={"origin": OTHER})
    assert bare.headers["vary"] == "origin"


def test_without_the_option_no_page_sees_anything(gateway: Gateway) -> None:
    with pytest.raises(BlockedError):
        Page(HOME, gateway.client).fetch("/v1/models", headers=headers(gateway))
    answer = gateway.client.get("/healthz", headers={"origin": HOME})
    assert not {name for name in answer.headers if name == "vary" or name.startswith("access-control")}


PREFLIGHT = {"origin": HOME, "access-control-request-method": "POST"}


def test_a_preflight(open_gateway: Gateway) -> None:
    asked = "authorization,content-type,x-stainless-lang"
    given = {**PREFLIGHT, "access-control-request-headers": asked}
    for path in (CHAT_COMPLETIONS, "/v1/models", "/v1/none", "/healthz"):
        answer = open_gateway.client.options(path, headers=given)
        assert (answer.status_code, answer.content) == (204, b"")
        said = {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}
        expose = said.pop("access-control-expose-headers")
        assert not set(expose.split(", ")) & SAFE_RESPONSE_HEADERS
        assert said == {
            "access-control-allow-origin": HOME,
            "access-control-allow-methods": "GET, HEAD, POST",
            "access-control-allow-headers": asked,
            "access-control-max-age": "600",
        }
        assert set(answer.headers["vary"].split(", ")) == {"origin", "access-control-request-headers"}
        assert "content-length" not in answer.headers


@pytest.mark.parametrize("asked", ["x" * 3000, "x-a; x-b", 'x-"a"', "x-é"])
def test_what_no_browser_asks_for_is_not_sent_back(open_gateway: Gateway, asked: str) -> None:
    given = {**PREFLIGHT, "access-control-request-headers": asked}
    encoded = {name.encode(): value.encode() for name, value in given.items()}
    answer = open_gateway.client.options(CHAT_COMPLETIONS, headers=encoded)
    assert answer.status_code == 204
    assert "access-control-allow-headers" not in answer.headers


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"origin": HOME},
        {"access-control-request-method": "POST"},
        {**PREFLIGHT, "origin": OTHER},
        {**PREFLIGHT, "origin": ""},
    ],
)
def test_other_options_are_as_they_were(open_gateway: Gateway, given: dict[str, str]) -> None:
    assert open_gateway.client.options(CHAT_COMPLETIONS, headers=given).status_code == 401
    with_key = {**given, **open_gateway.headers()}
    assert open_gateway.client.options(CHAT_COMPLETIONS, headers=with_key).status_code == 405
