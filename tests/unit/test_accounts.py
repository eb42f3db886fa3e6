"""`api_keys`: each account is a target of its own, and a reload keeps what is known of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from llmgw._core import LimitTable
from llmgw.config import Config, ConfigError, parse_config
from llmgw.config.shown import shown
from llmgw.config.tables import MAX_ACCOUNTS
from llmgw.gateway import hide_secrets
from llmgw.limits.estimates import Need
from llmgw.limits.places import Place
from llmgw.observe.logs import redacted
from llmgw.routing.accounts import account_name
from llmgw.routing.router import Router
from llmgw.routing.targets import Target
from llmgw.routing.verdict import Blame

KEYS = ("sk-account-one", "sk-account-two", "sk-account-three")
TARGETS = [{"upstream": "x", "weight": 3}, {"upstream": "y"}]


def config(*keys: str, **more: Any) -> Config:  # noqa: ANN401 - of a TOML table
    """A model at an upstream `x` with these keys, and at another one."""
    x = {"base_url": "http://127.0.0.1:1/v1", **({"api_keys": list(keys)} if keys else {}), **more}
    upstreams = {"x": x, "y": {"base_url": "http://127.0.0.1:2/v1"}}
    return parse_config(
        {"upstreams": upstreams, "models": [{"id": "m", "targets": TARGETS}]}, Path("llmgw.toml")
    )


def targets(router: Router) -> Sequence[Target]:
    return router.models["m"].targets.all


def started(*keys: str, **more: Any) -> Router:  # noqa: ANN401 - of a TOML table
    router = Router(config(*keys, **more), limit_table=LimitTable.in_memory())
    router.take_effect()
    return router


def test_each_account_is_a_target_of_its_own() -> None:
    first, second, other = targets(started(*KEYS[:2]))
    assert [each.full_name for each in (first, second, other)] == ["x#1", "x#2", "y"]
    assert [each.name for each in (first, second, other)] == ["x", "x", "y"]
    assert [each.weight for each in (first, second, other)] == [3, 3, 1]
    for part in ("upstream", "health", "places"):
        assert getattr(first, part) is not getattr(second, part)
    assert first.route is second.route  # in the same words, so a body is rewritten once
    assert first.health.may_cool


def test_a_list_of_one_is_the_same_as_one_key() -> None:
    for router in (started(KEYS[0]), started(api_key=KEYS[0])):
        first, other = targets(router)
        assert (first.full_name, first.health.account, other.full_name) == ("x", None, "y")


def test_places_are_each_account_s() -> None:
    first, second, _ = targets(started(*KEYS[:2], max_in_flight=1))
    place = first.places.take(Need(1, 1))
    assert isinstance(place, Place)
    assert (first.places.full, second.places.full) == (True, False)


def test_rates_are_each_account_s() -> None:
    first, second, _ = targets(started(*KEYS[:2], requests_per_minute=1))
    assert isinstance(first.places.take(Need(1, 1)), Place)
    assert (first.places.full, second.places.full) == (True, False)
    assert isinstance(second.places.take(Need(1, 1)), Place)
    assert second.places.full


def test_health_is_each_account_s(caplog: pytest.LogCaptureFixture) -> None:
    first, second, _ = targets(started(*KEYS[:2]))
    second.health.end(Blame.PACE, probe=second.health.begin(), retry_after_s=30.0)
    assert (first.health.state, second.health.state) == ("up", "cooling")
    assert "upstream x#2, model m: cools down for" in caplog.text


Row = tuple[list[str], list[str], list[int | None]]
RELOADS: list[Row] = [
    # before, after, and which of the old accounts each of the new ones is
    (["a", "b"], ["a", "b", "c"], [0, 1, None]),
    (["a", "b"], ["a", "c"], [0, None]),
    (["a", "b", "c"], ["b", "c"], [1, 2]),
    (["a", "b"], ["b", "a"], [1, 0]),
    (["a", "b"], ["b"], [1]),
    (["a"], ["a", "b"], [0, None]),
]


@pytest.mark.parametrize(("before", "after", "same"), RELOADS)
def test_a_reload_keeps_what_is_known_of_an_account(
    before: list[str], after: list[str], same: list[int | None]
) -> None:
    old = started(*(f"sk-account-{name}" for name in before))
    new = Router(config(*(f"sk-account-{name}" for name in after)), old)
    new.take_effect()
    for index, at in enumerate(same):
        target = targets(new)[index]
        kept = [each.upstream is target.upstream for each in targets(old)[:-1]]
        assert kept == [at == number for number in range(len(before))]
        kept = [each.health is target.health for each in targets(old)[:-1]]
        assert kept == [at == number for number in range(len(before))]
        if at is not None:
            assert target.places is targets(old)[at].places
        assert target.full_name == account_name("x", index + 1 if len(after) > 1 else None)


def test_requests_under_way_count_for_a_key_that_takes_the_place_of_another() -> None:
    old = started(*KEYS[:2])
    targets(old)[1].places.used = 4
    new = Router(config(KEYS[0], KEYS[2]), old)
    new.take_effect()
    assert [each.places.used for each in targets(new)] == [0, 4, 0]
    assert targets(new)[1].health is not targets(old)[1].health


def test_another_address_is_another_upstream() -> None:
    old = started(*KEYS[:2])
    new = Router(config(*KEYS[:2], idle_timeout_s=5), old)
    for before, after in zip(targets(old)[:2], targets(new)[:2], strict=True):
        assert after.upstream is not before.upstream
        assert after.health is not before.health
        assert after.places is before.places


def test_a_gauge_is_right_after_each_reload() -> None:
    """Also where a number belongs to another account than before."""
    gauge: dict[int | None, bool] = {}

    def observed(upstream: str, account: int | None, _: str, cooling: bool) -> None:  # noqa: FBT001  (see Health)
        if upstream == "x":
            gauge[account] = cooling

    def reloaded(old: Router, *keys: str) -> Router:
        new = Router(config(*keys), old, observe=observed)
        told = dict(gauge)
        old.retire_for(new)
        new.take_effect()
        assert gauge.keys() >= told.keys()
        return new

    one, two, three = KEYS
    router = Router(config(one, two, three), observe=observed)
    router.take_effect()
    assert gauge == {1: False, 2: False, 3: False}
    third = targets(router)[2].health
    third.end(Blame.PACE, probe=third.begin(), retry_after_s=30.0)
    assert gauge == {1: False, 2: False, 3: True}
    router = reloaded(router, three, one, two)
    assert (gauge, targets(router)[0].health) == ({1: True, 2: False, 3: False}, third)
    router = reloaded(router, one, three)
    assert gauge == {1: False, 2: True, 3: False}
    router = reloaded(router, three)
    assert gauge == {None: True, 1: False, 2: False, 3: False}
    router = reloaded(router, one, two)
    assert gauge == {None: False, 1: False, 2: False, 3: False}


def refused(**table: Any) -> list[str]:  # noqa: ANN401 - of a TOML table
    with pytest.raises(ConfigError) as caught:
        config(**table)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"api_keys": []}, "upstreams.x.api_keys: is empty; write at least one value or leave the line out"),
        (
            {"api_keys": ["sk-a-secret", "sk-b-secret", "sk-a-secret"]},
            "upstreams.x.api_keys[2]: is the same key as api_keys[0]; name each account once",
        ),
        (
            {"api_keys": ["sk-a"], "api_key": "sk-b"},
            "upstreams.x.api_keys: is set beside api_key; put all keys into api_keys",
        ),
        (
            {"api_keys": [f"sk-{number}" for number in range(MAX_ACCOUNTS + 1)]},
            "upstreams.x.api_keys: has 65 keys; name 64 at most, and the others at an upstream of their own",
        ),
        (
            {"api_keys": ["env:LLMGW_NO_SUCH_VARIABLE"]},
            (
                "upstreams.x.api_keys[0]: the environment variable 'LLMGW_NO_SUCH_VARIABLE' is not set; "
                "set it before the start"
            ),
        ),
        (
            {"api_keys": ["a", 5]},
            "upstreams.x.api_keys[1]: has the wrong type; it must be a string in quotes",
        ),
        ({"api_keys": "a"}, "upstreams.x.api_keys: has the wrong type; it must be a list in brackets"),
        (
            {"api_keys": ["a", ""]},
            'upstreams.x.api_keys[1]: is empty; write "env:NAME", "file:PATH" or the key, or leave it out',
        ),
    ],
)
def test_faults(table: dict[str, Any], expected: str) -> None:
    assert refused(**table) == [expected]


def test_an_account_s_name_is_no_upstream_s() -> None:
    one = {"base_url": "http://127.0.0.1:1/v1"}
    data = {
        "upstreams": {"x": {**one, "api_keys": ["a", "b"]}, "x#2": one},
        "models": [{"id": "m", "upstream": "x"}],
    }
    with pytest.raises(ConfigError, match=r"upstreams\.x#2: has the name of an account of upstreams\.x"):
        parse_config(data, Path("llmgw.toml"))


def test_secrets_can_be_left_alone() -> None:
    data = {
        "upstreams": {"x": {"base_url": "http://h/v1", "api_keys": ["env:NOT_SET", "env:NOR_THIS"]}},
        "models": [{"id": "m", "upstream": "x"}],
    }
    accounts = parse_config(data, Path("llmgw.toml"), secrets=False).upstreams["x"].accounts
    assert accounts == {1: None, 2: None}


def test_no_key_of_any_account_is_ever_shown() -> None:
    held = config(*KEYS)
    hide_secrets(held)
    renderings = [repr(held), str(held), held.model_dump_json(), str(shown(held))]
    renderings += [redacted(f"the upstream said {key}") for key in KEYS]
    for rendering in renderings:
        assert not any(key in rendering for key in KEYS)
    assert shown(held)["upstreams"]["x"]["api_keys"] == ["**********"] * 3
