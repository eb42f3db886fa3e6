"""Cursors of the admin API, and input that pydantic refuses."""

import base64
import json

import pytest

from llmgw.admin.faults import MAX_FAULTS, input_error
from llmgw.admin.paging import MAX_CURSOR_CHARS, make_cursor, read_cursor
from llmgw.errors import ApiError


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("position", [(0, 0), (1, 2), (2**63 - 1, 1)])
def test_a_cursor_comes_back_as_its_position(position: tuple[int, ...]) -> None:
    cursor = make_cursor("requests", *position)
    assert cursor.isascii()
    assert "=" not in cursor
    assert read_cursor("requests", cursor, int, int) == position


def test_no_cursor_is_no_position() -> None:
    assert read_cursor("requests", None, int, int) is None


@pytest.mark.parametrize(
    ("name", "cursor"),
    [
        ("empty", ""),
        ("no base64", "%%%"),
        ("no JSON", "AAAA"),
        ("not ASCII", "游标"),
        ("of another list", make_cursor("audit", 1, 2)),
        ("too few numbers", make_cursor("requests", 1)),
        ("too many numbers", make_cursor("requests", 1, 2, 3)),
        ("an object", encoded({"a": 1})),
        ("text for a number", encoded(["requests", "1", 2])),
        ("true for a number", encoded(["requests", True, 2])),
        ("a fraction", encoded(["requests", 1.5, 2])),
        ("a number of 65 bits", encoded(["requests", 2**64, 2])),
        ("deep", base64.urlsafe_b64encode(b"[" * 300).decode()),
        ("SQL", "1' OR '1'='1"),
        ("long", "A" * (MAX_CURSOR_CHARS + 4)),
    ],
)
def test_another_text_is_no_cursor(name: str, cursor: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_cursor("requests", cursor, int, int)
    assert (caught.value.status, caught.value.param) == (400, "cursor"), name


def detail(
    kind: str, *location: str | int, msg: str = "Input should be a valid integer"
) -> dict[str, object]:
    return {"type": kind, "loc": location, "msg": msg, "input": "sk-gtw-secret"}


@pytest.mark.parametrize(
    ("kind", "location", "code", "param", "told"),
    [
        ("missing", ("body", "name"), "missing_field", "name", "is missing"),
        ("int_type", ("body", "limits", "requests_per_minute"), "invalid_type", "limits.requests_per_minute",
         "must be a valid integer"),
        ("extra_forbidden", ("query", "modle"), "unsupported_value", "modle", "is not known here"),
        ("int_parsing", ("body", "budgets", 0, "amount"), "invalid_type", "budgets[0].amount",
         "must be a valid integer"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what(
    kind: str, location: tuple[str | int, ...], code: str, param: str, told: str
) -> None:
    error = input_error([detail(kind, *location)])
    assert (error.code, error.param) == (code, param)
    assert [tuple(fault) for fault in error.faults] == [(param, told)]
    assert error.message == f"{param}: {told}."


def test_all_faults_are_told_at_once_but_not_thousands() -> None:
    error = input_error([detail("missing", "body", f"field{at}") for at in range(1000)])
    assert len(error.faults) == MAX_FAULTS
    assert error.message.endswith("and 997 more.")
    assert "sk-gtw-secret" not in f"{error.message}{error.faults}"
