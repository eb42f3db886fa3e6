"""`llmgw._core` without a socket: requests, routes, answers as bytes. Their rules are tested in rust/core."""

import json
from typing import Any
from unittest.mock import ANY

import pytest

from llmgw import _core

MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
VALID = f'"model":"a",{MESSAGES}'.encode()
PLAIN = f'{{"model":"qwen3-max",{MESSAGES}}}'.encode()


def chat_request(members: str) -> _core.ChatRequest:
    return _core.ChatRequest(f'{{"model":"a",{MESSAGES},{members}}}'.encode())


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


STREAM = chunk({"role": "assistant", "content": "你好"}) + chunk({}, "stop")
USAGE = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
)
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"no capacity","code":503}}\n\n'


def test_a_request_with_nothing_special() -> None:
    request = _core.ChatRequest(PLAIN)
    assert (request.model, request.stream) == ("qwen3-max", False)
    assert (request.thinking, request.media) == (None, [])


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, True) for status in (400, 409, 413, 415, 422, 451)),
        *((status, False) for status in (200, 399, 401, 403, 404, 408, 429, 500, 503, 999)),
    ],
)
def test_which_statuses_are_about_the_request(status: int, *, expected: bool) -> None:
    assert _core.is_about_the_request(status) is expected


@pytest.mark.parametrize(
    ("members", "attribute", "expected"),
    [
        ('"stream":true', "stream", True),
        ('"llmgw_thinking":true', "thinking", True),
        ('"enable_thinking":false', "thinking", False),
    ],
)
def test_what_a_request_asks_for(members: str, attribute: str, *, expected: bool) -> None:
    assert getattr(chat_request(members), attribute) is expected


def test_the_first_of_each_medium() -> None:
    text = {"type": "text", "text": "what is this?"}
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    film = {"type": "video_url", "video_url": {"url": "data:,"}}
    messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": [text, image, film, image]}]
    body = json.dumps({"model": "a", "messages": messages}).encode()
    expected = [("image", "messages[1].content[1]"), ("video", "messages[1].content[2]")]
    assert _core.ChatRequest(body).media == expected


def test_a_byte_order_mark_is_passed_over() -> None:
    mark = b"\xef\xbb\xbf"
    prepared = _core.ChatRequest(mark + PLAIN).rewrite(_core.Route("qwen3-max"))
    assert json.loads(prepared.body)["model"] == "qwen3-max"
    assert prepared.body == _core.ChatRequest(PLAIN).rewrite(_core.Route("qwen3-max")).body
    completion = _core.CompletionRequest([mark[:1], mark[1:] + b'{"model":"m","prompt":"a"}'])
    assert completion.rewrite(_core.Route("m")).body == b'{"model":"m","prompt":"a"}'
    for odd in (mark + mark + PLAIN, b" " + mark + PLAIN, mark, PLAIN.decode().encode("utf-16")):
        with pytest.raises(_core.RequestError) as caught:
            _core.ChatRequest(odd)
        assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("body", "code", "param", "offset"),
    [
        (b"", "invalid_json", None, 0),
        (b"{" + VALID, "invalid_json", None, len(VALID) + 1),
        (b'{"model":"\xff",' + VALID[12:] + b"}", "invalid_json", "model", 10),
        (b'{"model":7}', "invalid_type", "model", 9),
        (b'{"messages":[]}', "invalid_type", "messages", 12),
        (b'{"model":"a"}', "missing_field", "messages", None),
        (b"{" + VALID + b',"model":"b"}', "duplicate_field", "model", None),
        (b"{" + VALID + b',"x":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep", ANY, None),
    ],
)
def test_bodies_that_are_refused(body: bytes, code: str, param: str | None, offset: int | None) -> None:
    with pytest.raises(_core.RequestError) as raised:
        _core.ChatRequest(body)
    error = raised.value
    assert (error.code, error.param) == (code, param)
    assert offset in (None, error.offset)
    assert 0 <= error.offset <= len(body)
    assert error.message == str(error)


def test_a_body_that_is_no_bytes() -> None:
    for body in (PLAIN.decode(), bytearray(PLAIN), None):
        with pytest.raises(TypeError):
            _core.ChatRequest(body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("route", "members", "mode"),
    [
        (_core.Route("m"), '"stream":true', "stream"),
        (_core.Route("m", upstream_stream="never"), '"stream":false', "plain"),
        (_core.Route("m", upstream_stream="always"), '"stream":false', "merged"),
    ],
)
def test_how_an_answer_will_come(route: _core.Route, members: str, mode: str) -> None:
    assert chat_request(members).rewrite(route).mode == mode


def test_a_rewrite() -> None:
    body = f'{{"model":"a", {MESSAGES}, "llmgw_thinking":true, "n":1e999, "seed":7}}'.encode()
    route = _core.Route("qwen3-max", dialect="enable_thinking", upstream_stream="never", drop=["seed"])
    request = _core.ChatRequest(body)
    prepared = request.rewrite(route)
    assert json.loads(prepared.body) == {
        "model": "qwen3-max",
        "messages": [{"role": "user", "content": "hi"}],
        "enable_thinking": True,
        "n": float("inf"),
    }
    assert b"1e999" in prepared.body, "what is not rewritten stays as it was written"
    assert (prepared.thinking_asked, prepared.thinking_sent) == ("on", "enable_thinking")
    # A fallback rewrites the same request once more.
    other = request.rewrite(_core.Route("other", dialect="native", upstream_stream="never"))
    assert json.loads(other.body)["model"] == "other"
    assert json.loads(other.body)["seed"] == 7


def test_a_body_that_needs_no_rewrite_is_the_same_bytes() -> None:
    prepared = _core.ChatRequest(PLAIN).rewrite(_core.Route("qwen3-max", upstream_stream="never"))
    assert (prepared.body, prepared.thinking_asked, prepared.thinking_sent) == (PLAIN, None, None)


def test_a_large_body() -> None:
    body = json.dumps({"model": "a", "messages": [{"role": "user", "content": "x" * 1_000_000}]}).encode()
    prepared = _core.ChatRequest(body).rewrite(_core.Route("b", upstream_stream="never"))
    assert prepared.body == body.replace(b'"model": "a"', b'"model": "b"')


def test_routes() -> None:
    route = _core.Route("deepseek-chat")
    assert (route.upstream_model, route.dialect) == ("deepseek-chat", _core.dialect_for("deepseek-chat"))
    assert _core.Route("deepseek-chat", dialect="native").dialect == "native"
    assert _core.dialect_for("qwen3-max") == "enable_thinking"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dialect", "a thinking dialect is one of"),
        ("upstream_stream", "upstream_stream is one of"),
        ("reasoning_tags", "reasoning_tags is"),
    ],
)
def test_routes_that_can_not_be_made(option: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Route("m", **{option: "esperanto"})  # type: ignore[arg-type]  # some options are booleans


@pytest.mark.parametrize(
    ("obj", "attribute"),
    [
        (_core.ChatRequest(PLAIN), "model"),
        (_core.Route("m"), "dialect"),
        (_core.ChatRequest(PLAIN).rewrite(_core.Route("m")), "body"),
    ],
)
def test_nothing_can_be_changed(obj: object, attribute: str) -> None:
    with pytest.raises(AttributeError):
        setattr(obj, attribute, "other")
    with pytest.raises(AttributeError):
        obj.something_new = 1  # type: ignore[attr-defined]


def test_only_the_core_makes_these() -> None:
    for made in (_core.PreparedRequest, _core.Exchange, _core.ExchangeReport):
        with pytest.raises(TypeError, match=r"No constructor|cannot create"):
            made()


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("include_usage", "expected"), [(False, STREAM + DONE), (True, STREAM + USAGE + DONE)]
)
def test_transform(size: int, expected: bytes, *, include_usage: bool) -> None:
    stream = STREAM + USAGE + DONE
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert _core.transform(pieces, include_usage=include_usage) == expected


def test_transform_tells_of_a_failure_in_band() -> None:
    output = _core.transform([STREAM[:-20]], include_usage=False)
    assert b'"error"' in output.rpartition(b"data: ")[2]
    assert DONE not in output
    assert b"no capacity" in _core.transform([ERROR], include_usage=False)


def test_names_are_filled_in() -> None:
    stream = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    names = {"request_id": "r-1", "model": "m-1", "created_s": 7}
    output = _core.transform([stream], include_usage=False, request_id="r-1", model="m-1", created_s=7)
    first = json.loads(output.split(b"\n\n")[0].removeprefix(b"data: "))
    merged = json.loads(_core.merge([stream], request_id="r-1", model="m-1", created_s=7))
    for found in (first, merged):
        assert {"request_id": found["id"], "model": found["model"], "created_s": found["created"]} == names


def test_merge() -> None:
    merged = json.loads(_core.merge([STREAM, USAGE, DONE]))
    assert merged["object"] == "chat.completion"
    assert merged["choices"][0]["message"]["content"] == "你好"
    assert merged["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("call", "said", "kind", "status", "message"),
    [
        ("merge", ERROR, "error_event", 503, "no capacity"),
        ("merge", STREAM[:20], "truncated", None, None),
        ("merge", b"data: nonsense\n\n", "invalid_event", None, None),
        ("clean_completion", ERROR[6:], "error_event", 503, "no capacity"),
        ("clean_completion", b"{}", "invalid_event", None, None),
    ],
)
def test_answers_that_are_none(
    call: str, said: bytes, kind: str, status: int | None, message: str | None
) -> None:
    with pytest.raises(_core.UpstreamError) as raised:
        _core.merge([said]) if call == "merge" else _core.clean_completion(said)
    error = raised.value
    assert (error.kind, error.status, error.message, error.retry_after_s) == (kind, status, message, None)


def test_clean_completion() -> None:
    message = {"role": "assistant", "content": "a"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    completion = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    body = json.dumps(completion).encode()
    assert _core.clean_completion(body) is body, "what needs no change is not copied"
    del message["role"]
    cleaned = json.loads(_core.clean_completion(json.dumps(completion).encode()))
    assert cleaned["choices"][0]["message"] == {"role": "assistant", "content": "a"}


def test_the_version_is_the_package_s() -> None:
    assert _core.__version__.partition("+")[0].count(".") == 2, "the commit may stand behind it"
    assert isinstance(_core.DEBUG_BUILD, bool)


def test_a_body_in_pieces_is_the_same_body() -> None:
    """Long enough to be sent as slices of what came: see `assembled` in rust/python/src/request.rs."""
    message = {"role": "user", "content": 'x\n"你' * 5_000}
    members = {"model": "a", "enable_thinking": False, "messages": [message], "stream": True}
    body = json.dumps(members, ensure_ascii=False).encode()
    route = _core.Route("a-longer-name", dialect="thinking_object")
    whole = _core.ChatRequest(body).rewrite(route).body
    sent = json.loads(whole)
    assert (sent["model"], sent["thinking"]) == ("a-longer-name", {"type": "disabled"})
    assert "enable_thinking" not in sent
    assert sent["messages"] == [message]
    assert f'"messages": {json.dumps([message], ensure_ascii=False)}'.encode() in whole
    for cut in (0, 1, 11, 40, len(body) // 2, len(body)):
        assert _core.ChatRequest([body[:cut], b"", body[cut:]]).rewrite(route).body == whole


def test_a_text_completion() -> None:
    body = b'{"model":"a","llmgw_thinking":true,"prompt":"f(","suffix":")","stream":true,"enable_thinking":1}'
    request = _core.CompletionRequest(body)
    assert (request.model, request.stream) == ("a", True)
    route = _core.Route("b", dialect="enable_thinking", upstream_stream="always", restore_reasoning=True)
    prepared = request.rewrite(route)
    assert prepared.body == (
        b'{"model":"b","prompt":"f(","suffix":")","stream":true,"enable_thinking":1, '
        b'"stream_options": {"include_usage": true}}'
    )
    assert prepared.mode == "stream"
    assert (prepared.thinking_asked, prepared.thinking_sent) == (None, None)
    assert (prepared.keeps_reasoning, prepared.restored) == (False, 0)


def test_a_text_completion_that_is_not_streamed_is_never_merged() -> None:
    pieces = [b'{"model":"a",', b'"prompt":[1,2]}']
    prepared = _core.CompletionRequest(pieces).rewrite(_core.Route("a", upstream_stream="always"))
    assert (prepared.mode, prepared.body) == ("plain", b"".join(pieces))


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"[", "invalid_json", None),
        (b'{"model":"a"}', "missing_field", "prompt"),
        (b'{"prompt":"a"}', "missing_field", "model"),
        (b'{"model":"a","prompt":{}}', "invalid_type", "prompt"),
        (b'{"model":"a","prompt":"b","prompt":"c"}', "duplicate_field", "prompt"),
    ],
)
def test_text_completions_that_are_refused(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(_core.RequestError) as raised:
        _core.CompletionRequest(body)
    assert (raised.value.code, raised.value.param) == (code, param)
