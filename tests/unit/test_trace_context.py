"""W3C's `traceparent` and `tracestate`, to the letter (https://www.w3.org/TR/trace-context/)."""

import re
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgw.observe.tracing.context import (
    MAX_TRACESTATE_BYTES,
    MAX_TRACESTATE_ENTRIES,
    Parent,
    read_parent,
    read_state,
    write_parent,
)

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN: Final = "00f067aa0ba902b7"
GOOD: Final = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (GOOD, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f" \t{GOOD}\t ", 1),
        (f"cc-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
        (f"01-{TRACE}-{SPAN}-01-", 1),
    ],
)
def test_a_valid_parent(value: str, flags: int) -> None:
    assert read_parent([value.encode()]) == Parent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        GOOD[:-1],
        GOOD + "0",
        GOOD + "-",
        GOOD + "-00",
        GOOD.upper(),
        GOOD.replace("-", "_"),
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-012",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-1",
        f"{GOOD}\n",
        f"{GOOD},{GOOD}",
        "٠٠" + GOOD[2:],
    ],
)
def test_any_other_is_none(value: str) -> None:
    assert read_parent([value.encode()]) is None


def test_exactly_one_counts() -> None:
    assert read_parent([]) is None
    assert read_parent([GOOD.encode()] * 2) is None


HEX: Final = st.text("0123456789abcdef")
FIELD: Final = st.one_of(
    HEX, st.text(max_size=40), st.sampled_from([TRACE, SPAN, "00", "01", "ff", "0" * 32])
)


@given(st.lists(FIELD, min_size=1, max_size=6).map("-".join))
@example(GOOD)
def test_what_is_read_is_what_a_plain_reading_says(value: str) -> None:
    """Another reading of the rules, field by field."""
    fields = value.strip(" \t").split("-")
    valid = len(fields) >= 4 and fields[0] != "ff" and (fields[0] != "00" or len(fields) == 4)
    lengths = [2, 32, 16, 2]
    valid = valid and all(
        len(each) == length and set(each) <= set("0123456789abcdef")
        for each, length in zip(fields[:4], lengths, strict=False)
    )
    valid = valid and set(fields[1]) != {"0"} and set(fields[2]) != {"0"}
    assert (read_parent([value.encode("utf-8", "surrogatepass")]) is not None) is valid


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail(value: bytes) -> None:
    read_parent([value])
    read_state([value])


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_what_is_written_is_read(trace: int, span: int, flags: int) -> None:
    parent = Parent(f"{trace:032x}", f"{span:016x}", flags)
    assert read_parent([write_parent(*parent)]) == parent


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([""], ""),
        (["a=1"], "a=1"),
        (["a=1,b=2"], "a=1,b=2"),
        (["a=1 , b=2", "c=3"], "a=1,b=2,c=3"),
        (["a=1,,\t,b=2,"], "a=1,b=2"),
        (["fw529a3039@dt=FfAD_x/y z!"], "fw529a3039@dt=FfAD_x/y z!"),
        (["0a-_*/=x"], "0a-_*/=x"),
        (["a" * 256 + "=1"], "a" * 256 + "=1"),
        (["a=" + "x" * 256], "a=" + "x" * 256),
    ],
)
def test_a_valid_state(values: list[str], expected: str) -> None:
    assert read_state([value.encode() for value in values]) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "=1",
        "a=",
        "A=1",
        "a b=1",
        "a=1=2",
        "a=é",
        "a=1,a=2",
        "a=\x7f",
        "a@b@c=1",
        "a@=1",
        "@b=1",
        "a=1;b=2,c",
        "a" * 257 + "=1",
        "a=" + "x" * 257,
        "a@" + "b" * 15 + "=1",
        ",".join(f"k{n}=1" for n in range(33)),
    ],
)
def test_a_state_that_is_not_valid_is_dropped_whole(value: str) -> None:
    assert read_state([value.encode()]) == b""


@given(st.lists(st.from_regex(re.compile(r"[a-z][a-z0-9]{0,9}=[x-z]{1,60}"), fullmatch=True), max_size=40))
def test_a_long_state_loses_its_end(entries: list[str]) -> None:
    kept = read_state([",".join(entries).encode()]).decode()
    keys = [entry.partition("=")[0] for entry in entries]
    if len(entries) > MAX_TRACESTATE_ENTRIES or len(set(keys)) < len(keys):
        assert kept == ""
        return
    assert len(kept) <= MAX_TRACESTATE_BYTES
    assert ",".join(entries).startswith(kept)
    left = entries[kept.count(",") + 1 if kept else 0 :]
    assert not left or len(kept) + 1 + len(left[0]) > MAX_TRACESTATE_BYTES
