"""What tokens cost: exactly, rounded once, by tier and hour, never twice."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from llmgw.config import NANO, Config, parse_config
from llmgw.prices.book import PriceBook, remember_prices
from llmgw.prices.document import decimal, digest_of
from llmgw.prices.price import MAX_PART, Cost, Price, Tokens
from llmgw.routing.router import Router
from llmgw.store import Price as PriceRow
from llmgw.store import Store, open_store

PLAIN: dict[str, Any] = {"input": 2.0, "cached_input": 0.4, "output": 12.0}
TIERED = {**PLAIN, "tiers": [{"above_input_tokens": 256_000, "input": 8.0, "output": 48.0}]}
THOUGHTFUL = {**PLAIN, "output_thinking": 20.0}
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()


def config_of(price: dict[str, Any], prices: dict[str, Any] | None = None) -> Config:
    return parse_config(
        {
            "upstreams": {"a": {"base_url": "http://127.0.0.1:1/v1"}},
            "models": [{"id": "m", "upstream": "a", "price": price}],
            "prices": prices or {},
        },
        Path("llmgw.toml"),
    )


def price_of(price: dict[str, Any], prices: dict[str, Any] | None = None) -> Price:
    config = config_of(price, prices)
    assert config.models[0].price is not None
    return Price(config.models[0].price, config.prices)


def test_the_parts_of_a_cost() -> None:
    price = price_of({**PLAIN, "cache_write": 2.5, "per_request": 0.01, "per_image": 0.002})
    tokens = Tokens(input=1000, cached=300, cache_write=200, output=50, reasoning=20, images=3)
    cost = price.cost(tokens, NOON)
    assert cost == Cost(
        input=500 * 2000, cached_input=300 * 400, cache_write=200 * 2500, output=50 * 12_000, other=16_000_000
    )
    assert cost.total == 1_000_000 + 120_000 + 500_000 + 600_000 + 16_000_000


@pytest.mark.parametrize(
    ("input_tokens", "per_input", "per_cached", "per_output"),
    [(255_999, 2000, 400, 12_000), (256_000, 2000, 400, 12_000), (256_001, 8000, 1600, 48_000)],
)
def test_a_tier_is_for_the_whole_request(
    input_tokens: int, per_input: int, per_cached: int, per_output: int
) -> None:
    """What the tier leaves out keeps its proportion: cached input is a fifth of input here as there."""
    cost = price_of(TIERED).cost(Tokens(input_tokens, cached=1000, output=10), NOON)
    assert cost == Cost((input_tokens - 1000) * per_input, 1000 * per_cached, 0, 10 * per_output, 0)


def test_what_a_tier_says_itself_is_taken() -> None:
    tier = {"above_input_tokens": 10, "input": 4, "cached_input": 3, "cache_write": 5, "output_thinking": 7}
    price = price_of({**THOUGHTFUL, "tiers": [tier]})
    tokens = Tokens(100, cached=10, cache_write=20, output=1, reasoning=1)
    assert price.cost(tokens, NOON) == Cost(70 * 4000, 10 * 3000, 20 * 5000, 7000, 0)


def test_a_tier_beside_a_price_of_nothing() -> None:
    price = price_of({"input": 0, "output": 0, "tiers": [{"above_input_tokens": 10, "input": 4}]})
    assert price.cost(Tokens(100, cached=10, output=5), NOON) == Cost(90 * 4000, 10 * 4000, 0, 0, 0)


def test_what_a_price_leaves_out_costs_as_input_and_output() -> None:
    price = price_of({"input": 2, "output": 3})
    cost = price.cost(Tokens(100, cached=10, cache_write=20, output=5, reasoning=5), NOON)
    assert cost == Cost(70 * 2000, 10 * 2000, 20 * 2000, 5 * 3000, 0)


@pytest.mark.parametrize(
    ("tokens", "output"),
    [
        (Tokens(0, output=10), 10 * 12_000),
        (Tokens(0, output=10, reasoning=4), 10 * 20_000),
        (Tokens(0, output=10, thinking=True), 10 * 20_000),
    ],
)
def test_an_answer_with_reasoning_costs_the_thinking_price(tokens: Tokens, output: int) -> None:
    assert price_of(THOUGHTFUL).cost(tokens, NOON).output == output


def test_field_b3_reasoning_tokens_are_not_counted_twice() -> None:
    price = price_of(PLAIN)
    assert price.cost(Tokens(7, output=100, reasoning=90), NOON) == price.cost(Tokens(7, output=100), NOON)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (Tokens(10, cached=15), Cost(0, 10 * 400, 0, 0, 0)),
        (Tokens(10, cached=6, cache_write=6), Cost(0, 6 * 400, 4 * 2000, 0, 0)),
        (Tokens(0, cached=5, cache_write=5), Cost(0, 0, 0, 0, 0)),
    ],
)
def test_field_b3_cached_tokens_are_part_of_the_input(tokens: Tokens, expected: Cost) -> None:
    """More than the input they can't be, whatever an upstream reports."""
    assert price_of(PLAIN).cost(tokens, NOON) == expected


@pytest.mark.parametrize(
    ("price", "tokens", "nano"),
    [("0.0004", 1, 0), ("0.0005", 1, 1), ("0.0005", 3, 2), ("0.0015", 1, 2), ("0.001499999", 1, 1)],
)
def test_half_is_rounded_up(price: str, tokens: int, nano: int) -> None:
    assert price_of({"input": float(price), "output": 0}).cost(Tokens(tokens), NOON).input == nano


def test_absurd_numbers_of_tokens_are_cut() -> None:
    cost = price_of({"input": 1_000_000, "output": 1_000_000}).cost(Tokens(2**40, output=2**63), NOON)
    assert cost == Cost(MAX_PART, 0, 0, MAX_PART, 0)


def test_another_currency() -> None:
    dollars = price_of({**PLAIN, "currency": "USD", "per_image": 1}, {"exchange": {"USD": 7.123}})
    assert dollars.currency == "CNY"
    cost = dollars.cost(Tokens(1000, output=1, images=2), NOON)
    assert cost == Cost(14_246_000, 0, 0, 85_476, 14_246_000_000)


def at(text: str, zone: str = "Asia/Shanghai", *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


PEAKS = {"hours": ["09:00-12:00", "14:00-18:00"], "days": ["mon", "tue", "wed", "thu", "fri"], "factor": 2}
NIGHT = {"hours": "22:00-06:30", "factor": 0.5}
FRIDAY_NIGHT = {"hours": "22:00-06:30", "days": ["fri"], "factor": 0.5}
BERLIN_NIGHT = {"hours": "02:00-03:00", "timezone": "Europe/Berlin", "factor": 0.5}


@pytest.mark.parametrize(
    ("time", "moment", "factor"),
    [
        # 2026-11-26 is a Thursday.
        (PEAKS, at("2026-11-26T08:59:59.999"), 1),
        (PEAKS, at("2026-11-26T09:00"), 2),
        (PEAKS, at("2026-11-26T11:59:59"), 2),
        (PEAKS, at("2026-11-26T12:00"), 1),
        (PEAKS, at("2026-11-26T17:59"), 2),
        (PEAKS, at("2026-11-28T10:00"), 1),
        # The zone's clock counts, not that of UTC.
        (PEAKS, at("2026-11-26T01:30", "UTC"), 2),
        (PEAKS, at("2026-11-26T09:30", "UTC"), 2),
        (PEAKS, at("2026-11-26T10:00", "UTC"), 1),
        # Over midnight
        (NIGHT, at("2026-11-26T21:59"), 1),
        (NIGHT, at("2026-11-26T22:00"), 0.5),
        (NIGHT, at("2026-11-26T23:59:59"), 0.5),
        (NIGHT, at("2026-11-27T00:00"), 0.5),
        (NIGHT, at("2026-11-27T06:29:59"), 0.5),
        (NIGHT, at("2026-11-27T06:30"), 1),
        # The day on which it begins counts.
        (FRIDAY_NIGHT, at("2026-11-27T05:00"), 1),
        (FRIDAY_NIGHT, at("2026-11-27T23:00"), 0.5),
        (FRIDAY_NIGHT, at("2026-11-28T05:00"), 0.5),
        (FRIDAY_NIGHT, at("2026-11-28T23:00"), 1),
        # The day of 25 hours: the hour that comes twice counts twice.
        (BERLIN_NIGHT, at("2026-10-25T02:30", "Europe/Berlin"), 0.5),
        (BERLIN_NIGHT, at("2026-10-25T02:30", "Europe/Berlin", fold=1), 0.5),
        (BERLIN_NIGHT, at("2026-10-25T03:00", "Europe/Berlin"), 1),
        # The day of 23 hours: 02:00 to 03:00 does not come. 01:59:59 is followed by 03:00.
        (BERLIN_NIGHT, at("2026-03-29T00:59:59", "UTC"), 1),
        (BERLIN_NIGHT, at("2026-03-29T01:00", "UTC"), 1),
        (BERLIN_NIGHT, at("2026-03-30T00:00", "UTC"), 0.5),
    ],
)
def test_hours(time: dict[str, Any], moment: float, factor: float) -> None:
    price = price_of({**PLAIN, "per_request": 1, "times": [time]})
    assert price.factor(moment) == factor * NANO
    once = price_of({**PLAIN, "per_request": 1}).cost(Tokens(1000, 100, 0, 10), moment)
    assert price.cost(Tokens(1000, 100, 0, 10), moment) == tuple(part * factor for part in once)


def test_the_first_hours_that_fit_count() -> None:
    price = price_of({**PLAIN, "times": [{"hours": "00:00-24:00", "factor": 0.25}, NIGHT]})
    assert {price.factor(NOON + hour * 3600) for hour in range(24)} == {NANO // 4}


amounts = st.integers(0, 10**12)
counts = st.integers(0, 10**7)


@st.composite
def price_tables(draw: st.DrawFn) -> dict[str, Any]:
    """Prices up to 1,000 a million: with nine decimal places they have 15 digits, which a float keeps."""
    names = ["input", "output", *draw(st.sets(st.sampled_from(["cached_input", "cache_write", "per_image"])))]
    table: dict[str, Any] = {name: draw(amounts) / NANO for name in names}
    if draw(st.booleans()):
        table["output_thinking"] = draw(amounts) / NANO
    starts = sorted(draw(st.sets(st.integers(1, 10**7), max_size=3)))
    table["tiers"] = [
        {"above_input_tokens": start, "input": draw(amounts) / NANO, "output": draw(amounts) / NANO}
        for start in starts
    ]
    if draw(st.booleans()):
        table["times"] = [{"hours": "00:00-24:00", "factor": draw(st.integers(0, 10**10)) / NANO}]
    if draw(st.booleans()):
        table["currency"] = "USD"
    return table


tokens_strategy = st.builds(
    Tokens,
    input=counts,
    cached=counts,
    cache_write=counts,
    output=counts,
    reasoning=counts,
    images=st.integers(0, 100),
    thinking=st.booleans(),
)


def reference(table: dict[str, Any], tokens: Tokens, rate: Fraction) -> list[Fraction]:
    """The same by the words of the documentation, with fractions."""
    exact = {name: Fraction(str(value)) for name, value in table.items() if isinstance(value, float | int)}
    base = {
        "input": exact["input"],
        "cached_input": exact.get("cached_input", exact["input"]),
        "cache_write": exact.get("cache_write", exact["input"]),
        "output": exact["output"],
        "output_thinking": exact.get("output_thinking", exact["output"]),
    }
    chosen = base
    for tier in table["tiers"]:
        if tokens.input > tier["above_input_tokens"]:
            mine = {name: Fraction(str(tier[name])) for name in ("input", "output")}
            for name, of in (
                ("cached_input", "input"),
                ("cache_write", "input"),
                ("output_thinking", "output"),
            ):
                share = base[name] / base[of] if base[of] else Fraction(1)
                nano = share * mine[of] * NANO
                mine[name] = Fraction(int(nano + Fraction(1, 2)), NANO)
            chosen = mine
    cached = min(tokens.cached, tokens.input)
    written = min(tokens.cache_write, tokens.input - cached)
    thinks = tokens.thinking or tokens.reasoning > 0
    factor = rate * (Fraction(str(table["times"][0]["factor"])) if "times" in table else 1) * NANO
    return [
        (tokens.input - cached - written) * chosen["input"] * factor / 10**6,
        cached * chosen["cached_input"] * factor / 10**6,
        written * chosen["cache_write"] * factor / 10**6,
        tokens.output * chosen["output_thinking" if thinks else "output"] * factor / 10**6,
        tokens.images * exact.get("per_image", Fraction(0)) * factor,
    ]


@given(price_tables(), tokens_strategy)
def test_a_cost_is_what_fractions_say_rounded_once(table: dict[str, Any], tokens: Tokens) -> None:
    price = price_of(table, {"exchange": {"USD": 7.123456789}})
    rate = Fraction("7.123456789" if "currency" in table else 1)
    cost = price.cost(tokens, NOON)
    expected = [min(int(part + Fraction(1, 2)), MAX_PART) for part in reference(table, tokens, rate)]
    assert list(cost) == expected
    assert cost.total == sum(expected)
    assert {type(part) for part in cost} == {int}
    assert min(cost) >= 0


@given(price_tables(), tokens_strategy, tokens_strategy)
def test_more_output_never_costs_less(table: dict[str, Any], tokens: Tokens, more: Tokens) -> None:
    price = price_of(table, {"exchange": {"USD": 7.1}})
    larger = tokens._replace(output=tokens.output + more.output, images=tokens.images + more.images)
    assert price.cost(larger, NOON).total >= price.cost(tokens, NOON).total


@given(price_tables(), tokens_strategy, counts)
def test_more_input_never_costs_less_within_a_tier(table: dict[str, Any], tokens: Tokens, more: int) -> None:
    price = price_of({**table, "tiers": []}, {"exchange": {"USD": 7.1}})
    tokens = tokens._replace(cached=0, cache_write=0)
    larger = tokens._replace(input=tokens.input + more)
    assert price.cost(larger, NOON).total >= price.cost(tokens, NOON).total


@given(price_tables(), tokens_strategy)
@example({"input": 1000.0, "output": 1000.0, "per_image": 9000.0, "tiers": []}, Tokens(10**7, images=200))
def test_an_estimate_is_not_below_the_cost_of_what_was_estimated(
    table: dict[str, Any], tokens: Tokens
) -> None:
    """Unless the provider asks more for what it puts into its cache, or has read from it."""
    dearer = {name: table.pop(name) for name in ("cached_input", "cache_write") if name in table}
    assert dearer.keys() <= {"cached_input", "cache_write"}
    price = price_of(table, {"exchange": {"USD": 7.1}})
    estimate = price.estimate(tokens.input, tokens.output, tokens.images, NOON)
    # Each of the five parts may have been rounded up by half of 10⁻⁹.
    assert estimate >= price.cost(tokens, NOON).total - 2


def test_a_digest_is_that_of_what_costs_depend_on() -> None:
    base = price_of(TIERED)
    assert base.digest == digest_of(base.document) == price_of(dict(reversed(TIERED.items()))).digest
    # It must not change with a version: rows of a database name it.
    assert base.digest == "24e3ff6b2fd07f2918e6db5043e02e48c7e9fb95560dafa0a87ce915e17e7226"
    others = [
        price_of(PLAIN),
        price_of({**TIERED, "output": 12.000000001}),
        price_of({**TIERED, "times": [NIGHT]}),
        price_of({**TIERED, "times": [NIGHT]}, {"timezone": "UTC"}),
        price_of(TIERED, {"currency": "USD"}),
        price_of({**TIERED, "currency": "USD"}, {"exchange": {"USD": 7.1}}),
        price_of({**TIERED, "currency": "USD"}, {"exchange": {"USD": 7.2}}),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == len(others) + 1


def test_the_document_of_a_price() -> None:
    times = [{"hours": ["22:00-06:30"], "days": ["fri"], "factor": 0.5}]
    price = price_of(
        {**TIERED, "currency": "USD", "times": times}, {"exchange": {"USD": 7.1}, "timezone": "UTC"}
    )
    assert price.document == {
        "currency": "CNY",
        "price_currency": "USD",
        "exchange": "7.1",
        "per_million_tokens": [
            {
                "above_input_tokens": 0,
                "input": "2",
                "cached_input": "0.4",
                "cache_write": "2",
                "output": "12",
                "output_thinking": "12",
            },
            {
                "above_input_tokens": 256_000,
                "input": "8",
                "cached_input": "1.6",
                "cache_write": "8",
                "output": "48",
                "output_thinking": "48",
            },
        ],
        "per_request": "0",
        "per_image": "0",
        "times": [{"hours": ["22:00-06:30"], "days": ["fri"], "timezone": "UTC", "factor": "0.5"}],
    }


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0"), (1, "0.000000001"), (400_000_000, "0.4"), (12 * NANO, "12"), (-1_500_000_000, "-1.5")],
)
def test_decimals(nano: int, text: str) -> None:
    assert decimal(nano) == text


def test_prices_are_remembered_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    one, other = price_of(PLAIN), price_of(TIERED)
    remember_prices(store, [])
    remember_prices(store, [one])
    with store.read() as session:
        first = session.scalars(select(PriceRow.first_seen_at)).one()
    remember_prices(store, [one, other, one])
    with store.read() as session:
        rows = {row.digest: row for row in session.scalars(select(PriceRow))}
    store.close()
    assert {digest: row.document for digest, row in rows.items()} == {
        one.digest: one.document,
        other.digest: other.document,
    }
    assert rows[one.digest].first_seen_at == first


def stored_digests(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.scalars(select(PriceRow.digest)))


def test_prices_are_remembered_once_the_database_can_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing waits for it, and nothing fails meanwhile."""
    path = tmp_path / "llmgw.db"
    store = open_store(f"sqlite:///{path}")
    one, other = price_of(PLAIN), price_of(TIERED)

    async def ticked(book: PriceBook) -> None:
        book.tick()
        await book.close()

    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("ALTER TABLE prices RENAME TO elsewhere")
        book = PriceBook(store, [one])
        book.remember()
        assert "the prices in force can't be stored (OperationalError); they will be" in caplog.text
        writer.execute("ALTER TABLE elsewhere RENAME TO prices")
    asyncio.run(ticked(book))
    assert stored_digests(store) == {one.digest}
    book.use([other])
    asyncio.run(ticked(book))
    assert stored_digests(store) == {one.digest, other.digest}
    # What is stored is left alone until the file is another one.
    with store.write() as session:
        session.execute(delete(PriceRow))
    asyncio.run(ticked(book))
    assert stored_digests(store) == set()
    path.rename(tmp_path / "old.db")
    open_store(f"sqlite:///{path}").close()
    assert stored_digests(store) == set()
    book._next_s = 0.0
    asyncio.run(ticked(book))
    assert stored_digests(store) == {other.digest}
    store.close()


def test_field_b3_one_model_at_two_providers_has_two_prices() -> None:
    """Not the cheapest one for both, as a list of prices by model would have it (new-api PR#2973)."""
    config = parse_config(
        {
            "upstreams": {"a": {"base_url": "http://127.0.0.1:1/v1"}},
            "models": [
                {
                    "id": "m",
                    "price": PLAIN,
                    "targets": [{"upstream": "a"}, {"upstream": "a", "upstream_model": "n", "price": TIERED}],
                },
                {"id": "same", "upstream": "a", "price": PLAIN},
                {"id": "unpriced", "upstream": "a"},
            ],
        },
        Path("llmgw.toml"),
    )
    router = Router(config)
    inherited, own = (target.price for target in router.models["m"].targets.all)
    assert inherited is not None
    assert own is not None
    assert (len(inherited.tiers), len(own.tiers)) == (1, 2)
    assert router.models["same"].targets.all[0].price is inherited
    assert router.models["unpriced"].targets.all[0].price is None
    assert list(router.prices) == [inherited, own]
