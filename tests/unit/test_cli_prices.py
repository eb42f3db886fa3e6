"""`llmgw prices`, and what `llmgw check` says of prices."""

import json
import sys
import tomllib
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from llmgw.cli.simulated.config import demo_config
from llmgw.config import NANO, load_config, parse_config
from llmgw.prices.catalogue import Catalogue, PriceDataError, installed
from llmgw.prices.price import Price, Tokens
from llmgw.prices.shown import oddities, targets_of
from llmgw.prices.suggest import Suggestion, suggestions, toml_of
from tests.support.cli import Canned, Run, serving

CONFIG = """
[prices.exchange]
USD = 7.5

[upstreams.dashscope]
base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1"

[upstreams.deepseek]
base_url = "https://api.deepseek.com/v1"

[upstreams.moonshot]
base_url = "https://api.moonshot.cn/v1"

[[models]]
id = "qwen3.6-plus"
targets = [
  {upstream = "dashscope"},
  {upstream = "deepseek", price = {input = 1, output = 3, per_request = 0.01}},
]
[models.price]
input = 2.0
cached_input = 0.4
output = 12.0
tiers = [{above_input_tokens = 256000, input = 8.0, output = 48.0}]

[[models]]
id = "deepseek-v4-pro"
upstream = "deepseek"
[models.price]
currency = "USD"
input = 0.6
cached_input = 0.02
output = 2
times = [{hours = ["09:00-12:00", "14:00-18:00"], days = ["mon", "fri"], factor = 2}]

[[models]]
id = "kimi"
upstream = "moonshot"
upstream_model = "kimi-k3"
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "llmgw.toml"
    file.write_text(CONFIG, "utf-8")
    return file


@pytest.mark.usefixtures("shop")
def test_list(run: Run) -> None:
    status, out, err = run("prices", "list")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split() for line in lines[:6]] == [
        ["MODEL", "UPSTREAM", "ABOVE", "INPUT", "CACHED", "WRITTEN", "OUTPUT", "THINKING", "IN", "REQUEST"],
        # 2,000 * 2 + 500 * 12 and 256,001 * 8 + 500 * 48
        ["qwen3.6-plus", "dashscope", "2", "0.4", "2", "12", "12", "CNY", "0.01"],
        ["256,000", "8", "1.6", "8", "48", "48", "CNY", "2.072008"],
        ["qwen3.6-plus", "deepseek", "1", "1", "1", "3", "3", "CNY", "0.0135"],
        # At 7.5 yuan: 2,000 * 0.6 + 500 * 2
        ["deepseek-v4-pro", "deepseek", "0.6", "0.02", "0.6", "2", "2", "USD", "0.0165"],
        ["kimi", "moonshot", "unpriced"],
    ]
    assert lines[6:8] == [
        "qwen3.6-plus at deepseek: 0.01 CNY for each request",
        "deepseek-v4-pro at deepseek: 09:00-12:00, 14:00-18:00 on mon, fri (Asia/Shanghai): times 2",
    ]
    assert "REQUEST: in CNY, of 2,000 tokens" in out
    assert "warning" not in out


@pytest.mark.usefixtures("shop")
def test_list_as_json(run: Run) -> None:
    status, out, _ = run("prices", "list", "--json")
    first, _, dollars, unpriced = json.loads(out)
    assert status == 0
    assert (first["model"], first["upstream"], first["upstream_model"]) == (
        "qwen3.6-plus",
        "dashscope",
        "qwen3.6-plus",
    )
    assert first["price"]["per_million_tokens"][1]["cached_input"] == "1.6"
    assert len(first["digest"]) == 64
    assert first["typical_request"] == {
        "input_tokens": 2000, "output_tokens": 500, "cost": "0.01", "currency": "CNY"
    }  # fmt: skip
    assert dollars["price"]["price_currency"] == "USD"
    assert unpriced == {"model": "kimi", "upstream": "moonshot", "upstream_model": "kimi-k3", "price": None}


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "--model deepseek-v4-pro --input 1000 --cached 400 --output 200 --at 2026-11-23T09:00",
            [
                "deepseek-v4-pro at deepseek, 2026-11-23T09:00+08:00",
                ["TOKENS", "USD", "A", "MILLION", "CNY"],
                ["input", "600", "0.6", "0.0054"],
                ["cached", "input", "400", "0.02", "0.00012"],
                ["output", "200", "2", "0.006"],
                ["together", "0.01152"],
                "at these hours everything is multiplied by 2",
            ],
        ),
        (
            "--model deepseek-v4-pro --input 1000 --cached 400 --output 200 --at 2026-11-23T04:00Z",
            [
                "deepseek-v4-pro at deepseek, 2026-11-23T04:00+00:00",
                ["TOKENS", "USD", "A", "MILLION", "CNY"],
                ["input", "600", "0.6", "0.0027"],
                ["cached", "input", "400", "0.02", "0.00006"],
                ["output", "200", "2", "0.003"],
                ["together", "0.00576"],
            ],
        ),
        (
            "--model qwen3.6-plus --upstream deepseek --input 10 --output 0 --at 2026-11-23",
            [
                "qwen3.6-plus at deepseek, 2026-11-23T00:00+08:00",
                ["TOKENS", "CNY", "A", "MILLION", "CNY"],
                ["input", "10", "1", "0.00001"],
                ["request", "and", "images", "0.01"],
                ["together", "0.01001"],
            ],
        ),
        (
            "--model kimi --input 10 --output 5 --at 2026-11-23",
            ["kimi at moonshot, 2026-11-23T00:00+08:00", "unpriced: what it costs is unknown"],
        ),
    ],
    ids=["at a peak", "in another zone", "at one upstream", "unpriced"],
)
def test_cost(run: Run, options: str, expected: list[str | list[str]]) -> None:
    status, out, err = run("prices", "cost", *options.split())
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == len(expected)
    for line, wanted in zip(lines, expected, strict=True):
        assert (line.split() if isinstance(wanted, list) else line) == wanted


@pytest.mark.usefixtures("shop")
def test_cost_as_json(run: Run) -> None:
    asked = "--model qwen3.6-plus --input 300000 --cached 100000 --output 2000 --json"
    status, out, _ = run("prices", "cost", *asked.split())
    first, second = json.loads(out)
    assert status == 0
    assert (first["upstream"], first["cost"], first["currency"], first["factor"]) == (
        "dashscope",
        "1.856",
        "CNY",
        "1",
    )
    assert first["parts"] == {
        "input": "1.6", "cached_input": "0.16", "cache_write": "0", "output": "0.096", "other": "0"
    }  # fmt: skip
    assert (second["upstream"], second["cost"]) == ("deepseek", "0.316")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (
            "--model qwen --input 1 --output 1",
            1,
            "the config has no model 'qwen'; it has qwen3.6-plus, deepseek-v4-pro, kimi",
        ),
        (
            "--model kimi --upstream dashscope --input 1 --output 1",
            1,
            "the config has no model 'kimi' at 'dashscope'; it has",
        ),
        ("--model kimi --input many --output 1", 2, "'many' is not a number of tokens"),
        ("--model kimi --input -1 --output 1", 2, "'-1' is not a number of tokens"),
        ("--model kimi --input 1 --output 1 --at noon", 2, "'noon' is not a time"),
    ],
)
def test_cost_of_what_is_not_there(run: Run, options: str, status: int, told: str) -> None:
    outcome = run("prices", "cost", *options.split())
    assert outcome.status == status
    assert told in outcome.err


def test_field_b3_a_price_that_is_wrong_by_a_factor_of_a_thousand_is_seen(run: Run, tmp_path: Path) -> None:
    """Per token instead of per million: it would lock nobody out, or everybody (LiteLLM#20615)."""
    with serving(lambda _: Canned(200, b'{"data": [{"id": "m"}]}')) as upstream:
        text = (
            f'[upstreams.a]\nbase_url = "{upstream.url}/v1"\n[[models]]\nid = "m"\nupstream = "a"\n'
            "price = {input = 0.000002, output = 12000.5}\n"
        )
        tmp_path.joinpath("llmgw.toml").write_text(text, "utf-8")
        status, out, _ = run("check")
        as_json = json.loads(run("check", "--json").out)
    assert status == 0
    [row] = [line.split() for line in out.splitlines() if line.startswith("m ")]
    assert row == ["m", "a", "0.000002", "0.000002", "0.000002", "12000.5", "12000.5", "CNY", "6.000250004"]
    told = [line.partition(":")[2].strip() for line in out.splitlines() if line.startswith("warning:")]
    assert told == [
        (
            "m at a: input is 0.000002 CNY for a million tokens, which is unusual; "
            "is it per token, or per thousand?"
        ),
        (
            "m at a: output is 12000.5 CNY for a million tokens, which is unusual; "
            "is it per token, or per thousand?"
        ),
    ]
    assert as_json["warnings"] == told
    assert as_json["prices"][0]["price"]["per_million_tokens"][0]["output"] == "12000.5"


def odd(price: dict[str, Any]) -> list[str]:
    config = parse_config(
        {
            "upstreams": {"a": {"base_url": "http://h/v1"}},
            "models": [{"id": "m", "upstream": "a", "price": price}],
        },
        Path("llmgw.toml"),
    )
    return [text for target in targets_of(config) for text in oddities(target)]


@pytest.mark.parametrize(
    ("price", "names"),
    [
        ({"input": 0.001, "output": 10_000}, []),
        ({"input": 0, "output": 0}, []),
        ({"input": 0.0009, "output": 10_001}, ["input", "output"]),
        ({"input": 2, "cached_input": 0.0001, "output": 2}, ["cached_input"]),
        ({"input": 2, "cached_input": 3, "output": 2}, ["cached_input"]),
        (
            {"input": 2, "output": 2, "tiers": [{"above_input_tokens": 9, "input": 20_000, "output": 2}]},
            ["input, above 9 tokens of input"],
        ),
    ],
)
def test_what_is_odd_about_a_price(price: dict[str, Any], names: list[str]) -> None:
    told = odd(price)
    assert len(told) == len(names)
    for text, name in zip(told, names, strict=True):
        assert text.startswith(f"m at a: {name} ")


def test_check_says_nothing_of_prices_where_there_are_none(run: Run, tmp_path: Path) -> None:
    with serving(lambda _: Canned(200, b'{"data": [{"id": "m"}]}')) as upstream:
        text = f'[upstreams.a]\nbase_url = "{upstream.url}"\n[[models]]\nid = "m"\nupstream = "a"\n'
        tmp_path.joinpath("llmgw.toml").write_text(text, "utf-8")
        _, out, _ = run("check")
    assert "unpriced" not in out
    assert "REQUEST" not in out


@pytest.mark.usefixtures("shop")
def test_suggest_from_the_installed_list(run: Run, shop: Path) -> None:
    """Its lines can be pasted, and cost what the list itself says."""
    before = shop.read_bytes()
    status, out, err = run("prices", "suggest")
    assert (status, err) == (0, "")
    assert shop.read_bytes() == before
    assert "US dollars per million tokens, not converted" in out
    assert "# no price: the list has no provider at dashscope.aliyuncs.com" in out
    assert "# kimi at moonshot, there kimi-k3" in out
    [line] = [line for line in out.splitlines() if line.startswith("price = ")]
    text = f'{CONFIG.partition("[[models]]")[0]}[[models]]\nid = "k"\nupstream = "moonshot"\n{line}\n'
    config = parse_config(tomllib.loads(text), Path("llmgw.toml"))
    assert config.models[0].price is not None
    price = Price(config.models[0].price, config.prices)
    assert price.own_currency == "USD"
    from genai_prices import Usage, calc_price  # noqa: PLC0415  (only this test needs it)

    usage = Usage(input_tokens=12_345, cache_read_tokens=2345, output_tokens=678)
    theirs = calc_price(usage, "kimi-k3", provider_id="moonshotai").total_price
    ours = price.cost(Tokens(12_345, 2345, 0, 678), None).total
    assert Decimal(ours) == theirs * Decimal("7.5") * NANO


@pytest.mark.usefixtures("shop")
def test_suggest_as_json(run: Run) -> None:
    status, out, _ = run("prices", "suggest", "--json")
    assert status == 0
    found = {(each["model"], each["upstream"]): each for each in json.loads(out)}
    assert found["kimi", "moonshot"]["has_price"] is False
    assert found["qwen3.6-plus", "dashscope"]["price"] is None
    assert found["deepseek-v4-pro", "deepseek"]["has_price"] is True


@pytest.mark.usefixtures("shop")
def test_suggest_without_the_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    status, out, err = run("prices", "suggest")
    assert (status, out) == (1, "")
    assert err == "llmgw: the package genai-prices is not installed: pip install 'llmgw[prices]'\n"


def standing_in(monkeypatch: pytest.MonkeyPatch, **members: object) -> None:
    module = ModuleType("genai_prices.data")
    for name, value in members.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "genai_prices.data", module)


def listed(prices: object) -> SimpleNamespace:
    """A provider of the list's form, with one model."""
    model = SimpleNamespace(id="m", prices=prices, price_variants=None, is_match=lambda name: name == "m")
    return SimpleNamespace(name="P", api_pattern=r"https://p\.example", models=[model])


def rates(**prices: object) -> SimpleNamespace:
    return SimpleNamespace(**prices)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"providers": None},
        {"providers": []},
        {"providers": [SimpleNamespace(name="P", models=[])]},
        {"providers": [SimpleNamespace(name="P", api_pattern="(", models=[])]},
    ],
    ids=["nothing", "no list", "an empty list", "no pattern", "a broken pattern"],
)
def test_a_list_of_another_form_is_refused(
    monkeypatch: pytest.MonkeyPatch, members: dict[str, object]
) -> None:
    standing_in(monkeypatch, **members)
    with pytest.raises(PriceDataError, match=r"has another form .* pip install 'genai-prices>=0.2.3,<0.3'"):
        installed()


NOW = datetime(2026, 11, 26, tzinfo=UTC)
TWO = {"input_mtok": Decimal(2), "output_mtok": Decimal(4)}


@pytest.mark.parametrize(
    "prices",
    [
        SimpleNamespace(input_mtok=2.0),
        SimpleNamespace(input_mtok="2"),
        SimpleNamespace(),
        SimpleNamespace(input_mtok=SimpleNamespace(base=Decimal(2), tiers=[SimpleNamespace(start="1")])),
        [SimpleNamespace(constraint=SimpleNamespace(), prices=rates(**TWO))],
        [SimpleNamespace(prices=rates(**TWO))],
        [],
    ],
    ids=["a float", "a text", "none", "a tier", "a constraint", "no constraint", "no prices"],
)
def test_prices_of_another_form_are_refused(prices: object) -> None:
    catalogue = Catalogue("9.9", (listed(prices),))
    with pytest.raises(PriceDataError, match=r"9\.9 has another form"):
        catalogue.find("https://p.example/v1", "m", NOW)


def suggested(prices: object) -> Suggestion:
    config = parse_config(
        {
            "upstreams": {"p": {"base_url": "https://p.example/v1"}},
            "models": [{"id": "m", "upstream": "p"}],
        },
        Path("llmgw.toml"),
    )
    [found] = suggestions(config, Catalogue("9.9", (listed(prices),)), NOW)
    return found


def conditional(*each: tuple[object, dict[str, Decimal]]) -> list[SimpleNamespace]:
    return [SimpleNamespace(constraint=constraint, prices=rates(**prices)) for constraint, prices in each]


def at(start: int, end: int) -> SimpleNamespace:
    return SimpleNamespace(start_time=time(start, tzinfo=UTC), end_time=time(end, tzinfo=UTC))


FOUR = {name: 2 * price for name, price in TWO.items()}
UNLIKE = TWO | {"output_mtok": Decimal(40)}
TIERED = SimpleNamespace(base=Decimal(2), tiers=[SimpleNamespace(start=512_000, price=Decimal(6))])


@pytest.mark.parametrize(
    ("prices", "line", "notes"),
    [
        (
            rates(input_mtok=Decimal("0.10"), cache_read_mtok=None, output_mtok=Decimal("1E+1")),
            '{currency = "USD", input = 0.10, output = 10}',
            [],
        ),
        (
            rates(**TWO, cache_write_mtok=Decimal(3), cache_write_1h_mtok=Decimal(6)),
            '{currency = "USD", input = 2, cache_write = 3, output = 4}',
            ["not in the line: cache_write_1h_mtok = 6"],
        ),
        (
            rates(input_mtok=TIERED, output_mtok=Decimal(4)),
            (
                '{currency = "USD", input = 2, output = 4, '
                "tiers = [{above_input_tokens = 512000, input = 6, output = 4}]}"
            ),
            [],
        ),
        (
            conditional((None, TWO), (SimpleNamespace(start_date=date(2026, 11, 26)), FOUR)),
            '{currency = "USD", input = 4, output = 8}',
            [],
        ),
        (
            conditional((None, TWO), (SimpleNamespace(start_date=date(2026, 11, 27)), FOUR)),
            '{currency = "USD", input = 2, output = 4}',
            [],
        ),
        (
            conditional((None, TWO), (at(1, 4), FOUR), (at(6, 10), FOUR)),
            (
                '{currency = "USD", input = 2, output = 4, '
                'times = [{hours = ["01:00-04:00", "06:00-10:00"], timezone = "UTC", factor = 2}]}'
            ),
            ["its hours are those of every day; a provider may exempt some days"],
        ),
        (
            conditional((None, TWO), (at(1, 4), UNLIKE)),
            '{currency = "USD", input = 2, output = 4}',
            ["not in the line: from 01:00 to 04:00 UTC not all prices change alike"],
        ),
        (
            rates(input_mtok=Decimal(2)),
            '{currency = "USD", input = 2}',
            ["the list has no price of output"],
        ),
    ],
    ids=[
        "exact",
        "unknown kinds",
        "tiers",
        "since today",
        "from tomorrow",
        "hours",
        "odd hours",
        "no output",
    ],
)
def test_what_becomes_of_a_listed_price(prices: object, line: str, notes: list[str]) -> None:
    found = suggested(prices)
    assert (found.listed_as, found.price, found.notes) == ("P m", line, notes)
    parsed = tomllib.loads(f"price = {line}")["price"]
    parse_config(
        {
            "upstreams": {"p": {"base_url": "https://p.example/v1"}},
            "models": [{"id": "m", "upstream": "p", "price": {"output": 0} | parsed}],
            "prices": {"exchange": {"USD": 7.1}},
        },
        Path("llmgw.toml"),
    )


def test_a_missing_exchange_rate_is_told() -> None:
    config = parse_config(
        {
            "upstreams": {"p": {"base_url": "https://p.example/v1"}},
            "models": [{"id": "m", "upstream": "p"}, {"id": "n", "upstream": "p"}],
        },
        Path("llmgw.toml"),
    )
    found = suggestions(config, Catalogue("9.9", (listed(rates(**TWO)),)), NOW)
    lines = toml_of(config, found).splitlines()
    assert "# USD = ..." in lines
    assert "# no price: the list of P has no n" in lines
    assert [line for line in lines if line and not line.startswith("#")] == [
        'price = {currency = "USD", input = 2, output = 4}'
    ]


def test_the_demo_s_models_have_prices(tmp_path: Path) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text(demo_config(8000), "utf-8")
    targets = targets_of(load_config(file))
    assert targets
    assert all(target.price is not None for target in targets)
    assert [text for target in targets for text in oddities(target)] == []
