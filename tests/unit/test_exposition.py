"""The page of `/metrics` is read as prometheus_client itself reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from llmgw.admin.exposition import Samples, read_samples


def by_library(text: str) -> list[tuple[str, dict[str, str], float]]:
    """All samples, as the library's own parser reads them."""
    families = text_string_to_metric_families(text)
    return [(each.name, dict(each.labels), each.value) for family in families for each in family.samples]


def flat(samples: Samples) -> list[tuple[str, dict[str, str], float]]:
    """The same of ours."""
    return [(name, dict(each.labels), each.value) for name, found in samples.items() for each in found]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(names, names, st.floats(min_value=0, allow_infinity=False), st.floats(allow_nan=False))
def test_what_the_library_writes(model: str, kind: str, amount: float, level: float) -> None:
    registry = CollectorRegistry()
    counter = Counter(
        "llmgw_tokens", 'Tokens, "as" told\nby \\ upstreams.', ("model", "kind"), registry=registry
    )
    counter.labels(model, kind).inc(amount)
    Gauge("llmgw_waiting", "Some.", registry=registry).set(level)
    Histogram("llmgw_seconds", "Time.", ("model",), registry=registry).labels(model).observe(level)
    text = generate_latest(registry).decode()
    ours, theirs = flat(read_samples(text)), by_library(text)
    # The library's parser splits at more than ends of lines, and strips labels: it is asked only what it can.
    if (model + kind).isprintable() and "\\" not in model + kind:
        assert sorted(ours, key=str) == sorted(theirs, key=str)
    assert ("llmgw_tokens_total", {"model": model, "kind": kind}, amount) in ours


@pytest.mark.parametrize("text", ["", "# HELP a b\n", "\n\n"])
def test_a_page_of_nothing(text: str) -> None:
    if text:
        assert read_samples(text) == {}
    else:
        with pytest.raises(ValueError, match="no end"):
            read_samples(text)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("5.0", 5),
        ("1.234567890123456e+015", 1_234_567_890_123_456),
        ("9.007199254740991e+015", 2**53 - 1),
        ("9.007199254740992e+015", 2**53),
    ],
)
def test_counts_are_exact(value: str, number: int) -> None:
    [sample] = read_samples(f"a {value}\n")["a"]
    assert sample.number == number


@pytest.mark.parametrize(
    "page",
    [
        '{"error":{"message":"no such path"}}',
        "<html></html>\n",
        "a 1.0",
        "a one\n",
        "a{b} 1.0\n",
        'a{b="c} 1.0\n',
        'a{b="c""d"} 1.0\n',
        'a{b="c",,d="e"} 1.0\n',
        'a{b="c"}\n',
        "a 1.0 2.0\n",
    ],
)
def test_what_is_no_such_page(page: str) -> None:
    with pytest.raises(ValueError, match=r"metric|float"):
        read_samples(page)


def test_a_page_that_was_cut_anywhere_is_noticed_or_has_whole_lines() -> None:
    page = 'a{b="c"} 1.5\nd 12.5\n'
    for end in range(len(page)):
        try:
            samples = read_samples(page[:end])
        except ValueError:
            continue
        assert flat(samples) == [("a", {"b": "c"}, 1.5)]
