"""What an upstream says of itself, in each spelling and at each place: for the client, for the operator."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final, NamedTuple

import pytest

from tests.support.chat import body
from tests.support.gateway import Answer, Gateway
from tests.support.processes import wait_until
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    ScriptedUpstream,
    Step,
    event_stream,
    json_answer,
    partial_event_stream,
)

KEY: Final = "sk-provider-0123456789"
MODELS: Final = 120
CHUNK: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"role":"assistant","content":"from"},"finish_reason":null}]}\n\n'
)
GOOD: Final = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "b"}, "finish_reason": "stop"}],
}


class Said(NamedTuple):
    """An error as a provider writes it, and what it means."""

    text: str
    status: int
    code: str | None
    message: str


LIMITS: Final = [
    Said(
        '{"code":"Throttling.RateQuota","message":"slow","request_id":"r"}',
        429,
        "Throttling.RateQuota",
        "slow",
    ),
    Said(
        '{"error":{"message":"slow","type":"rate_limit_error","code":"429"}}', 429, "rate_limit_error", "slow"
    ),
    Said(
        '{"error":{"message":"no money","code":"insufficient_quota"}}', 429, "insufficient_quota", "no money"
    ),
    Said('{"choices":null,"base_resp":{"status_code":1039,"status_msg":"tpm"}}', 429, "1039", "tpm"),
    Said(
        '[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]',
        429,
        "RESOURCE_EXHAUSTED",
        "slow",
    ),
]
FAULTS: Final = [
    Said(
        '{"object":"error","message":"long","type":"BadRequestError","code":400}',
        400,
        "BadRequestError",
        "long",
    ),
    Said('{"error":{"message":"long","type":"None","param":"None","code":"400"}}', 400, None, "long"),
    Said('{"code":"InvalidParameter","message":"top_p","request_id":"r"}', 400, "InvalidParameter", "top_p"),
    Said(
        '{"error":{"message":"long","code":"context_length_exceeded"}}',
        400,
        "context_length_exceeded",
        "long",
    ),
    Said('{"detail":[{"loc":["body","n"],"msg":"one"}]}', 422, None, "body.n: one"),
    Said('{"error":{"message":"{\\"error\\":{\\"message\\":\\"in\\",\\"code\\":400}}"}}', 400, None, "in"),
]


def comment(said: Said) -> tuple[Step, ...]:
    text = json.dumps({"code": "odd", "message": said.message})
    return event_stream(f"id:1\nevent:error\n:HTTP_STATUS/{said.status}\ndata:{text}\n\n".encode())


PLACES: Final[dict[str, Callable[[Said], tuple[Step, ...]]]] = {
    "an error status": lambda said: (json_answer(said.text.encode(), f"{said.status} No"),),
    "an error status with events": lambda said: (
        json_answer(f"event:error\ndata:{said.text}\n\n".encode(), f"{said.status} No"),
    ),
    "the first event": lambda said: event_stream(f"data: {said.text}\n\n".encode()),
    "an error event": lambda said: event_stream(f"event: error\ndata: {said.text}\n\n".encode()),
    "a bare line": lambda said: event_stream(f"{said.text}\n\n".encode()),
    "JSON": lambda said: (json_answer(said.text.encode()),),
}


class Site:
    """A gateway with two upstreams, and models that nobody has used."""

    def __init__(self, gateway: Gateway, a: ScriptedUpstream, b: ScriptedUpstream) -> None:
        self.gateway, self.a, self.b = gateway, a, b
        self._fresh = count()
        self.model, self.script = "", ""

    def ask(self, steps: Sequence[Step], *, stream: bool = True) -> Answer:
        """Of a fresh model: `a` plays these steps, `b` has a good answer."""
        number = next(self._fresh)
        self.model, self.script = f"m-{number}", f"play-{number}"
        self.a.plays(self.script, steps)
        good = json.dumps(GOOD).replace('"message"', '"delta"').replace("completion", "completion.chunk")
        self.b.plays(
            self.script, event_stream(f"data: {good}\n\n".encode()) if stream else (json_answer(GOOD),)
        )
        return self.gateway.post(body(self.model, script=self.script, stream=stream))

    @property
    def asked(self) -> tuple[int, int]:
        """How often a and b were."""
        return self.a.number(self.script), self.b.number(self.script)

    @property
    def health(self) -> dict[str, object]:
        """What `/readyz?verbose` says of a."""
        upstreams = self.gateway.client.get("/readyz?verbose").json()["upstreams"]
        [entry] = [e for e in upstreams if (e["upstream"], e["upstream_model"]) == ("a", self.model)]
        return dict(entry)

    def row(self, answer: Answer) -> dict[str, object]:
        """The ledger's."""
        return self.gateway.ledger(answer.headers["x-request-id"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ScriptedUpstream() as a, ScriptedUpstream() as b:
        text = (
            '[server]\nlog_level = "info"\n[store]\nurl = "sqlite:///gateway.db"\n'
            "[routing]\nmin_retries_per_s = 1000\ncool_down_s = 60\nmax_cool_down_s = 60\n"
            f'[upstreams.a]\nbase_url = "{a.base_url}"\napi_key = "{KEY}"\n'
            f'[upstreams.b]\nbase_url = "{b.base_url}"\n'
        )
        targets = '[{upstream = "a"}, {upstream = "b", priority = 2}]'
        text += "".join(f'[[models]]\nid = "m-{n}"\ntargets = {targets}\n' for n in range(MODELS))
        with Gateway(tmp_path_factory.mktemp("refusals"), text) as gateway:
            yield Site(gateway, a, b)


@pytest.mark.parametrize("place", PLACES)
def test_a_limit_cools_the_target_down_and_the_next_is_asked(site: Site, place: str) -> None:
    for said in LIMITS:
        answer = site.ask(PLACES[place](said))
        assert (answer.status, site.asked) == (200, (1, 1)), said
        assert site.health["state"] == "cooling"
        assert f"429 {said.code or ''}".strip() in str(site.row(answer)["attempt_errors"])


def test_a_limit_in_a_comment(site: Site) -> None:
    answer = site.ask(comment(LIMITS[0]))
    assert (answer.status, site.asked, site.health["state"]) == (200, (1, 1), "cooling")
    answer = site.ask(comment(FAULTS[0]))
    assert (answer.status, answer.error["message"], site.asked) == (400, "long", (1, 0))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_a_bad_request_is_told_once_and_is_nobodys_fault(site: Site, place: str, stream: bool) -> None:  # noqa: FBT001
    said = FAULTS[list(PLACES).index(place)]
    if not stream and place not in {"an error status", "JSON"}:
        place = "JSON"
    answer = site.ask(PLACES[place](said), stream=stream)
    assert (answer.status, answer.error["message"]) == (said.status, said.message)
    assert answer.headers["x-should-retry"] == "false"
    assert site.asked == (1, 0)
    assert (site.health["consecutive_failures"], "last_failure" in site.health) == (0, False)
    assert said.message in str(site.row(answer)["attempt_errors"])


def test_in_mid_stream_too_a_limit_cools_down_and_a_bad_request_does_not(site: Site) -> None:
    for said, state in ((LIMITS[0], "cooling"), (FAULTS[0], "up")):
        answer = site.ask(event_stream(CHUNK + f"data: {said.text}\n\n".encode()))
        assert answer.status == 200
        assert json.loads(answer.body.split(b"\n\n")[-2][6:])["error"]["message"] == said.message
        assert (site.asked, site.health["state"]) == ((1, 0), state)
        assert (
            site.row(answer)["attempt_errors"]
            == f'a: sent an error {said.status} {said.code} "{said.message}"'
        )


def test_the_operator_reads_it_everywhere(site: Site) -> None:
    said = f'{{"error":{{"message":"The API key {KEY} is wrong.\\nSee there.","code":"invalid_api_key"}}}}'
    refused = (json_answer(said.encode(), "401 Unauthorized"),)
    number = next(site._fresh)
    site.model, site.script = f"m-{number}", f"play-{number}"
    for upstream in (site.a, site.b):
        upstream.plays(site.script, refused)
    answer = site.gateway.post(body(site.model, script=site.script))
    assert (answer.status, answer.error["code"]) == (502, "upstream_error")
    words = 'answered 401 invalid_api_key "The API key [redacted] is wrong. See there."'
    row = site.row(answer)
    assert str(row["attempt_errors"]).startswith(f"a: {words}, b: answered 401 invalid_api_key")
    assert site.health["last_failure"] == words
    log = site.gateway.process.output
    assert f"model {site.model}: upstream a {words}; asking b" in log
    line = next(line for line in log.splitlines() if site.model in line and "client got" in line)
    assert "WARNING" in line
    assert "(2 attempts, " in line
    assert line.endswith("; client got 502")
    assert (
        'llmgw_upstream_attempts_total{account="",outcome="status_401",upstream="a"}'
        in site.gateway.client.get("/metrics").text
    )


def test_what_an_upstream_says_makes_no_row_and_no_line_long(site: Site) -> None:
    said = json.dumps({"error": {"message": "x" * 50_000, "code": "y" * 5_000, "type": "\x1b[31m"}})
    answer = site.ask((json_answer(said.encode(), "400 Bad Request"),))
    errors = str(site.row(answer)["attempt_errors"])
    assert errors == f'a: answered 400 {"y" * 64} "{"x" * 200}…"'
    assert "\x1b" not in site.gateway.process.output
    assert len(answer.error["message"]) == 2048


def test_a_client_that_leaves_is_no_warning(site: Site) -> None:
    number = next(site._fresh)
    model, script = f"m-{number}", f"play-{number}"
    site.a.plays(script, (*partial_event_stream(CHUNK), Hold()))
    with site.gateway.ask(body(model, script=script, stream=True)) as raw:
        raw.recv(1)
    gone = (model, "client_gone")
    rows = site.gateway.ledger_rows
    wait_until(lambda: gone in {(row["model"], row["error_kind"]) for row in rows()}, "the row", timeout_s=10)
    line = next(line for line in site.gateway.process.output.splitlines() if f"model {model}:" in line)
    assert " INFO " in line
    assert "client_gone" in line


def test_the_key_is_in_nothing_that_is_passed_on(site: Site) -> None:
    """However it is written, wherever the cut falls, and in whichever header."""
    for written in (KEY, "".join(f"\\u{ord(sign):04x}" for sign in KEY)):
        for before in (0, 2048 - len(KEY) + 1, 2047):
            text = f'{{"error":{{"message":"{"x" * before}{written}!","code":400}}}}'
            for place in PLACES.values():
                answer = site.ask(place(Said(text, 400, None, "")))
                shown = str(answer.headers) + answer.body.decode()
                assert answer.status == 400
                assert KEY[:-1] not in shown
    head = EVENT_STREAM_HEAD.replace(
        b"\r\n\r\n", b"\r\nretry-after: %b\r\nx-key: %b\r\n\r\n" % ((KEY.encode(),) * 2)
    )
    answer = site.ask((head, b"0\r\n\r\n"))
    assert KEY not in str(answer.headers)


def test_one_line_each_in_the_log(site: Site) -> None:
    assert all(
        line[:2].isdigit() for line in site.gateway.process.output.splitlines() if "upstream a" in line
    )
