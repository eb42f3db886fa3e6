"""Options that `llmgw keys` and `llmgw projects` share: limits and budgets, as they are written and shown."""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

from llmgw.access.amounts import parse_amount, parse_warn_at, warn_at_text
from llmgw.access.settings import PERIODS, BudgetSetting, LimitChange, LimitName
from llmgw.budgets.budget import TOKENS, Budget, Period
from llmgw.budgets.money import amount_text
from llmgw.errors import CommandError
from llmgw.limits.rules import LimitRule

HOW: Final = """\
limits and budgets:
  --rpm 60                       requests a minute; with none in place of a number, the limit goes away
  --rpm qwen3.6-plus=5           the same for one model
  --per-user-tpm 20000           for each user behind the key or the project, one by one
  --budget 20/day                in the configured currency; 20CNY/day says it
  --budget 5000000tokens/month   in tokens; day, week (from Monday), month or total
  --budget qwen3.6-plus=20/day   for one model
  --warn-at 0.8                  at this share of each budget that is given, tell [alerts] url
"""

_LIMITS: Final[dict[str, tuple[LimitName, str]]] = {
    "rpm": ("requests_per_minute", "requests a minute"),
    "tpm": ("tokens_per_minute", "tokens a minute"),
    "concurrency": ("concurrent_requests", "requests at once"),
}
_NONE: Final = "none"
_BUDGET: Final = re.compile(
    r"(?:(?P<model>.+)=)?(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[A-Za-z]*)/(?P<period>[a-z]+)"
)


class _Limit(NamedTuple):
    """`--rpm MODEL=5`."""

    model: str | None
    number: int | None


class _Budget(NamedTuple):
    """`--budget MODEL=10CNY/day`."""

    model: str | None
    number: str
    unit: str
    """Empty: the configured currency."""
    period: Period
    text: str


def add_rule_options(parser: argparse.ArgumentParser, *, changing: bool) -> None:
    """`--rpm` and the others. `changing`: of something that may have limits and budgets already."""
    limits = parser.add_argument_group("limits")
    for option, (_, meaning) in _LIMITS.items():
        for prefix, whose in (("", ""), ("per-user-", " of each user")):
            limits.add_argument(
                f"--{prefix}{option}",
                type=_limit,
                action="append",
                default=[],
                metavar="[MODEL=]N",
                help=f"{meaning}{whose}; none: no limit",
            )
    budgets = parser.add_argument_group("budgets")
    what = "all budgets from now on; one for the same keeps what was spent" if changing else "may be repeated"
    for prefix, whose in (("", ""), ("per-user-", "for each user; ")):
        budgets.add_argument(
            f"--{prefix}budget",
            type=_budget,
            action="append",
            default=[],
            metavar="[MODEL=]AMOUNT/PERIOD",
            help=f"{whose}{what}",
        )
    budgets.add_argument(
        "--warn-at", type=_warn_at, metavar="0.8", help="warn at this share of the budgets that are given"
    )
    if changing:
        budgets.add_argument("--no-budgets", action="store_true", help="remove all budgets")


def limits_of(options: argparse.Namespace) -> list[LimitChange]:
    """What the options say of limits."""
    changes: defaultdict[tuple[str | None, bool], dict[LimitName, int | None]] = defaultdict(dict)
    for option, (name, _) in _LIMITS.items():
        for prefix in ("", "per_user_"):
            for limit in getattr(options, f"{prefix}{option}"):
                place = changes[limit.model, bool(prefix)]
                if name in place:
                    of = f" for {limit.model}" if limit.model else ""
                    raise CommandError(f"--{prefix.replace('_', '-')}{option} is there twice{of}")
                place[name] = limit.number
    return [LimitChange(numbers, model, per_user) for (model, per_user), numbers in changes.items()]


def budgets_of(options: argparse.Namespace, currency: str) -> list[BudgetSetting] | None:
    """What the options say of budgets; None: nothing. Raises CommandError."""
    written = [(each, False) for each in options.budget] + [(each, True) for each in options.per_user_budget]
    if getattr(options, "no_budgets", False):
        if written:
            raise CommandError("--no-budgets and --budget don't go together; --budget alone replaces all")
        return []
    if not written:
        if options.warn_at is not None:
            raise CommandError("--warn-at needs the budgets that it is for: give each --budget again")
        return None
    return [_setting(each, per_user, options.warn_at, currency) for each, per_user in written]


def _setting(written: _Budget, per_user: bool, warn_at: int | None, currency: str) -> BudgetSetting:  # noqa: FBT001
    unit = written.unit or currency
    try:
        amount = parse_amount(written.number, unit)
    except ValueError as error:
        raise CommandError(f"--budget {written.text}: the amount {error}") from error
    return BudgetSetting(amount, unit, written.period, written.model, per_user, warn_at)


def _limit(text: str) -> _Limit:
    model, equals, number = text.rpartition("=")
    is_number = number.isascii() and number.isdigit() and len(number) <= 18  # noqa: PLR2004  (fits into 64 bits)
    if (equals and not model) or not (is_number or number == _NONE):
        hint = "write a number, none, MODEL=number or MODEL=none"
        raise argparse.ArgumentTypeError(f"{text!r} is no limit: {hint}")
    return _Limit(model or None, None if number == _NONE else int(number))


def _budget(text: str) -> _Budget:
    match = _BUDGET.fullmatch(text)
    if match is None or match["period"] not in PERIODS:
        periods = f"{', '.join(PERIODS[:-1])} or {PERIODS[-1]}"
        hint = f"write an amount and {periods}, such as 20/day, 20CNY/day or 5000000{TOKENS}/month"
        raise argparse.ArgumentTypeError(f"{text!r} is no budget: {hint}")
    unit = match["unit"] if match["unit"] == TOKENS else match["unit"].upper()
    return _Budget(match["model"], match["number"], unit, cast("Period", match["period"]), text)


def _warn_at(text: str) -> int:
    try:
        return parse_warn_at(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it {error}") from error


def rule_texts(limits: Iterable[LimitRule], budgets: Iterable[Budget]) -> list[str]:
    """Each limit and budget in a few words: `5 rpm`, `20.00 CNY/day of qwen3.6-plus, for each user`."""
    texts = []
    for rule in limits:
        numbers = rule.limits._asdict()
        texts += [
            f"{numbers[name]} {'at once' if option == 'concurrency' else option}{_scope_text(rule)}"
            for option, (name, _) in _LIMITS.items()
            if numbers[name] is not None
        ]
    for budget in budgets:
        amount = f"{amount_text(budget.amount, budget.unit)} {budget.unit}"
        period = " in total" if budget.period == "total" else f"/{budget.period}"
        texts.append(f"{amount}{period}{_scope_text(budget)}{_warning_text(budget)}")
    return texts


def _scope_text(rule: LimitRule | Budget) -> str:
    return (f" of {rule.model}" if rule.model else "") + (" for each user" if rule.per_user else "")


def _warning_text(budget: Budget) -> str:
    return "" if budget.warn_at_permille is None else f", warns at {warn_at_text(budget.warn_at_permille)}"


def shortened(texts: Sequence[str], at_most: int = 3) -> str:
    """For a column of a table."""
    more = [f"+{len(texts) - at_most}"] if len(texts) > at_most else []
    return ", ".join([*texts[:at_most], *more]) or "-"
