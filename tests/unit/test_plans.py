"""Which limits and budgets bind a request."""

from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from llmgw.budgets.budget import Budget, Period, Scope
from llmgw.limits.plans import Rules, rules_for
from llmgw.limits.rules import NO_LIMITS, LimitRule, Limits

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)
"""In Shanghai."""
TODAY = datetime(2026, 11, 25, 16, 0, tzinfo=UTC)
"""When that day began."""


class Key(NamedTuple):
    """What the limits must know of one."""

    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[Budget, ...] = ()
    id: int = 7
    name: str = "batch"


def rule(scope: Scope, limits: Limits, *, model: str | None = None, per_user: bool = False) -> LimitRule:
    scope_id, name = (7, "batch") if scope == "key" else (3, "research")
    return LimitRule(scope, scope_id, name, model, per_user, limits)


def budget(
    number: int,
    period: Period = "day",
    *,
    model: str | None = None,
    per_user: bool = False,
    extra: dict[tuple[str, datetime], int] | None = None,
) -> Budget:
    return Budget(
        number,
        "project",
        3,
        "research",
        model,
        per_user,
        "CNY",
        1000,
        period,
        None,
        MappingProxyType(extra or {}),
    )


def rules(
    key: Key,
    *,
    user: str | None = None,
    model_limits: Limits = NO_LIMITS,
    defaults: Limits = NO_LIMITS,
    at: datetime = NOON,
) -> Rules:
    return rules_for(key, "m", model_limits, user, defaults=defaults, zone=ZONE, at_s=at.timestamp())


def bound(found: Rules) -> dict[str, int]:
    """All limits by their descriptors."""
    return {here.descriptor: here.limit for here in (*found.rates, *found.concurrent)}


LIMIT_ROWS: dict[str, tuple[Key, str | None, Limits, Limits, dict[str, int]]] = {
    "nothing": (Key(), None, NO_LIMITS, NO_LIMITS, {}),
    "defaults": (
        Key(),
        None,
        NO_LIMITS,
        Limits(5, 100, 2),
        {"rpm:key:7": 5, "tpm:key:7": 100, "concurrent:key:7": 2},
    ),
    "a key's own takes the place of the default of its kind": (
        Key((rule("key", Limits(requests_per_minute=50)),)),
        None,
        NO_LIMITS,
        Limits(5, 100),
        {"rpm:key:7": 50, "tpm:key:7": 100},
    ),
    "one at a model binds besides the default": (
        Key((rule("key", Limits(requests_per_minute=50), model="m"),)),
        None,
        NO_LIMITS,
        Limits(5),
        {"rpm:key:7:model:m": 50, "rpm:key:7": 5},
    ),
    "one at another model does not": (
        Key((rule("key", Limits(requests_per_minute=50), model="other"),)),
        None,
        NO_LIMITS,
        NO_LIMITS,
        {},
    ),
    "all five places": (
        Key(
            (
                rule("key", Limits(tokens_per_minute=9)),
                rule("key", Limits(requests_per_minute=8), model="m"),
                rule("project", Limits(requests_per_minute=7)),
                rule("project", Limits(concurrent_requests=6), model="m"),
            )
        ),
        None,
        Limits(requests_per_minute=4),
        Limits(requests_per_minute=3),
        {
            "tpm:key:7": 9,
            "rpm:key:7:model:m": 8,
            "rpm:project:3": 7,
            "concurrent:project:3:model:m": 6,
            "rpm:model:m": 4,
            "rpm:key:7": 3,
        },
    ),
    "a project's is no key's own": (
        Key((rule("project", Limits(requests_per_minute=50)),)),
        None,
        NO_LIMITS,
        Limits(5),
        {"rpm:project:3": 50, "rpm:key:7": 5},
    ),
    "each user": (
        Key((rule("key", Limits(requests_per_minute=2), per_user=True),)),
        "anna",
        NO_LIMITS,
        Limits(5),
        {"rpm:key:7:user:anna": 2},
    ),
    "the users without a name": (
        Key((rule("project", Limits(requests_per_minute=2), model="m", per_user=True),)),
        None,
        NO_LIMITS,
        NO_LIMITS,
        {"rpm:project:3:model:m:user:": 2},
    ),
}


@pytest.mark.parametrize("name", LIMIT_ROWS)
def test_limits(name: str) -> None:
    key, user, model_limits, defaults, expected = LIMIT_ROWS[name]
    found = rules(key, user=user, model_limits=model_limits, defaults=defaults)
    assert bound(found) == expected
    assert bool(found) == bool(expected)


def test_whose_they_are() -> None:
    key = Key(
        (
            rule("key", Limits(requests_per_minute=1), model="m", per_user=True),
            rule("project", Limits(requests_per_minute=1)),
        )
    )
    found = rules(key, user="anna", model_limits=Limits(1), defaults=Limits(tokens_per_minute=1))
    assert [here.subject for here in found.rates] == [
        ("key_model_user", "user 'anna' of key 'batch' at model 'm'"),
        ("project", "project 'research'"),
        ("key", "key 'batch'"),
        ("model", "model 'm', for all keys together"),
    ]


def test_several_budgets_and_the_earliest_end() -> None:
    key = Key(budgets=(budget(1, "day"), budget(2, "month"), budget(3, "total"), budget(4, model="other")))
    found = rules(key)
    assert [here.descriptor for here in found.budgets] == [
        f"budget:1:{int(TODAY.timestamp())}",
        f"budget:2:{int(datetime(2026, 10, 31, 16, tzinfo=UTC).timestamp())}",
        "budget:3:0",
    ]
    assert found.starts_s == TODAY.timestamp()
    assert found.ends_s == TODAY.timestamp() + 86_400


def test_what_an_admin_has_added_counts_in_its_window_and_for_its_user() -> None:
    extra = {("", TODAY): 500, ("anna", TODAY): 70}
    for per_user, user, at, expected in (
        (False, "anna", NOON, 1500),
        (True, "anna", NOON, 1070),
        (True, None, NOON, 1500),
        (True, "bert", NOON, 1000),
        (False, None, datetime(2026, 11, 27, 4, tzinfo=UTC), 1000),
    ):
        found = rules(Key(budgets=(budget(1, per_user=per_user, extra=extra),)), user=user, at=at)
        assert [here.limit for here in found.budgets] == [expected]
        assert found.names_users == per_user
