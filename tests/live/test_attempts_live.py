"""Several targets over real sockets: what is tried again, and what the client and the ledger see."""

import itertools
import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat import body
from tests.support.frames import check_stream
from tests.support.gateway import Answer, Gateway
from tests.support.processes import free_port, wait_until
from tests.support.scripted import (
    EVENT_STREAM_HEAD,
    Hold,
    Reset,
    ScriptedUpstream,
    Step,
    event_stream,
    json_answer,
    partial_event_stream,
)

SEEN_WITHIN_S = 20.0
PAIRS = 60
NAMES = itertools.count()
SECRETS = ("secret-key-of-a", "secret-key-of-b")


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: %b\n\n" % json.dumps(event).encode()


def said(content: str) -> tuple[bytes, ...]:
    """A good stream."""
    return event_stream(chunk(content, "stop") + b"data: [DONE]\n\n")


def whole(content: str) -> tuple[bytes, ...]:
    """A good answer that is not streamed."""
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    return (json_answer(answer),)


def refusal(status: str, headers: bytes = b"") -> tuple[bytes, ...]:
    return (json_answer({"error": {"message": "secret-of-the-upstream"}}, status, headers),)


def answered(status: int) -> str:
    """What the ledger says of it."""
    return f'answered {status} "secret-of-the-upstream"'


@dataclass
class Site:
    """A gateway and its two upstreams."""

    gateway: Gateway
    a: ScriptedUpstream
    b: ScriptedUpstream
    pairs: Iterator[int]

    def play(self, a: Sequence[Sequence[Step]], b: Sequence[Sequence[Step]] = ()) -> str:
        """Register what both say to the requests with one name; the name."""
        name = f"play-{next(NAMES)}"
        self.a.plays(name, *a)
        self.b.plays(name, *(b or [refusal("418 Not Expected")]))
        return name

    def asked(self, script: str) -> tuple[int, int]:
        """How many requests with this name came to a and to b."""
        return self.a.number(script), self.b.number(script)

    def pair(self) -> str:
        """A model that no other test has used, so that its targets are up: a, and b if need be."""
        return f"pair-{next(self.pairs)}"

    def silent(self) -> str:
        """As `pair`, where a has half a second for its first event."""
        return f"silent-{next(self.pairs)}"

    def one(self) -> str:
        """The same with a alone."""
        return f"one-{next(self.pairs)}"

    def post(self, model: str, script: str, **more: Any) -> Answer:  # noqa: ANN401 - JSON values
        """Ask for a completion."""
        return self.gateway.post(body(model, script=script, **more))

    def row(self, answer: Answer) -> dict[str, Any]:
        """The ledger's row of an answer."""
        return self.gateway.ledger(answer.headers["x-request-id"])

    def health(self, model: str) -> list[dict[str, Any]]:
        """What `/readyz?verbose` says of the model's targets."""
        report = self.gateway.client.get("/readyz?verbose").json()
        return [entry for entry in report["upstreams"] if entry["upstream_model"] == model]

    def metrics(self, name: str) -> dict[str, float]:
        """The samples of one metric."""
        lines = self.gateway.client.get("/metrics").text.splitlines()
        found = (line.rpartition(" ") for line in lines if re.match(rf"{name}[{{ ]", line))
        return {labels: float(value) for labels, _, value in found}


def config(a: str, b: str, *, server: str = "", routing: str = "") -> str:
    dead = f"http://127.0.0.1:{free_port()}/v1"
    parts = [f"[server]\n{server}", '[store]\nurl = "sqlite:///gateway.db"', f"[routing]\n{routing}"]
    parts += [
        f'[upstreams.a]\nbase_url = "{a}"\napi_key = "{SECRETS[0]}"\nfirst_event_timeout_s = 5',
        # For silence alone: an event that is sent may take longer on a busy machine.
        f'[upstreams.silent]\nbase_url = "{a}"\nfirst_event_timeout_s = 0.5',
        f'[upstreams.b]\nbase_url = "{b}"\napi_key = "{SECRETS[1]}"\ntotal_timeout_s = 10',
        f'[upstreams.hasty]\nbase_url = "{b}"\ntotal_timeout_s = 1.5',
        f'[upstreams.dead]\nbase_url = "{dead}"',
    ]
    backup = '{upstream = "b", priority = 2}'
    models = {f"pair-{n}": f'[{{upstream = "a"}}, {backup}]' for n in range(PAIRS)}
    models |= {f"silent-{n}": f'[{{upstream = "silent"}}, {backup}]' for n in range(PAIRS)}
    models |= {f"one-{n}": '[{upstream = "a"}]' for n in range(PAIRS)}
    models |= {
        "dead-first": f'[{{upstream = "dead"}}, {backup}]',
        "dead-only": '[{upstream = "dead"}]',
        "then-hasty": '[{upstream = "silent"}, {upstream = "hasty", priority = 2}]',
        "equals": '[{upstream = "a", weight = 3}, {upstream = "b"}]',
        "dialects": (
            '[{upstream = "a", upstream_model = "qwen3-max"}, '
            '{upstream = "b", upstream_model = "glm-5", priority = 2, drop = ["seed"]}]'
        ),
    }
    parts += [f'[[models]]\nid = "{name}"\ntargets = {targets}' for name, targets in models.items()]
    return "\n\n".join(parts) + "\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway whose budget never ends, so that each test can have its retry."""
    with ScriptedUpstream() as a, ScriptedUpstream() as b:
        text = config(a.base_url, b.base_url, routing="min_retries_per_s = 1000")
        with Gateway(tmp_path_factory.mktemp("attempts"), text) as gateway:
            yield Site(gateway, a, b, iter(range(PAIRS)))


@pytest.fixture
def thrifty(tmp_path: Path) -> Iterator[Site]:
    """A gateway of the test's own, with the default budget, short cool-downs and frequent heartbeats."""
    with ScriptedUpstream() as a, ScriptedUpstream() as b:
        routing = "cool_down_s = 2\nmax_cool_down_s = 3"
        text = config(a.base_url, b.base_url, server="heartbeat_s = 0.2", routing=routing)
        with Gateway(tmp_path, text) as gateway:
            yield Site(gateway, a, b, iter(range(PAIRS)))


HTML = b"<html>secret-of-the-upstream</html>"
FAULTS: dict[str, tuple[Sequence[Step], str]] = {
    "stall before headers": ([Hold()], "first_event_timeout"),
    "headers, then silence": ([EVENT_STREAM_HEAD, Hold()], "first_event_timeout"),
    "reset": ([Reset()], "reset"),
    "closed without a word": ([], "reset"),
    "reset after the headers": ([EVENT_STREAM_HEAD, Reset()], "reset"),
    "429": (refusal("429 Too Many Requests", b"retry-after: 7\r\n"), 'answered 429 "secret-of-the-upstream"'),
    "500": (refusal("500 Internal Server Error"), 'answered 500 "secret-of-the-upstream"'),
    "503": (refusal("503 Service Unavailable"), 'answered 503 "secret-of-the-upstream"'),
    "a key that is refused": (refusal("401 Unauthorized"), 'answered 401 "secret-of-the-upstream"'),
    "no such model there": (refusal("404 Not Found"), 'answered 404 "secret-of-the-upstream"'),
    "html with 502": (
        (json_answer(HTML, "502 Bad Gateway").replace(b"application/json", b"text/html"),),
        "answered 502",
    ),
    "html with 200": ((json_answer(HTML).replace(b"application/json", b"text/html"),), "content_type"),
    "redirect": (
        (json_answer(b"{}", "302 Found", b"location: http://127.0.0.1:1/\r\n"),),
        "answered 302, a redirect",
    ),
    "no http": ((b"nonsense\r\n\r\n",), "protocol"),
    "compressed": ((json_answer(b"{}", headers=b"content-encoding: gzip\r\n"),), "content_encoding"),
    "an error as the first event": (
        event_stream(b'data: {"error": {"message": "secret-of-the-upstream", "code": 503}}\n\n'),
        'sent an error 503 "secret-of-the-upstream"',
    ),
    "no event at all": (event_stream(b""), "truncated"),
    "an event that is none": (event_stream(b"data: nonsense\n\n"), "invalid_event"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_stream_that_failed_before_it_began_comes_from_the_other_target(site: Site, name: str) -> None:
    steps, reason = FAULTS[name]
    script = site.play([steps], [said("from b")])
    first, model = ("silent", site.silent()) if reason == "first_event_timeout" else ("a", site.pair())
    answer = site.post(model, script, stream=True)
    assert (answer.status, answer.headers["x-llmgw-attempts"]) == (200, "2")
    stream = check_stream(answer.body, include_usage=False)
    assert stream.only.content == "from b"
    assert site.asked(script) == (1, 1)
    row = site.row(answer)
    assert (row["upstream"], row["attempts"], row["error_kind"]) == ("b", 2, None)
    assert row["attempt_errors"] == f"{first}: {reason}"


@pytest.mark.parametrize("name", ["reset", "429", "500", "503", "html with 200", "redirect"])
def test_the_same_for_a_plain_answer(site: Site, name: str) -> None:
    script = site.play([FAULTS[name][0]], [whole("from b")])
    answer = site.post(site.pair(), script)
    assert (answer.status, answer.headers["x-llmgw-attempts"]) == (200, "2")
    assert answer.json()["choices"][0]["message"]["content"] == "from b"
    assert site.asked(script) == (1, 1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_port_where_nobody_listens(site: Site, stream: bool) -> None:  # noqa: FBT001
    script = site.play([], [said("from b") if stream else whole("from b")])
    answer = site.post("dead-first", script, stream=stream)
    assert (answer.status, site.asked(script)) == (200, (0, 1))
    assert site.row(answer)["attempt_errors"] == "dead: unreachable: connection refused"


@pytest.mark.parametrize("status", ["400 Bad Request", "413 Too Large", "422 Unprocessable", "409 Conflict"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_with_the_request_is_wrong_everywhere(site: Site, status: str, stream: bool) -> None:  # noqa: FBT001
    script = site.play([refusal(status)], [said("from b")])
    answer = site.post(site.pair(), script, stream=stream)
    assert answer.status == int(status[:3])
    assert answer.headers["x-llmgw-attempts"] == "1"
    assert site.asked(script) == (1, 0)


def test_where_all_fail_the_last_one_is_told(site: Site) -> None:
    limit = refusal("429 Too Many Requests", b"retry-after: 7\r\n")
    script = site.play([refusal("500 Internal Server Error")], [limit])
    answer = site.post(site.pair(), script, stream=True)
    assert (answer.status, answer.error["code"]) == (429, "upstream_rate_limited")
    assert (answer.headers["retry-after"], answer.headers["x-llmgw-attempts"]) == ("7", "2")
    row = site.row(answer)
    assert (row["upstream"], row["attempts"]) == ("b", 2)
    assert row["error_kind"] == "status"
    assert row["attempt_errors"] == f"a: {answered(500)}, b: {answered(429)}"


def test_a_stream_that_has_begun_is_never_begun_again(site: Site) -> None:
    script = site.play([[*partial_event_stream(chunk("from a")), Reset()]], [said("from b")])
    answer = site.post(site.pair(), script, stream=True)
    assert answer.status == 200
    stream = check_stream(answer.body, include_usage=False)
    assert stream.error is not None
    assert stream.only.content == "from a"
    assert site.asked(script) == (1, 0)
    row = site.row(answer)
    assert (row["attempts"], row["attempt_errors"], row["error_kind"]) == (1, "a: reset", "reset")


def test_nor_after_a_heartbeat(thrifty: Site) -> None:
    script = thrifty.play([[Hold()]], [said("from b")])
    answer = thrifty.post(thrifty.pair(), script, stream=True)
    assert answer.status == 200
    stream = check_stream(answer.body, include_usage=False)
    assert stream.heartbeats > 0
    assert stream.error is not None
    assert thrifty.asked(script) == (1, 0)


def test_the_dialect_follows_the_target(site: Site) -> None:
    script = site.play([refusal("500 Internal Server Error")], [said("from b")])
    sent = (
        b'{"model": "dialects", "messages": [{"role":"user","content":"Hi"}], "stream": true, "seed": 1, '
        b'"stream_options": {"include_usage": true}, "enable_thinking": false, "script": "%b"}'
    )
    answer = site.gateway.post(sent % script.encode())
    assert answer.headers["x-llmgw-thinking"] == "off; thinking_object"
    [to_a] = [r.body for r in site.a.requests if script.encode() in r.body]
    [to_b] = [r.body for r in site.b.requests if script.encode() in r.body]
    assert to_a == (sent % script.encode()).replace(b"dialects", b"qwen3-max")
    expected_b = (sent % script.encode()).replace(b"dialects", b"glm-5").replace(b'"seed": 1, ', b"")
    without_switch = expected_b.replace(b'"enable_thinking": false, ', b"")
    assert json.loads(to_b) == json.loads(without_switch) | {"thinking": {"type": "disabled"}}
    assert b"enable_thinking" not in to_b
    for upstream, secret in zip((site.a, site.b), SECRETS, strict=True):
        assert f"authorization: Bearer {secret}\r\n".encode() in upstream.requests[-1].head


@pytest.mark.parametrize(
    ("name", "plays", "status", "attempts", "errors"),
    [
        ("503, then 200", [refusal("503 Service Unavailable"), whole("ok")], 200, 2, f"a: {answered(503)}"),
        ("502, then 200", [refusal("502 Bad Gateway"), whole("ok")], 200, 2, f"a: {answered(502)}"),
        ("reset, then 200", [[Reset()], whole("ok")], 200, 2, "a: reset"),
        (
            "503 for good",
            [refusal("503 Service Unavailable")],
            503,
            2,
            f"a: {answered(503)}, a: {answered(503)}",
        ),
        (
            "500 would only fail again",
            [refusal("500 Internal Server Error"), whole("ok")],
            502,
            1,
            f"a: {answered(500)}",
        ),
        (
            "a limit without a time",
            [refusal("429 Too Many Requests"), whole("ok")],
            429,
            1,
            f"a: {answered(429)}",
        ),
        (
            "a limit that is soon over",
            [refusal("429 Too Many Requests", b"retry-after: 1\r\n"), whole("ok")],
            200,
            2,
            f"a: {answered(429)}",
        ),
        (
            "a limit that is not",
            [refusal("429 Too Many Requests", b"retry-after: 30\r\n"), whole("ok")],
            429,
            1,
            f"a: {answered(429)}",
        ),
        (
            "503 that asks for patience",
            [refusal("503 Service Unavailable", b"retry-after: 30\r\n"), whole("ok")],
            503,
            1,
            f"a: {answered(503)}",
        ),
    ],
)
def test_with_one_target_the_same_is_asked_once_more(
    site: Site, name: str, plays: Sequence[Sequence[Step]], status: int, attempts: int, errors: str | None
) -> None:
    script = site.play(plays)
    begun = time.monotonic()
    answer = site.post(site.one(), script)
    assert answer.status == status, name
    assert answer.headers["x-llmgw-attempts"] == str(attempts)
    assert site.asked(script) == (attempts, 0)
    row = site.row(answer)
    assert (row["attempts"], row["attempt_errors"]) == (attempts, errors)
    if "retry-after: 1" in str(plays):
        assert time.monotonic() - begun >= 1
    if "retry-after: 30" in str(plays):
        assert answer.headers["retry-after"] == "30"


def test_a_dead_port_is_tried_once_more(site: Site) -> None:
    answer = site.post("dead-only", "none")
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert answer.headers["x-llmgw-attempts"] == "2"


BOTH_TIMED_OUT = "silent: first_event_timeout, hasty: total_timeout"


def ask_silent_then_hasty(site: Site) -> tuple[Answer, dict[str, Any], float]:
    """The answer, its row and how long it may have taken at most."""
    script = site.play([[Hold()]], [[EVENT_STREAM_HEAD, Hold()]])
    begun = time.monotonic()
    answer = site.post("then-hasty", script, stream=True)
    elapsed_s = time.monotonic() - begun
    row = site.row(answer)
    return answer, row, 1.9 + (elapsed_s - row["total_s"])


def test_the_total_timeout_counts_from_the_first_attempt(site: Site) -> None:
    """The first target takes 0.5 s of the 1.5 s that the second one gives to a request."""
    answer, row, most_s = ask_silent_then_hasty(site)
    for _ in range(2):
        if row["attempt_errors"] == BOTH_TIMED_OUT and row["total_s"] < most_s:
            break
        # The machine stalled: it took longer, or the second target had no time. Hardly three times in a row.
        answer, row, most_s = ask_silent_then_hasty(site)
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert (row["error_kind"], row["attempt_errors"]) == ("total_timeout", BOTH_TIMED_OUT)
    assert 1.4 <= row["total_s"] < most_s


def leave_between_two_attempts(site: Site) -> tuple[str, str, dict[str, Any]]:
    """The script, the model and the row of a client that leaves when it has seen its first attempt fail."""
    script = site.play([refusal("503 Service Unavailable", b"retry-after: 2\r\n"), whole("ok")])
    model = site.one()
    content = json.dumps(body(model, script=script)).encode()
    url = site.gateway.client.base_url
    assert url.port is not None
    with socket.create_connection((url.host, url.port), timeout=SEEN_WITHIN_S) as connection:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {site.gateway.key}\r\n"
        )
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        wait_until(
            lambda: site.health(model)[0]["consecutive_failures"] == 1 or site.asked(script) == (2, 0),
            "failed",
            timeout_s=SEEN_WITHIN_S,
        )

    def rows() -> list[dict[str, Any]]:
        return [row for row in site.gateway.ledger_rows() if row["model"] == model]

    wait_until(lambda: bool(rows()), "ledger row", timeout_s=SEEN_WITHIN_S)
    [row] = rows()
    return script, model, row


def test_a_client_that_leaves_between_two_attempts(site: Site) -> None:
    script, model, row = leave_between_two_attempts(site)
    if row["status"] == 200 or row["total_s"] >= 2:  # the machine stalled, and the client was late
        script, model, row = leave_between_two_attempts(site)
    assert (row["status"], row["error_kind"], row["attempts"]) == (499, "client_gone", 1)
    assert row["total_s"] < 2
    assert site.asked(script) == (1, 0)
    assert site.health(model)[0]["in_flight"] == 0


def test_a_limit_cools_down_and_a_probe_lets_back(thrifty: Site) -> None:
    limit = refusal("429 Too Many Requests", b"retry-after: 60\r\n")  # capped by max_cool_down_s
    script = thrifty.play([limit, whole("from a")], [whole("from b")])
    model = thrifty.pair()
    first = thrifty.post(model, script)
    assert (first.status, first.headers["x-llmgw-attempts"]) == (200, "2")
    [a, b] = thrifty.health(model)
    assert (a["upstream"], a["state"], a["consecutive_failures"]) == ("a", "cooling", 1)
    assert 0 < a["cooling_s"] <= 3.6
    assert (b["upstream"], b["state"], b["cooling_s"]) == ("b", "up", 0)
    labels = f'llmgw_upstream_cooling{{account="",upstream="a",upstream_model="{model}"}}'
    assert thrifty.metrics("llmgw_upstream_cooling")[labels] == 1
    wait_until(lambda: thrifty.health(model)[0]["state"] == "probing", "probing", timeout_s=SEEN_WITHIN_S)
    probe = thrifty.post(model, script)
    assert probe.headers["x-llmgw-attempts"] == "1"
    assert probe.json()["choices"][0]["message"]["content"] == "from a"
    assert thrifty.health(model)[0]["state"] == "up"
    assert thrifty.metrics("llmgw_upstream_cooling")[labels] == 0


def test_one_that_cools_down_is_not_asked(thrifty: Site) -> None:
    limit = refusal("429 Too Many Requests")
    script = thrifty.play([limit], [whole("from b")])
    model = thrifty.pair()
    assert thrifty.post(model, script).headers["x-llmgw-attempts"] == "2"
    spared = 0

    def probed() -> bool:
        nonlocal spared
        answer = thrifty.post(model, script)
        if thrifty.health(model)[0]["consecutive_failures"] > 1:
            return True
        assert answer.headers["x-llmgw-attempts"] == "1"
        spared += 1
        return False

    wait_until(probed, "a probe that fails", timeout_s=SEEN_WITHIN_S)
    assert spared > 0
    assert thrifty.asked(script) == (2, spared + 2)


def test_five_failures_in_a_row_cool_down(site: Site) -> None:
    script = site.play([refusal("500 Internal Server Error")], [whole("from b")])
    model = site.pair()
    for failures in range(1, 6):
        assert site.post(model, script).headers["x-llmgw-attempts"] == "2"
        assert site.health(model)[0]["consecutive_failures"] == failures
    assert site.health(model)[0]["state"] in {"cooling", "probing"}


def test_streams_that_break_count_too(site: Site) -> None:
    script = site.play([[*partial_event_stream(chunk("from a")), Reset()]], [said("from b")])
    model = site.pair()
    for failures in range(1, 6):
        site.post(model, script, stream=True)
        wait_until(
            lambda expected=failures: site.health(model)[0]["consecutive_failures"] == expected,  # type: ignore[misc]
            "counted",
            timeout_s=SEEN_WITHIN_S,
        )
    assert site.health(model)[0]["state"] != "up"


def test_when_everything_fails_the_budget_holds(thrifty: Site) -> None:
    failing = refusal("500 Internal Server Error")
    script = thrifty.play([failing], [failing])
    requests = 400
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: thrifty.post("equals", script), range(requests)))
    seconds = int(time.monotonic() - begun) + 1
    assert {answer.status for answer in answers} == {502}
    attempts = sum(thrifty.asked(script))
    assert requests < attempts <= max(requests * 1.2, requests + 3 * seconds) + 3
    assert attempts == sum(int(answer.headers["x-llmgw-attempts"]) for answer in answers)
    assert sum(thrifty.metrics("llmgw_upstream_attempts_total").values()) == attempts
    assert sum(thrifty.metrics("llmgw_retries_total").values()) == attempts - requests
    assert thrifty.metrics("llmgw_retries_refused_total")["llmgw_retries_refused_total"] > 0


def test_readiness_tells_of_upstreams_by_name_only(site: Site) -> None:
    plain = site.gateway.client.get("/readyz").json()
    assert plain == {"status": "ok"}
    answer = site.gateway.client.get("/readyz?verbose")
    assert answer.status_code == 200
    failed = {"last_failure", "last_failure_s"}
    assert set(answer.json()["upstreams"][0]) - failed == {
        "upstream",
        "account",
        "upstream_model",
        "state",
        "consecutive_failures",
        "cooling_s",
        "in_flight",
    }
    for secret in (*SECRETS, "http", "127.0.0.1"):
        assert secret not in answer.text
