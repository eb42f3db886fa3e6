"""`llmgw prices`: shows what models cost, suggests prices, and works out examples."""

import argparse
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from llmgw.cli.common import add_config_option, read_config
from llmgw.cli.priced import prices_object, show_prices
from llmgw.cli.table import add_json_option, print_json, print_table
from llmgw.config import NANO, Config
from llmgw.errors import CommandError
from llmgw.prices.catalogue import PriceDataError, installed
from llmgw.prices.document import decimal
from llmgw.prices.price import Price, Tokens
from llmgw.prices.shown import PricedTarget, oddities, targets_of
from llmgw.prices.suggest import suggestions, toml_of

EPILOG: Final = """\
Prices are in the config: `price` of a model or of one of its targets, per million tokens.

examples:
  llmgw prices list
  llmgw prices cost --model qwen3.6-plus --input 30000 --cached 20000 --output 1500
  llmgw prices cost --model deepseek-v4-pro --input 1000 --output 200 --at 2026-11-26T10:00
  llmgw prices suggest         lines to check, and to move to their models
"""
_SUGGEST_EPILOG: Final = """\
Reads the price list of the installed package genai-prices (pip install 'llmgw[prices]') and prints lines for
the models of the config; the config stays as it is. Its prices are in US dollars and are not converted. Check
each against the provider's own page: it may bill your account in another currency, or at another price.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="show each model's price back, per million tokens")
    listing.set_defaults(prices_verb=_list)
    suggest = verbs.add_parser(
        "suggest",
        help="print prices for the config's models from an installed list",
        epilog=_SUGGEST_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suggest.set_defaults(prices_verb=_suggest)
    cost = verbs.add_parser("cost", help="work out what a request costs")
    cost.add_argument("--model", required=True, metavar="ID", help="a model of the config")
    cost.add_argument("--upstream", metavar="NAME", help="only there (default: at each of its upstreams)")
    cost.add_argument("--input", type=_count, required=True, metavar="TOKENS", help="cached ones included")
    cost.add_argument("--output", type=_count, required=True, metavar="TOKENS", help="reasoning included")
    for name, what in (
        ("--cached", "of the input: read from the provider's cache"),
        ("--cache-write", "of the input: written to the provider's cache"),
        ("--images", "images and other files in the request"),
    ):
        cost.add_argument(name, type=_count, default=0, metavar="N", help=what)
    cost.add_argument("--thinking", action="store_true", help="the answer has reasoning")
    cost.add_argument(
        "--at",
        type=_time,
        metavar="TIME",
        help="when the request arrives, such as 2026-11-26T10:00; without a zone, in that of [prices] "
        "(default: now)",
    )
    cost.set_defaults(prices_verb=_cost)
    for each in (listing, suggest, cost):
        add_config_option(each)
        add_json_option(each)


def run(options: argparse.Namespace) -> int:
    config = read_config(options.config, secrets=False)
    status: int = options.prices_verb(config, options)
    return status


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _DIGITS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of tokens")
    return int(text)


_DIGITS: Final = 13


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is not a time; write it like 2026-11-26T10:00"
        raise argparse.ArgumentTypeError(message) from None


def _list(config: Config, options: argparse.Namespace) -> int:
    if options.json:
        print_json(prices_object(config))
        return 0
    show_prices(config)
    for target in targets_of(config):
        for oddity in oddities(target):
            print(f"warning: {oddity}")
    return 0


def _suggest(config: Config, options: argparse.Namespace) -> int:
    try:
        found = suggestions(config, installed(), datetime.now(UTC))
    except PriceDataError as error:
        raise CommandError(str(error)) from error
    if options.json:
        print_json([each._asdict() for each in found])
    else:
        print(toml_of(config, found), end="")
    return 0


def _cost(config: Config, options: argparse.Namespace) -> int:
    targets = [
        target
        for target in targets_of(config)
        if target.model == options.model and options.upstream in {None, target.upstream}
    ]
    if not targets:
        at = f" at {options.upstream!r}" if options.upstream else ""
        known = ", ".join(model.id for model in config.models)
        raise CommandError(f"the config has no model {options.model!r}{at}; it has {known}")
    tokens = Tokens(
        options.input,
        options.cached,
        options.cache_write,
        options.output,
        images=options.images,
        thinking=options.thinking,
    )
    zone = ZoneInfo(config.prices.timezone)
    moment = options.at or datetime.now(zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    worked = [_worked(target, tokens, moment) for target in targets]
    if options.json:
        print_json([members for _, members in worked])
        return 0
    for number, (target, _) in enumerate(worked):
        if number:
            print()
        _print_cost(target, tokens, moment)
    return 0


def _worked(target: PricedTarget, tokens: Tokens, moment: datetime) -> tuple[PricedTarget, dict[str, Any]]:
    told: dict[str, Any] = {"model": target.model, "upstream": target.upstream, "cost": None}
    if target.price is not None:
        cost = target.price.cost(tokens, moment.timestamp())
        told["cost"] = decimal(cost.total)
        told["parts"] = {name: decimal(part) for name, part in cost._asdict().items()}
        told["currency"] = target.price.currency
        told["factor"] = decimal(target.price.factor(moment.timestamp()))
    return target, told


def _print_cost(target: PricedTarget, tokens: Tokens, moment: datetime) -> None:
    price = target.price
    print(f"{target.model} at {target.upstream}, {moment.isoformat(timespec='minutes')}")
    if price is None:
        print("unpriced: what it costs is unknown")
        return
    rows = _cost_rows(price, tokens, moment.timestamp())
    print_table(("", "TOKENS", f"{price.own_currency} A MILLION", price.currency), rows, right=(1, 2, 3))
    factor = price.factor(moment.timestamp())
    if factor != NANO:
        print(f"at these hours everything is multiplied by {decimal(factor)}")


def _cost_rows(price: Price, tokens: Tokens, at_s: float) -> list[tuple[str, str, str, str]]:
    rates, cost = price.rates(tokens.input), price.cost(tokens, at_s)
    cached = min(tokens.cached, tokens.input)
    written = min(tokens.cache_write, tokens.input - cached)
    output = rates.output_thinking if tokens.thinking else rates.output
    rows = [
        ("input", tokens.input - cached - written, rates.input, cost.input),
        ("cached input", cached, rates.cached_input, cost.cached_input),
        ("written to the cache", written, rates.cache_write, cost.cache_write),
        ("output", tokens.output, output, cost.output),
    ]
    shown = [(name, f"{count:,}", decimal(rate), decimal(part)) for name, count, rate, part in rows if count]
    if cost.other:
        shown.append(("request and images", "", "", decimal(cost.other)))
    return [*shown, ("together", "", "", decimal(cost.total))]
