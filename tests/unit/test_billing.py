"""The one rule by which answers are billed, a row for each way in which they end."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config import parse_config
from llmgw.prices.billing import NOTHING, Usage, bill, estimated_tokens, usage_of
from llmgw.prices.price import FREE, Cost, Price

ESTIMATE = 40
"""Tokens of the prompt, before anybody has counted them."""


@dataclass(frozen=True)
class Report:
    """What is known of an exchange; as it stands, of one that never got an answer."""

    complete: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_bytes: int = 0
    unmetered_bytes: int = 0
    usage_source: str = "none"
    reasoning_seen: bool = False
    error_kind: str | None = None
    first_event_s: float | None = None


def whole(prompt: int | None, completion: int | None, output_bytes: int = 400, **more: int) -> Report:
    """A complete answer with usage."""
    return Report(
        complete=True,
        prompt_tokens=prompt,
        completion_tokens=completion,
        output_bytes=output_bytes,
        usage_source="upstream",
        first_event_s=0.1,
        **more,  # type: ignore[arg-type]
    )


def silent(output_bytes: int, error_kind: str | None = None, *, complete: bool = False) -> Report:
    """An answer that began, whose usage never came."""
    return Report(
        complete=complete,
        output_bytes=output_bytes,
        unmetered_bytes=output_bytes,
        error_kind=error_kind,
        first_event_s=0.1,
    )


def broken(prompt: int, completion: int, unmetered_bytes: int, error_kind: str | None) -> Report:
    """An answer that broke off after a usage."""
    return Report(
        prompt_tokens=prompt,
        completion_tokens=completion,
        output_bytes=unmetered_bytes + 4 * completion,
        unmetered_bytes=unmetered_bytes,
        usage_source="partial",
        error_kind=error_kind,
        first_event_s=0.1,
    )


@pytest.mark.parametrize(
    ("name", "report", "expected"),
    [
        # Nobody was asked, or nobody answered.
        ("refused by a limit", None, NOTHING),
        ("unreachable", Report(error_kind="unreachable"), NOTHING),
        ("no connection in time", Report(error_kind="connect_timeout"), NOTHING),
        ("refused by the upstream", Report(error_kind="status"), NOTHING),
        ("sent elsewhere", Report(error_kind="redirect"), NOTHING),
        ("a page instead of an answer", Report(error_kind="content_type"), NOTHING),
        ("an error as the first event", Report(error_kind="error_event"), NOTHING),
        ("reset before the answer", Report(error_kind="reset"), NOTHING),
        ("closed before the answer", Report(error_kind="truncated"), NOTHING),
        # Whole answers
        ("plain or streamed", whole(10, 5), Usage(10, 5, source="upstream")),
        (
            "all kinds of tokens",
            whole(10, 5, reasoning_tokens=3, cached_tokens=4, cache_write_tokens=2),
            Usage(10, 5, 3, 4, 2, "upstream"),
        ),
        ("embeddings, rerank", whole(10, None, 0), Usage(10, None, source="upstream")),
        ("an empty answer", whole(10, 0, 0), Usage(10, 0, source="upstream")),
        ("without usage", silent(401, complete=True), Usage(ESTIMATE, 101, source="estimated")),
        (
            "rerank without usage",
            Report(complete=True),
            Usage(ESTIMATE, None, source="estimated"),
        ),
        ("usage of zeros", whole(0, 0, 400), Usage(ESTIMATE, 100, source="estimated")),
        ("embeddings with a usage of zeros", whole(0, 0, 0), Usage(ESTIMATE, 0, source="estimated")),
        ("a usage without the prompt", whole(None, 7), Usage(ESTIMATE, 7, source="estimated")),
        ("a usage without the output", whole(10, None), Usage(10, 100, source="estimated")),
        # Answers that broke off
        ("reset, nothing counted", silent(80, "reset"), Usage(ESTIMATE, 20, source="estimated")),
        ("only the role came", silent(0, "truncated"), Usage(ESTIMATE, None, source="estimated")),
        ("a running usage", broken(10, 6, 0, "reset"), Usage(10, 6, source="partial")),
        (
            "a usage before the text, as in Messages",
            broken(10, 1, 400, "truncated"),
            Usage(10, 101, source="estimated"),
        ),
        ("text after the last usage", broken(10, 6, 9, "reset"), Usage(10, 9, source="estimated")),
        ("a usage without the prompt, then more", broken(0, 6, 8, "reset"), Usage(40, 8, source="estimated")),
        # Answers that were given up
        ("cancelled before anything came", Report(error_kind="aborted"), Usage(ESTIMATE, source="estimated")),
        ("cancelled in the middle", silent(44), Usage(ESTIMATE, 11, source="estimated")),
        ("cancelled after a usage", broken(10, 2, 0, None), Usage(10, 2, source="partial")),
        ("no event in time", Report(error_kind="first_event_timeout"), Usage(ESTIMATE, source="estimated")),
        ("silent for too long", silent(44, "idle_timeout"), Usage(ESTIMATE, 11, source="estimated")),
        ("not done in time", Report(error_kind="total_timeout"), Usage(ESTIMATE, source="estimated")),
        ("drained at a stop", silent(44, "draining"), Usage(ESTIMATE, 11, source="estimated")),
        ("a client that did not read", silent(4000), Usage(ESTIMATE, 1000, source="estimated")),
        (
            "an event that was too large",
            silent(40, "event_too_large"),
            Usage(ESTIMATE, 10, source="estimated"),
        ),
    ],
)
def test_what_is_billed(name: str, report: Report | None, expected: Usage) -> None:
    assert usage_of(report, ESTIMATE) == expected, name


def price() -> Price:
    config = parse_config(
        {
            "upstreams": {"a": {"base_url": "http://127.0.0.1:1/v1"}},
            "models": [
                {
                    "id": "m",
                    "upstream": "a",
                    "price": {
                        "input": 2,
                        "cached_input": 0.5,
                        "cache_write": 3,
                        "output": 4,
                        "output_thinking": 8,
                        "per_request": 0.001,
                        "per_image": 0.002,
                    },
                }
            ],
        },
        Path("llmgw.toml"),
    )
    assert config.models[0].price is not None
    return Price(config.models[0].price, config.prices)


@pytest.mark.parametrize(
    ("name", "report", "images", "expected"),
    [
        ("nobody was asked", None, 2, FREE),
        ("refused", Report(error_kind="status"), 2, FREE),
        ("an answer", whole(10, 5), 0, Cost(20_000, 0, 0, 20_000, 1_000_000)),
        ("with images", whole(10, 5), 2, Cost(20_000, 0, 0, 20_000, 5_000_000)),
        (
            "cached and written",
            whole(10, 5, cached_tokens=4, cache_write_tokens=2),
            0,
            Cost(8000, 2000, 6000, 20_000, 1_000_000),
        ),
        ("reasoning", whole(10, 5, reasoning_tokens=2), 0, Cost(20_000, 0, 0, 40_000, 1_000_000)),
        (
            "reasoning that nobody counted",
            whole(10, 5, reasoning_seen=True),
            0,
            Cost(20_000, 0, 0, 40_000, 1_000_000),
        ),
        ("embeddings", whole(10, None, 0), 0, Cost(20_000, 0, 0, 0, 1_000_000)),
        ("cancelled", silent(20), 0, Cost(80_000, 0, 0, 20_000, 1_000_000)),
    ],
)
def test_what_it_costs(name: str, report: Report | None, images: int, expected: Cost) -> None:
    priced = price()
    made = bill(report, input_estimate=ESTIMATE, images=images, price=priced, at_s=0)
    assert (made.cost, made.price) == (expected, priced), name


def test_field_b3_a_model_without_a_price_costs_nothing_that_is_known() -> None:
    """Not 0, which would hide it; and its tokens are counted all the same."""
    made = bill(whole(10, 5), input_estimate=ESTIMATE, images=0, price=None, at_s=0)
    assert made == (Usage(10, 5, source="upstream"), None, None)


def test_field_b3_a_cancelled_stream_is_billed_for_what_came() -> None:
    """Neither nothing, since the provider bills it, nor what it might have become."""
    usage = usage_of(silent(1000), ESTIMATE)
    assert usage == Usage(ESTIMATE, 250, source="estimated")


@given(st.integers(0, 10**9))
def test_a_text_has_so_many_tokens(text_bytes: int) -> None:
    tokens = estimated_tokens(text_bytes)
    assert tokens * 4 >= text_bytes > (tokens - 1) * 4 or text_bytes == tokens == 0


counts = st.none() | st.integers(0, 10**6)


@given(
    st.builds(
        Report,
        complete=st.booleans(),
        prompt_tokens=counts,
        completion_tokens=counts,
        reasoning_tokens=counts,
        cached_tokens=counts,
        cache_write_tokens=counts,
        output_bytes=st.integers(0, 10**6),
        unmetered_bytes=st.integers(0, 10**6),
        usage_source=st.sampled_from(["upstream", "partial", "none"]),
        reasoning_seen=st.booleans(),
        error_kind=st.none() | st.sampled_from(["status", "reset", "aborted", "idle_timeout"]),
        first_event_s=st.none() | st.just(0.1),
    ),
    st.integers(0, 10**6),
)
def test_no_bill_is_below_what_the_upstream_counted(report: Report, estimate: int) -> None:
    if report.usage_source == "none":
        report = replace(
            report,
            prompt_tokens=None,
            completion_tokens=None,
            reasoning_tokens=None,
            cached_tokens=None,
            cache_write_tokens=None,
        )
    usage = usage_of(report, estimate)
    assert usage.source in {"upstream", "partial", "estimated", "none"}
    if usage.source == "none":
        assert usage == NOTHING
    else:
        assert (usage.prompt_tokens or 0) >= (report.prompt_tokens or 0)
        assert (usage.completion_tokens or 0) >= (report.completion_tokens or 0)
    made = bill(report, input_estimate=estimate, images=1, price=price(), at_s=0)
    assert made.cost is not None
    assert min(made.cost) >= 0
    assert (made.cost.total > 0) == (usage.source != "none")
