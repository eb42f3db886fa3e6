"""`[prices]` and `price` in the config: exact amounts, defaults, and the words for what is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config import NANO, Hours, parse_config
from llmgw.config.money import MAX_PRICE
from tests.support.configs import faults, load, with_model, with_targets

PER_MILLION = "of the currency's unit, per million tokens"
TIER = "{above_input_tokens = 256000, input = 8.0, output = 48.0}"
NOT_HOURS = 'is not a part of a day; write hours such as "00:30-08:30", or a list of them'


def priced(price: str) -> str:
    return with_model(f"price = {{{price}}}")


def timed(line: str) -> str:
    return priced(f"input = 1, output = 2, times = [{{{line}}}]")


def prices(lines: str) -> str:
    return f"[prices]\n{lines}\n{with_model('')}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Amounts
        (
            priced("input = -1, output = 1"),
            f"models[0].price.input: is negative; it must be 0 or more ({PER_MILLION})",
        ),
        (
            priced("input = nan, output = 1"),
            f"models[0].price.input: is not a finite number; it must be a number ({PER_MILLION})",
        ),
        (
            priced("input = 1, output = inf"),
            f"models[0].price.output: is not a finite number; it must be a number ({PER_MILLION})",
        ),
        (
            priced('input = "2.0", output = 1'),
            f"models[0].price.input: has the wrong type; it must be a number ({PER_MILLION})",
        ),
        (
            priced("input = true, output = 1"),
            f"models[0].price.input: has the wrong type; it must be a number ({PER_MILLION})",
        ),
        (
            priced("input = 0.1234567891, output = 1"),
            "models[0].price.input: has more than 9 decimal places; round it to 0.000000001",
        ),
        (
            priced("input = 2000000, output = 1"),
            (
                f"models[0].price.input: is more than 1,000,000; it is a number {PER_MILLION}: "
                "move the decimal point"
            ),
        ),
        (
            priced("input = 1, output = 1, per_request = -0.5"),
            "models[0].price.per_request: is negative; it must be 0 or more (of the currency's unit)",
        ),
        # What is missing, or is not known
        (priced("output = 1"), "models[0].price.input: is missing; add it"),
        (
            priced("input = 1"),
            (
                "models[0].price.output: is missing; "
                "write what a million tokens of output cost, or 0 if they are free"
            ),
        ),
        (
            with_targets('[{upstream = "local", price = {input = 1}}]'),
            (
                "models[0].targets[0].price.output: is missing; "
                "write what a million tokens of output cost, or 0 if they are free"
            ),
        ),
        (
            priced("input = 1, output = 1, cached = 1"),
            "models[0].price.cached: is not a known key; did you mean 'cached_input'?",
        ),
        (
            priced("input = 1, output = 1, tiers = [{above_input_tokens = 1, input = 1, outptu = 2}]"),
            "models[0].price.tiers[0].outptu: is not a known key; did you mean 'output'?",
        ),
        (
            timed('hours = "00:00-08:00", factor = 0.5, zone = "UTC"'),
            "models[0].price.times[0].zone: is not a known key; did you mean 'timezone'?",
        ),
        (with_model("price = 2.0"), "models[0].price: has the wrong type; it must be a table"),
        # Tiers
        (
            priced(f"input = 2, output = 12, tiers = [{TIER}, {TIER}]"),
            (
                "models[0].price.tiers[1].above_input_tokens: is not above the tier before (256000); "
                "write tiers in ascending order"
            ),
        ),
        (
            priced("input = 2, output = 12, tiers = [{above_input_tokens = 0, input = 1}]"),
            (
                "models[0].price.tiers[0].above_input_tokens: is out of range; "
                "it must be greater than or equal to 1"
            ),
        ),
        # Times
        (timed('hours = "8-9", factor = 0.5'), f"models[0].price.times[0].hours: {NOT_HOURS}"),
        (timed('hours = "08:00-25:00", factor = 0.5'), f"models[0].price.times[0].hours: {NOT_HOURS}"),
        (timed("hours = 8, factor = 0.5"), f"models[0].price.times[0].hours: {NOT_HOURS}"),
        (
            timed('hours = "08:00-24:30", factor = 0.5'),
            "models[0].price.times[0].hours: is not a part of a day; a day is from 00:00 to 24:00",
        ),
        (
            timed('hours = ["01:00-02:00", "08:00-08:00"], factor = 0.5'),
            (
                "models[0].price.times[0].hours: is empty, since it ends where it begins; "
                'write "00:00-24:00" for the whole day'
            ),
        ),
        (
            timed("hours = [], factor = 0.5"),
            'models[0].price.times[0].hours: is empty; write hours such as "00:30-08:30"',
        ),
        (
            timed('hours = "08:00-09:00", days = ["Monday"], factor = 0.5'),
            (
                "models[0].price.times[0].days[0]: is not a known value; "
                "it must be one of 'mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'"
            ),
        ),
        (
            timed('hours = "08:00-09:00", factor = -1'),
            (
                "models[0].price.times[0].factor: is negative; "
                "it must be 0 or more (by which the price is multiplied, such as 0.5 for half of it)"
            ),
        ),
        # Currencies
        (
            priced('input = 1, output = 1, currency = "USD"'),
            (
                "models[0].price.currency: there is no exchange rate for 'USD'; "
                "write USD = … below [prices.exchange]: what one is worth in CNY"
            ),
        ),
        (
            priced('input = 1, output = 1, currency = "dollars"'),
            (
                "models[0].price.currency: is not the code of a currency; "
                'write three capital letters, such as "CNY"'
            ),
        ),
        (
            prices('currency = "rmb"'),
            'prices.currency: is not the code of a currency; write three capital letters, such as "CNY"',
        ),
        (
            prices('currency = "USD"\nexchange = {USD = 1}'),
            "prices.exchange.USD: is the currency of prices.currency itself; leave it out",
        ),
        (
            prices("exchange = {USD = 0}"),
            "prices.exchange.USD: is 0; write what one unit of that currency is worth in prices.currency",
        ),
        (
            prices("exchange = {usd = 7.1}"),
            'prices.exchange.usd: is not the code of a currency; write three capital letters, such as "CNY"',
        ),
        # Time zones
        (
            prices('timezone = "Asia/Shanghi"'),
            "prices.timezone: is not the name of a time zone; did you mean 'Asia/Shanghai'?",
        ),
        (
            prices('timezone = "../../etc/passwd"'),
            'prices.timezone: is not the name of a time zone; write a name such as "Asia/Shanghai" or "UTC"',
        ),
        (
            prices("timezone = 8"),
            (
                "prices.timezone: has the wrong type; "
                'it must be the name of a time zone, such as "Asia/Shanghai"'
            ),
        ),
        (
            prices('unpriced = "free"'),
            "prices.unpriced: is not a known value; it must be one of 'refuse', 'allow'",
        ),
    ],
)
def test_what_is_wrong_with_a_price(tmp_path: Path, text: str, expected: str) -> None:
    assert faults(tmp_path, text) == [expected]


def test_a_folder_of_time_zones_is_none(tmp_path: Path) -> None:
    [fault] = faults(tmp_path, prices('timezone = "America"'))
    assert fault.startswith("prices.timezone: is not the name of a time zone; did you mean 'America/")


@given(st.integers(0, 10**11))
def test_an_amount_is_kept_to_the_last_digit(nano: int) -> None:
    """Up to 99.999999999, a float tells each of the nine decimal places."""
    written = float(Decimal(nano) / NANO)
    config = parse_config(
        {
            "upstreams": {"a": {"base_url": "http://h/v1"}},
            "models": [{"id": "m", "upstream": "a", "price": {"input": written, "output": 0}}],
        },
        Path("llmgw.toml"),
    )
    price = config.models[0].price
    assert price is not None
    assert price.input == nano


@pytest.mark.parametrize(
    ("written", "nano"),
    [
        ("0", 0),
        ("0.1", 100_000_000),
        ("0.003625", 3_625_000),
        ("1e-9", 1),
        ("0.000000001", 1),
        ("2", 2_000_000_000),
        ("999999.999999999", 999_999_999_999_999),
        (str(MAX_PRICE), MAX_PRICE * NANO),
    ],
)
def test_amounts(tmp_path: Path, written: str, nano: int) -> None:
    price = load(tmp_path, priced(f"input = {written}, output = 0")).models[0].price
    assert price is not None
    assert price.input == nano


def test_an_embedding_model_has_no_output_to_be_priced(tmp_path: Path) -> None:
    model = load(tmp_path, with_model('kind = "embedding"\nprice = {input = 0.5}')).models[0]
    assert model.price is not None
    assert model.price.output is None


def test_a_target_s_own_price_wins_over_its_model_s(tmp_path: Path) -> None:
    text = with_targets(
        '[{upstream = "local", price = {input = 9, output = 9}}, '
        '{upstream = "local", upstream_model = "n"}]\nprice = {input = 1, output = 2}'
    )
    own, inherited = load(tmp_path, text).models[0].targets
    assert own.price is not None
    assert own.price.input == 9 * NANO
    assert inherited.price is not None
    assert inherited.price.input == NANO


def test_hours_are_one_or_several(tmp_path: Path) -> None:
    text = timed('hours = "22:30-24:00", factor = 0.5}, {hours = ["09:00-12:00", "14:00-18:00"], factor = 2')
    price = load(tmp_path, text).models[0].price
    assert price is not None
    one, several = price.times
    assert one.hours == (Hours(22 * 60 + 30, 24 * 60),)
    assert several.hours == (Hours(540, 720), Hours(840, 1080))
    assert [str(each) for each in several.hours] == ["09:00-12:00", "14:00-18:00"]
