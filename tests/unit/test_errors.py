"""The table of errors, against the contract's own, and what becomes of an upstream's."""

import importlib
import json
import math
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import llmgw
from llmgw import _core, errors
from llmgw.errors import (
    ANTHROPIC,
    ERRORS,
    OPENAI,
    ApiError,
    LlmgwError,
    anthropic_body,
    anthropic_frame,
    anthropic_type,
    render_body,
    render_frame,
    render_headers,
)
from llmgw.routing.verdict import Blame, Retry, upstream_error, upstream_verdict

if TYPE_CHECKING:
    from llmgw._core import _ErrorKind

CONTRACT = {
    400: {
        "invalid_encoding",
        "invalid_json",
        "invalid_type",
        "missing_field",
        "duplicate_field",
        "too_deep",
        "invalid_host",
        "unsupported_modality",
        "unsupported_thinking_mode",
        "wrong_api",
        "unsupported_value",
        "previous_response_not_found",
    },
    401: {"missing_api_key", "invalid_api_key", "expired_api_key"},
    403: {
        "blocked_api_key",
        "model_not_allowed",
        "unpriced_model",
        "wrong_key_kind",
        "read_only_key",
        "capture_disabled",
    },
    404: {"model_not_found", "not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {"conflict", "config_refused"},
    413: {"body_too_large"},
    415: {"unsupported_encoding"},
    426: {"websocket_unsupported"},
    431: {"head_too_large"},
    429: {"rate_limit_exceeded", "insufficient_quota", "upstream_rate_limited"},
    500: {"internal_error"},
    502: {"upstream_error", "upstream_unreachable"},
    503: {"overloaded"},
    504: {"upstream_timeout"},
}


def test_the_table_is_the_contract() -> None:
    by_status: dict[int, set[str]] = {}
    for code, spec in ERRORS.items():
        by_status.setdefault(spec.status, set()).add(code)
    assert by_status == CONTRACT


@pytest.mark.parametrize("code", ERRORS)
def test_type_and_retry_follow_the_status(code: str) -> None:
    spec = ERRORS[code]
    types = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
        500: "server_error",
        502: "upstream_error",
        503: "upstream_error",
        504: "upstream_error",
    }
    if code == "insufficient_quota":  # as OpenAI has it, whose clients give up on it
        assert spec == (429, "insufficient_quota", False)
        return
    assert spec.type == types.get(spec.status, "invalid_request_error")
    assert spec.retriable == (spec.status in {408, 429} or spec.status >= 500)


def test_body_has_the_four_members_and_no_others() -> None:
    body = render_body(ApiError("invalid_type", '应为字符串 "x"\n', param="messages[0]"))
    assert json.loads(body) == {
        "error": {
            "message": '应为字符串 "x"\n',
            "type": "invalid_request_error",
            "param": "messages[0]",
            "code": "invalid_type",
        }
    }
    assert json.loads(render_body(ApiError("not_found", "no")))["error"]["param"] is None


ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    409: "invalid_request_error",
    426: "invalid_request_error",
    431: "invalid_request_error",
    500: "api_error",
    502: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@pytest.mark.parametrize("code", ERRORS)
def test_each_error_in_both_shapes(code: str) -> None:
    error = ApiError(code, "Why.")
    spec = ERRORS[code]
    assert OPENAI.status(error) == spec.status
    assert json.loads(OPENAI.body(error, "req_1")) == {
        "error": {"message": "Why.", "type": spec.type, "param": None, "code": code}
    }
    status = 529 if code == "overloaded" else spec.status
    assert ANTHROPIC.status(error) == status
    assert json.loads(ANTHROPIC.body(error, "req_1")) == {
        "type": "error",
        "error": {"type": ANTHROPIC_ERRORS[status], "message": "Why."},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (409, "invalid_request_error"),
        (422, "invalid_request_error"),
        (451, "invalid_request_error"),
        (501, "api_error"),
    ],
)
def test_anthropic_s_type_of_a_status_of_an_upstream(status: int, expected: str) -> None:
    error = ApiError("upstream_error", "no", status=status)
    assert (ANTHROPIC.status(error), anthropic_type(status)) == (status, expected)
    assert json.loads(anthropic_body(error, "req_1"))["error"]["type"] == expected


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        ("It is not a string.", "messages[0].role", "messages[0].role: It is not a string."),
        ("messages[0].role is not a string.", "messages[0].role", "messages[0].role is not a string."),
        ("No.", None, "No."),
    ],
)
def test_anthropic_s_clients_are_told_the_field_in_the_message(
    message: str, param: str | None, expected: str
) -> None:
    error = ApiError("invalid_type", message, param=param)
    assert json.loads(anthropic_body(error, ""))["error"]["message"] == expected


@pytest.mark.parametrize(
    ("frame", "name", "expected"),
    [
        (render_frame, b"", json.loads(render_body(ApiError("overloaded", "Later.\n")))),
        (
            anthropic_frame,
            b"event: error\n",
            json.loads(anthropic_body(ApiError("overloaded", "Later.\n"), "r")),
        ),
    ],
)
def test_the_frame_that_takes_the_place_of_an_end(
    frame: Callable[[ApiError, str, bytes], bytes], name: bytes, expected: dict[str, Any]
) -> None:
    made = frame(ApiError("overloaded", "Later.\n"), "r", b"data: [DONE]\n\n")
    head, data = made.split(b"data: ")
    assert (head, json.loads(data)) == (name, expected)
    assert data.endswith(b"}\n\n")
    assert data.count(b"\n") == 2


def test_body_survives_a_lone_surrogate() -> None:
    assert json.loads(render_body(ApiError("not_found", "a\ud800b")))["error"]["message"] == "a?b"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ApiError("invalid_json", ""), {b"x-should-retry": b"false"}),
        (ApiError("request_timeout", ""), {}),
        (ApiError("rate_limit_exceeded", "", retry_after_s=1.2), {b"retry-after": b"2"}),
        (ApiError("overloaded", "", retry_after_s=0), {b"retry-after": b"0"}),
        (ApiError("overloaded", "", retry_after_s=-3), {b"retry-after": b"0"}),
        (ApiError("overloaded", "", retry_after_s=1e12), {b"retry-after": b"86400"}),
        (ApiError("overloaded", "", retry_after_s=math.inf), {}),
        (ApiError("overloaded", "", retry_after_s=math.nan), {}),
        (ApiError("upstream_error", "", retriable=False), {b"x-should-retry": b"false"}),
        (
            ApiError("insufficient_quota", "", headers=[(b"x-more", b"1")]),
            {b"x-should-retry": b"false", b"x-more": b"1"},
        ),
    ],
)
def test_headers(error: ApiError, expected: dict[bytes, bytes]) -> None:
    assert dict(render_headers(error)) == {b"content-type": b"application/json", **expected}


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(KeyError):
        ApiError("no_such_code", "")


SECRET = "upstream says sk-secret"


@pytest.mark.parametrize(
    ("kind", "upstream_status", "status", "code", "echoed", "retriable"),
    [
        # The upstream has an opinion on the request: it reaches the client.
        ("status", 400, 400, "upstream_error", True, False),
        ("status", 409, 409, "upstream_error", True, True),
        ("status", 413, 413, "upstream_error", True, False),
        ("status", 415, 415, "upstream_error", True, False),
        ("status", 422, 422, "upstream_error", True, False),
        ("status", 451, 451, "upstream_error", True, False),
        ("error_event", 400, 400, "upstream_error", True, False),
        # The upstream refuses the gateway: the operator's trouble, and nothing of it is told.
        ("status", 401, 502, "upstream_error", False, False),
        ("status", 402, 502, "upstream_error", False, False),
        ("status", 403, 502, "upstream_error", False, False),
        ("status", 404, 502, "upstream_error", False, False),
        ("status", 405, 502, "upstream_error", False, False),
        ("status", 407, 502, "upstream_error", False, False),
        ("status", 418, 502, "upstream_error", False, False),
        ("error_event", 401, 502, "upstream_error", False, False),
        # It has had enough, or is slow.
        ("status", 408, 504, "upstream_timeout", False, True),
        ("status", 429, 429, "upstream_rate_limited", False, True),
        ("error_event", 429, 429, "upstream_rate_limited", False, True),
        ("status", 503, 503, "overloaded", False, True),
        ("status", 504, 504, "upstream_timeout", False, True),
        ("status", 529, 503, "overloaded", False, True),
        # It is broken.
        ("status", 500, 502, "upstream_error", False, True),
        ("status", 502, 502, "upstream_error", False, True),
        ("status", 204, 502, "upstream_error", False, True),
        ("error_event", None, 502, "upstream_error", False, True),
        ("content_type", 400, 502, "upstream_error", False, True),
        ("redirect", 302, 502, "upstream_error", False, False),
        ("unreachable", None, 502, "upstream_unreachable", False, True),
        ("connect_timeout", None, 504, "upstream_timeout", False, True),
        ("first_event_timeout", None, 504, "upstream_timeout", False, True),
        ("idle_timeout", None, 504, "upstream_timeout", False, True),
        ("total_timeout", None, 504, "upstream_timeout", False, True),
        ("panic", None, 500, "internal_error", False, True),
        ("a kind of tomorrow", None, 502, "upstream_error", False, True),
    ],
)
def test_upstream_errors(
    kind: "_ErrorKind", upstream_status: int | None, status: int, code: str, *, echoed: bool, retriable: bool
) -> None:
    error = upstream_error(kind, status=upstream_status, retry_after_s=7, message=SECRET)
    assert (error.status, error.code, error.retriable) == (status, code, retriable)
    assert error.retry_after_s == 7
    assert (error.message == SECRET) == echoed
    assert echoed or SECRET not in error.message


def test_a_refusal_without_a_message_gets_one() -> None:
    assert upstream_error("status", status=422).message == "The upstream refused the request with status 422."


def test_every_kind_of_the_core_has_its_own_message() -> None:
    stub = Path(__file__).parents[2].joinpath("python/llmgw/_core.pyi").read_text("utf-8")
    alias = re.search(r"^_ErrorKind: TypeAlias = Literal\[(.*?)\]", stub, re.DOTALL | re.MULTILINE)
    assert alias is not None
    kinds: set[_ErrorKind] = set(re.findall(r'"(\w+)"', alias[1])) - {"status"}
    assert len(kinds) > 10
    unknown = upstream_error("no such kind").message  # type: ignore[arg-type]  # of tomorrow
    assert {kind for kind in kinds if upstream_error(kind).message == unknown} == set()


@pytest.mark.parametrize(
    ("kind", "status", "retry", "blame"),
    [
        # It passes by itself: the same target may be asked again.
        ("unreachable", None, Retry.SAME, Blame.UPSTREAM),
        ("reset", None, Retry.SAME, Blame.UPSTREAM),
        ("status", 502, Retry.SAME, Blame.UPSTREAM),
        ("status", 503, Retry.SAME, Blame.UPSTREAM),
        ("status", 529, Retry.SAME, Blame.UPSTREAM),
        ("error_event", 503, Retry.SAME, Blame.UPSTREAM),
        ("status", 429, Retry.SAME, Blame.PACE),
        # This target would do it again, or has taken long enough.
        ("connect_timeout", None, Retry.OTHER, Blame.UPSTREAM),
        ("first_event_timeout", None, Retry.OTHER, Blame.UPSTREAM),
        ("status", 500, Retry.OTHER, Blame.UPSTREAM),
        ("status", 504, Retry.OTHER, Blame.UPSTREAM),
        ("status", 401, Retry.OTHER, Blame.UPSTREAM),
        ("status", 404, Retry.OTHER, Blame.UPSTREAM),
        ("status", 418, Retry.OTHER, Blame.UPSTREAM),
        ("redirect", 302, Retry.OTHER, Blame.UPSTREAM),
        ("content_type", 200, Retry.OTHER, Blame.UPSTREAM),
        ("content_type", 400, Retry.OTHER, Blame.UPSTREAM),
        ("error_event", None, Retry.OTHER, Blame.UPSTREAM),
        ("a kind of tomorrow", None, Retry.OTHER, Blame.UPSTREAM),
        # Every target would do it.
        ("status", 400, Retry.NEVER, Blame.REQUEST),
        ("status", 409, Retry.NEVER, Blame.REQUEST),
        ("status", 422, Retry.NEVER, Blame.REQUEST),
        ("error_event", 400, Retry.NEVER, Blame.REQUEST),
        ("too_large", None, Retry.NEVER, Blame.NOBODY),
        # The time is over, or nobody waits any more.
        ("total_timeout", None, Retry.NEVER, Blame.UPSTREAM),
        ("aborted", None, Retry.NEVER, Blame.NOBODY),
        ("draining", None, Retry.NEVER, Blame.NOBODY),
        ("panic", None, Retry.NEVER, Blame.NOBODY),
    ],
)
def test_verdicts(kind: "_ErrorKind", status: int | None, retry: Retry, blame: Blame) -> None:
    assert upstream_verdict(kind, status=status) == (retry, blame)


def test_the_tree_of_exceptions_is_as_drawn() -> None:
    """Every exception that the package defines has the one base, and its line in the drawing."""
    defined = {
        value
        for module in pkgutil.walk_packages(llmgw.__path__, "llmgw.")
        if not module.name.startswith(("llmgw._core", "llmgw.simulator", "llmgw.store.migrations"))
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == module.name
        and value is not LlmgwError
    }
    drawn = re.findall(r"── ([\w.]+)", errors.__doc__ or "")
    assert sorted(name for name in drawn if not name.startswith("_core.")) == sorted(
        ["LlmgwError", *(value.__name__ for value in defined)]
    )
    assert all(issubclass(value, LlmgwError) for value in defined)
    of_the_core = {
        name
        for name, value in vars(_core).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert {name.removeprefix("_core.") for name in drawn if name.startswith("_core.")} == of_the_core
