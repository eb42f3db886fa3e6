"""Worked examples from the providers' own price pages: figures, and what requests cost by them.

The figures are those that the page named in a row showed when it was last seen, per million tokens. Prices
change; what is tested is that a page's figures, written into the config as they stand there, give its bill.

Not here, since no figures of the provider's own page could be read: Qwen3.x at Alibaba (only other models
there), Kimi at Moonshot (a script draws the table of platform.kimi.com/docs/pricing), and M3 at MiniMax (only
at Novita, which serves it at its own tiers).
"""

import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from llmgw.config import NANO, parse_config
from llmgw.prices.price import Price, Tokens

DEEPSEEK: Final = "api-docs.deepseek.com/quick_start/pricing"
MINIMAX: Final = "platform.minimaxi.com/docs/guides/pricing-paygo"
ZHIPU: Final = "docs.bigmodel.cn/cn/guide/start/pricing"
ALIBABA: Final = "help.aliyun.com/zh/model-studio"
NOVITA: Final = "novita.ai/models/model-detail/minimax-minimax-m3"

PEAKS: Final = (
    'times = [{hours = ["01:00-04:00", "06:00-10:00"], days = ["mon", "tue", "wed", "thu", "fri"], '
    'timezone = "UTC", factor = 2}]'
)
"""DeepSeek's prices double on weekdays at these hours. Chinese holidays are exempt, which can't be said."""
FLASH: Final = f"input = 0.15, cached_input = 0.003, output = 0.6, {PEAKS}"
PRO: Final = f"input = 0.66, cached_input = 0.022, output = 1.98, {PEAKS}"
M3: Final = (
    "input = 0.3, cached_input = 0.06, output = 1.2, "
    "tiers = [{above_input_tokens = 524287, input = 1.2, cached_input = 0.24, output = 4.8}]"
)
NIGHT: Final = "2026-11-25T22:00Z"
THURSDAY_MORNING: Final = "2026-11-26T02:00Z"


class Example(NamedTuple):
    """One request's bill."""

    model: str
    page: str
    seen: str
    """When the page showed these figures: year and month."""
    price: str
    """As in the config, in the page's currency."""
    tokens: Tokens
    cost: str
    """In the page's currency, worked out by hand."""
    at: str = NIGHT


EXAMPLES: Final = [
    # 40,000 * 0.15 + 60,000 * 0.003 + 2,000 * 0.6
    Example("deepseek-flash", DEEPSEEK, "2026-11", FLASH, Tokens(100_000, 60_000, 0, 2000), "0.00738"),
    Example(
        "deepseek-flash at a peak",
        DEEPSEEK,
        "2026-11",
        FLASH,
        Tokens(100_000, 60_000, 0, 2000),
        "0.01476",
        THURSDAY_MORNING,
    ),
    Example(
        "deepseek-flash, the same hour on a Saturday",
        DEEPSEEK,
        "2026-11",
        FLASH,
        Tokens(100_000, 60_000, 0, 2000),
        "0.00738",
        "2026-11-28T02:00Z",
    ),
    Example(
        "deepseek-flash, the last second of a peak",
        DEEPSEEK,
        "2026-11",
        FLASH,
        Tokens(100_000, 60_000, 0, 2000),
        "0.01476",
        "2026-11-26T09:59:59Z",
    ),
    Example(
        "deepseek-flash, the first second after it",
        DEEPSEEK,
        "2026-11",
        FLASH,
        Tokens(100_000, 60_000, 0, 2000),
        "0.00738",
        "2026-11-26T10:00Z",
    ),
    # 100,000 * 0.66 + 900,000 * 0.022 + 10,000 * 1.98, of which 8,000 are reasoning and cost nothing more
    Example("deepseek-v4-pro", DEEPSEEK, "2026-11", PRO, Tokens(10**6, 900_000, 0, 10_000, 8000), "0.1056"),
    # 1,000,000 * 0.003625 + 1 * 0.87: six decimal places, and a single token
    Example(
        "deepseek-v4-pro before peaks",
        DEEPSEEK,
        "2026-08",
        "input = 0.435, cached_input = 0.003625, output = 0.87",
        Tokens(10**6, 10**6, 0, 1),
        "0.00362587",
    ),
    # 1,000 * 2.1 + 8,000 * 0.42 + 3,000 * 2.625 + 1,500 * 8.4
    Example(
        "MiniMax-M2.7, which asks for what it writes to its cache",
        MINIMAX,
        "2026-11",
        "input = 2.1, cached_input = 0.42, cache_write = 2.625, output = 8.4",
        Tokens(12_000, 8000, 3000, 1500),
        "0.025935",
    ),
    # 1,000 * 4.2 + 8,000 * 0.42 + 3,000 * 2.625 + 1,500 * 16.8
    Example(
        "MiniMax-M2.7-highspeed",
        MINIMAX,
        "2026-11",
        "input = 4.2, cached_input = 0.42, cache_write = 2.625, output = 16.8",
        Tokens(12_000, 8000, 3000, 1500),
        "0.040635",
    ),
    # 524,287 * 0.3 + 1,000 * 1.2
    Example("MiniMax-M3, a long prompt", NOVITA, "2026-11", M3, Tokens(524_287, output=1000), "0.1584861"),
    # 524,288 * 1.2 + 1,000 * 4.8: one token more, and all of it costs four times as much
    Example("MiniMax-M3, a longer one", NOVITA, "2026-11", M3, Tokens(524_288, output=1000), "0.6339456"),
    # 24,288 * 1.2 + 500,000 * 0.24 + 1,000 * 4.8
    Example(
        "MiniMax-M3, a longer one from the cache",
        NOVITA,
        "2026-11",
        M3,
        Tokens(524_288, 500_000, 0, 1000),
        "0.1539456",
    ),
    # 20,000 * 8 + 30,000 * 2 + 4,000 * 28
    Example(
        "GLM-5.3",
        ZHIPU,
        "2026-09",
        "input = 8, cached_input = 2, output = 28",
        Tokens(50_000, 30_000, 0, 4000),
        "0.332",
    ),
    # 20,000 * 0.8 + 30,000 * 0.23 + 4,000 * 2.8
    Example(
        "GLM-5.3-Flash at its list price",
        ZHIPU,
        "2026-09",
        "input = 0.8, cached_input = 0.23, output = 2.8",
        Tokens(50_000, 30_000, 0, 4000),
        "0.0341",
    ),
    # 30,000 * 6 + 10,000 * 1.2 + 2,000 * 22
    Example(
        "glm-5 between 32k and 200k of input",
        f"{ALIBABA}/glm-9",
        "2026-11",
        "input = 6, cached_input = 1.2, output = 22",
        Tokens(40_000, 10_000, 0, 2000),
        "0.236",
    ),
    # 3,000 * 0.6 + 3,000 * 0.06 + 4,000 * 0.75 + 500 * 1
    Example(
        "qwen-doc-turbo with its explicit cache",
        f"{ALIBABA}/qwen-doc-turbo",
        "2026-11",
        "input = 0.6, cached_input = 0.06, cache_write = 0.75, output = 1",
        Tokens(10_000, 3000, 4000, 500),
        "0.00548",
    ),
    # 7,000 * 0.6 + 3,000 * 0.12 + 500 * 1
    Example(
        "qwen-doc-turbo with its implicit cache",
        f"{ALIBABA}/qwen-doc-turbo",
        "2026-11",
        "input = 0.6, cached_input = 0.12, output = 1",
        Tokens(10_000, 3000, 0, 500),
        "0.00506",
    ),
    # 1,500 * 2 + 700 * 6
    Example(
        "qwen-coder-turbo",
        f"{ALIBABA}/qwen-coder-turbo",
        "2026-11",
        "input = 2, output = 6",
        Tokens(1500, output=700),
        "0.0072",
    ),
]


def price_of(table: str, prices: str = "") -> Price:
    text = (
        f'[upstreams.a]\nbase_url = "http://h/v1"\n[[models]]\nid = "m"\nupstream = "a"\n'
        f"price = {{{table}}}\n{prices}"
    )
    config = parse_config(tomllib.loads(text), Path("llmgw.toml"))
    assert config.models[0].price is not None
    return Price(config.models[0].price, config.prices)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.model)
def test_a_bill_by_the_provider_s_page(example: Example) -> None:
    cost = price_of(example.price).cost(example.tokens, datetime.fromisoformat(example.at).timestamp())
    assert Decimal(cost.total) / NANO == Decimal(example.cost)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.model)
def test_a_bill_in_dollars_in_a_budget_of_yuan(example: Example) -> None:
    """At a rate of 7.125, each of the four parts is rounded by at most half of 10⁻⁹."""
    own = price_of(f'{example.price}, currency = "USD"', "[prices.exchange]\nUSD = 7.125\n")
    cost = own.cost(example.tokens, datetime.fromisoformat(example.at).timestamp())
    exact = Decimal(example.cost) * Decimal("7.125") * NANO
    assert abs(cost.total - exact) <= 2


def test_the_documentation_s_example() -> None:
    """The price of docs/team.md: 200,000 * 8 + 100,000 * 1.6 + 2,000 * 48."""
    price = price_of(
        "input = 2.0, cached_input = 0.4, output = 12.0, "
        "tiers = [{above_input_tokens = 256000, input = 8.0, output = 48.0}]"
    )
    cost = price.cost(Tokens(300_000, 100_000, 0, 2000), 0)
    assert Decimal(cost.total) / NANO == Decimal("1.856")
