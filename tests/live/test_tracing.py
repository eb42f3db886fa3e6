"""Traces of a live gateway, at a collector that believes nothing (tests/support/otlp.py)."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.native.support import config as native_config
from tests.support.chat import HELLO, body, mark, streamed
from tests.support.gateway import CHAT_COMPLETIONS, Gateway, config_text
from tests.support.otlp import CONTENT, Collector, Span
from tests.support.processes import wait_until
from tests.support.scripted import EVENT_STREAM_HEAD, Hold, Reset, ScriptedUpstream, json_answer
from tests.support.simulator import SimulatorProcess

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + "00"
TRACE_ID, SPAN_ID = PARENT[3:35], PARENT[36:52]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def event(content: str, finish_reason: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **more,
    }
    return b"data: %b\n\n" % json.dumps(chunk).encode()


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = event("", "stop", usage=USAGE) + b"data: [DONE]\n\n"
EVENT = chunked(event("Hel"))
GOOD = EVENT_STREAM_HEAD + EVENT + chunked(END) + chunked(b"")
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
REFUSED = b"HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TEXT = json_answer(
    {
        "id": "t",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "Hi", "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as each:
        yield each


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: SimulatorProcess,
    scripted: ScriptedUpstream,
    collector: Collector,
) -> Iterator[Gateway]:
    """A gateway that exports all traces."""
    text = config_text(simulator.url, scripted.base_url)
    text += f'\n[otel]\nendpoint = "{collector.url}"\nservice_name = "llmgw-test"\n'
    env = {
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    }
    with Gateway(tmp_path_factory.mktemp("traced"), text, env=env) as gateway:
        yield gateway


def posted(gateway: Gateway, sent: dict[str, Any], path: str = CHAT_COMPLETIONS, **headers: str) -> str:
    """Post a request; the request's id."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = gateway.client.post(path, json=sent, headers={**gateway.headers(), **more})
    return answer.headers["x-request-id"]


def duration_s(span: Span) -> float:
    return (span.end_ns - span.start_ns) / 1e9


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_chat_completion(traced: Gateway, collector: Collector, stream: bool) -> None:  # noqa: FBT001
    make = streamed if stream else body
    sent = make("deepseek-v4-pro", max_tokens=77)
    request_id = posted(traced, sent)
    row = traced.ledger(request_id)
    server, [attempt] = collector.of(request_id, 1)
    assert server.name == "POST /v1/chat/completions"
    assert server["http.response.status_code"] == 200
    assert server["llmgw.key.id"] == row["key_id"]
    assert server["error.type"] is None
    assert not server.failed
    assert server.parent_id == ""
    assert duration_s(server) == pytest.approx(row["total_s"], abs=0.1)
    assert attempt.name == "chat deepseek-v4-pro"
    assert attempt["gen_ai.provider.name"] == "deepseek"
    assert attempt["server.address"] == "127.0.0.1"
    assert attempt["gen_ai.request.stream"] is (True if stream else None)
    assert attempt["gen_ai.usage.input_tokens"] == row["prompt_tokens"]
    assert attempt["gen_ai.usage.output_tokens"] == row["completion_tokens"]
    assert attempt["gen_ai.response.finish_reasons"] == (row["finish_reason"],)
    assert attempt["gen_ai.response.model"] == "deepseek-v4-pro"
    assert attempt["gen_ai.response.id"]
    assert attempt["gen_ai.request.max_tokens"] == 77
    assert attempt["gen_ai.request.choice.count"] is None
    assert (attempt["gen_ai.response.time_to_first_chunk"] is not None) is stream
    assert "gen_ai.usage.input_tokens" not in server.attributes
    assert server.resource["service.name"] == "llmgw-test"
    assert server.resource["deployment.environment"] == "test"
    assert collector.headers[-1]["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "sent", "operation"),
    [
        ("/v1/messages", body("qwen3-max", max_tokens=50), "chat"),
        ("/v1/responses", {"model": "qwen3-max", "input": "Say hello."}, "chat"),
        ("/v1/completions", {"model": "scripted", "prompt": "a", "script": "text"}, "text_completion"),
        ("/v1/embeddings", {"model": "text-embedding-v4", "input": "a"}, "embeddings"),
        ("/v1/rerank", {"model": "qwen3-rerank", "query": "a", "documents": ["b"]}, "rerank"),
    ],
)
def test_every_way_in(
    traced: Gateway,
    collector: Collector,
    scripted: ScriptedUpstream,
    path: str,
    sent: dict[str, Any],
    operation: str,
) -> None:
    scripted.plays("text", [TEXT])
    request_id = posted(traced, sent, path)
    server, [attempt] = collector.of(request_id, 1)
    assert server.name == f"POST {path}"
    assert server["llmgw.api"] == path.removeprefix("/v1/")
    assert attempt["gen_ai.operation.name"] == operation == server["gen_ai.operation.name"]


def heads(scripted: ScriptedUpstream, script: str) -> list[str]:
    return [request.head.decode() for request in scripted.requests if script.encode() in request.body]


def test_the_client_s_trace_goes_on_through_a_retry(
    traced: Gateway, collector: Collector, scripted: ScriptedUpstream
) -> None:
    script = mark()
    scripted.plays(script, [BUSY], [GOOD])
    request_id = posted(
        traced, streamed("scripted", script=script), traceparent=PARENT, tracestate="a=1, b=2"
    )
    server, [first, second] = collector.of(request_id, 2)
    assert server.trace_id == TRACE_ID == first.trace_id == second.trace_id
    assert server.parent_id == SPAN_ID
    assert (server.state, second.state) == ("a=1,b=2", "a=1,b=2")
    for head, attempt in zip(heads(scripted, script), (first, second), strict=True):
        assert f"\r\ntraceparent: 00-{TRACE_ID}-{attempt.span_id}-01\r\n" in head
        assert "\r\ntracestate: a=1,b=2\r\n" in head
    assert (first["error.type"], first["http.response.status_code"]) == ("status_503", 503)
    assert (second["error.type"], second["http.response.status_code"]) == (None, None)
    assert (first.failed, second.failed, server.failed) == (True, False, False)
    assert first["gen_ai.usage.output_tokens"] is None
    assert second["gen_ai.usage.output_tokens"] == 2


def test_a_failure_names_its_trace_in_the_log(
    traced: Gateway, collector: Collector, scripted: ScriptedUpstream
) -> None:
    request_id = posted(traced, body("scripted", script=scripted.script(REFUSED)), traceparent=PARENT)
    server, [attempt] = collector.of(request_id, 1)
    assert attempt.failed
    assert (server.failed, server["error.type"], server["http.response.status_code"]) == (True, "status", 502)
    [line] = [
        line for line in traced.process.output.splitlines() if request_id in line and "client got" in line
    ]
    assert line.endswith(f"trace {TRACE_ID}")


def test_a_client_that_leaves(traced: Gateway, collector: Collector, scripted: ScriptedUpstream) -> None:
    script = scripted.script(EVENT_STREAM_HEAD, EVENT, Hold())
    with traced.stream(streamed("scripted", script=script)) as answer:
        next(answer.iter_raw())
    server, [attempt] = collector.of(answer.headers["x-request-id"], 1)
    assert server["error.type"] == attempt["error.type"] == "client_gone"
    assert not server.failed
    assert not attempt.failed
    assert server["http.response.status_code"] == 200


def test_a_stream_that_breaks_is_a_failure_though_its_status_was_200(
    traced: Gateway, collector: Collector, scripted: ScriptedUpstream
) -> None:
    request_id = posted(
        traced, streamed("scripted", script=scripted.script(EVENT_STREAM_HEAD, EVENT, Reset()))
    )
    server, [attempt] = collector.of(request_id, 1)
    assert (server["http.response.status_code"], server.failed, attempt.failed) == (200, True, True)
    assert attempt["gen_ai.usage.output_tokens"] is None


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        ({"model": "no-such", "messages": HELLO}, 404, "model_not_found"),
        ({"model": "glm-5"}, 400, "missing_field"),
    ],
)
def test_a_refused_request_has_a_span_alone(
    traced: Gateway, collector: Collector, sent: dict[str, Any], status: int, error: str
) -> None:
    server, [] = collector.of(posted(traced, sent), 0)
    assert (server["http.response.status_code"], server["error.type"], server.failed) == (
        status,
        error,
        False,
    )
    assert "gen_ai.request.model" not in server.attributes or sent["model"] == "glm-5"


def test_requests_of_one_conversation_have_its_id(traced: Gateway, collector: Collector) -> None:
    ids = [posted(traced, body("glm-5"), x_llmgw_session=name) for name in ("one", "one", "other")]
    ids.append(posted(traced, body("glm-5")))
    spans = [collector.of(request_id, 1) for request_id in ids]
    names = [server["gen_ai.conversation.id"] for server, _ in spans]
    assert names == [attempt["gen_ai.conversation.id"] for _, [attempt] in spans]
    assert names[0] == names[1] != names[2]
    assert names[3] is None
    assert len(names[0]) == 16


def test_a_request_without_a_valid_key_has_none(traced: Gateway, collector: Collector) -> None:
    refused = traced.post(body("glm-5"), key="sk-gtw-" + "x" * 32)
    collector.of(posted(traced, body("glm-5")))
    assert refused.status == 401
    assert not [
        each for each in collector.spans if each["llmgw.request.id"] == refused.headers["x-request-id"]
    ]


@pytest.mark.parametrize(
    "parent", ["", PARENT.upper(), PARENT + "-00", f"{PARENT}, {PARENT}", "ff" + PARENT[2:]]
)
def test_a_bad_parent_begins_a_new_trace(
    traced: Gateway, collector: Collector, scripted: ScriptedUpstream, parent: str
) -> None:
    script = scripted.script(GOOD)
    request_id = posted(traced, streamed("scripted", script=script), traceparent=parent, tracestate="a=1")
    server, [attempt] = collector.of(request_id, 1)
    assert server.trace_id not in {TRACE_ID, ""}
    assert (server.parent_id, server.state) == ("", "")
    [head] = heads(scripted, script)
    assert f"traceparent: 00-{server.trace_id}-{attempt.span_id}-03\r\n" in head
    assert "tracestate" not in head


def test_what_the_client_does_not_sample_is_not_exported(
    traced: Gateway, collector: Collector, scripted: ScriptedUpstream
) -> None:
    script = scripted.script(GOOD)
    request_id = posted(traced, streamed("scripted", script=script), traceparent=UNSAMPLED)
    collector.of(posted(traced, body("glm-5")))
    assert not [each for each in collector.spans if each["llmgw.request.id"] == request_id]
    [head] = heads(scripted, script)
    assert f"traceparent: 00-{TRACE_ID}-" in head
    assert f"traceparent: {UNSAMPLED}" not in head
    assert "-00\r\n" in head


def test_no_text_and_no_key_leaves(traced: Gateway, collector: Collector, scripted: ScriptedUpstream) -> None:
    """Not of the prompt, the answer, the upstream's errors, the keys or the user."""
    text, said = mark(), f"said-{mark()}"
    told = json.dumps({"error": {"message": f"bad: {text}", "code": said}}).encode()
    refusal = (
        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        % len(told)
    )
    good = scripted.script(EVENT_STREAM_HEAD, chunked(event(said)), chunked(END))
    bad = scripted.script(refusal + told)
    for script in (good, bad):
        sent = streamed("scripted", script=script, user=f"user-{text}")
        sent["messages"] = [{"role": "user", "content": text}]
        collector.of(posted(traced, sent), 1)
    everything = b"".join(collector.raw)
    for secret in (text, said, traced.key, "scripted-key"):
        assert secret.encode() not in everything
    assert traced.key[:11].encode() not in everything


def test_what_was_exported_is_counted(traced: Gateway, collector: Collector) -> None:
    collector.of(posted(traced, body("glm-5")), 1)
    wait_until(
        lambda: traced.metric("llmgw_otel_spans_exported_total") == len(collector.spans),
        "the count",
        timeout_s=20,
    )


def test_without_a_collector_the_client_s_trace_is_passed_on_unchanged(
    gateway: Gateway, scripted: ScriptedUpstream
) -> None:
    script = scripted.script(GOOD)
    posted(gateway, streamed("scripted", script=script), traceparent=PARENT, tracestate="a=1")
    [head] = heads(scripted, script)
    assert f"\r\ntraceparent: {PARENT}\r\ntracestate: a=1\r\n" in head
    for parent in ("", PARENT[:-1]):
        script = scripted.script(GOOD)
        posted(gateway, streamed("scripted", script=script), traceparent=parent, tracestate="a=1")
        [head] = heads(scripted, script)
        assert "trace" not in head


def test_without_a_collector_opentelemetry_is_not_imported(traced: Gateway, gateway: Gateway) -> None:
    """Protobuf's library, which it brings along, shows where it is."""

    def maps(each: Gateway) -> str:
        return "".join(Path(f"/proc/{pid}/maps").read_text("utf-8") for pid in each.workers())

    assert "google/_upb" in maps(traced)
    assert "google/_upb" not in maps(gateway)


def test_a_collector_that_hangs_keeps_no_answer_waiting(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    with Collector(answers=[None]) as hanging:
        text = config_text(simulator.url, scripted.base_url) + f'\n[otel]\nendpoint = "{hanging.url}"\n'
        with Gateway(tmp_path, text) as gateway:
            gateway.post(body("glm-5"))
            wait_until(lambda: bool(hanging.headers), "the first export", timeout_s=10)
            begin_s = time.monotonic()
            for _ in range(20):
                assert gateway.post(body("glm-5")).status == 200
            assert time.monotonic() - begin_s < 10
            begin_s = time.monotonic()
            assert gateway.process.stop() == 0
            assert time.monotonic() - begin_s < 10
        assert "spans were not exported before the stop" in gateway.process.output
    assert hanging.spans == []


def test_what_waits_is_exported_at_a_stop(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    """The environment is enough, and says whose traces they are."""
    with Collector() as each:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": each.url, "OTEL_SERVICE_NAME": "by-the-environment"}
        with Gateway(tmp_path, config_text(simulator.url, scripted.base_url), env=env) as gateway:
            request_ids = [posted(gateway, body("glm-5")) for _ in range(5)]
            assert gateway.process.stop() == 0
        for request_id in request_ids:
            server, _ = each.of(request_id, 1)
            assert server.resource["service.name"] == "by-the-environment"


def test_messages_only_where_they_are_asked_for(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream
) -> None:
    with Collector(content=True) as each:
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{each.url}/v1/traces",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
        }
        text = mark()
        chat = streamed("scripted", script=scripted.script(GOOD))
        chat["messages"] = [{"role": "user", "content": text}]
        message = body("qwen3-max", max_tokens=50, system=text, stream=True)
        response = {"model": "qwen3-max", "input": text, "stream": True}
        with Gateway(tmp_path, config_text(simulator.url, scripted.base_url), env=env) as gateway:
            for path, sent in (
                ("/v1/chat/completions", chat),
                ("/v1/messages", message),
                ("/v1/responses", response),
            ):
                request_id = posted(gateway, sent, path)
                server, [attempt] = each.of(request_id, 1)
                assert not [name for name in server.attributes if name in CONTENT]
                name = "gen_ai.system_instructions" if path == "/v1/messages" else "gen_ai.input.messages"
                assert text in attempt[name]
                [said] = json.loads(attempt["gen_ai.output.messages"])
                assert said["role"] == "assistant"
                assert [part for part in said["parts"] if part["type"] == "text" and part["content"]]


def test_native_upstreams_and_counts_get_the_trace(
    tmp_path: Path, simulator: SimulatorProcess, scripted: ScriptedUpstream, collector: Collector
) -> None:
    text = native_config(simulator.url, scripted.base_url) + f'\n[otel]\nendpoint = "{collector.url}"\n'
    with Gateway(tmp_path, text) as gateway:
        script = mark()
        scripted.plays(script, [REFUSED])
        sent = body("scripted", max_tokens=9, metadata={"user_id": "u"}, script=script)
        request_id = posted(gateway, sent, "/v1/messages", traceparent=PARENT)
        _, [attempt] = collector.of(request_id, 1)
        [head] = heads(scripted, script)
        assert f"traceparent: 00-{TRACE_ID}-{attempt.span_id}-01\r\n" in head
        counted = mark()
        scripted.plays(counted, [REFUSED])
        posted(gateway, sent | {"script": counted}, "/v1/messages/count_tokens", traceparent=PARENT)
        [head] = heads(scripted, counted)
        assert f"traceparent: {PARENT}\r\n" in head
