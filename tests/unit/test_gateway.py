"""What a worker has: a reload takes all of it over, or nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmgw.config import Config, parse_config
from llmgw.gateway import Gateway
from llmgw.routing.verdict import Blame
from llmgw.store import Store, open_store

UPSTREAM = {"base_url": "http://127.0.0.1:1/v1"}
COOLING = 'llmgw_upstream_cooling{account="",upstream="one",upstream_model="m"}'


def config(folder: Path, *, max_in_flight: int, targets: list[str]) -> Config:
    upstreams = {"one": {**UPSTREAM, "max_in_flight": max_in_flight}, "two": UPSTREAM}
    models = [{"id": "m", "targets": [{"upstream": name} for name in targets]}]
    return parse_config({"upstreams": upstreams, "models": models}, folder / "llmgw.toml")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path}/llmgw.db")
    yield opened
    opened.close()


def shared(gateway: Gateway) -> tuple[int | None, int | None, list[bool], bool]:
    """What the routers before and after a reload have in common, as requests and operators see it."""
    slots = [gateway.router.upstreams[name].accounts[None].places.limit for name in ("one", "two")]
    may_cool = [health.may_cool for health in gateway.router.health]
    return slots[0], slots[1], may_cool, COOLING in gateway.metrics.render().decode()


def test_a_reload_that_fails_late_has_changed_nothing(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(config(tmp_path, max_in_flight=5, targets=["one"]), store)
    before = gateway.config, gateway.router, gateway.catalog, gateway.retry_budget
    assert shared(gateway) == (5, None, [False], False)
    # "one" itself is the same in both, so that its health is shared.
    new = config(tmp_path, max_in_flight=5, targets=["one", "two"])

    def fail(*_: object) -> None:
        raise ValueError("no catalog")

    with monkeypatch.context() as broken:
        broken.setattr("llmgw.gateway._catalog", fail)
        for changed in (new, config(tmp_path, max_in_flight=9, targets=["one", "two"])):
            with pytest.raises(ValueError, match="no catalog"):
                asyncio.run(gateway.reload(changed))
            assert shared(gateway) == (5, None, [False], False)
    assert (gateway.config, gateway.router, gateway.catalog, gateway.retry_budget) == before
    health = gateway.router.health[0]
    asyncio.run(gateway.reload(new))
    assert gateway.router.health[0] is health
    assert shared(gateway) == (5, None, [True, True], True)
    asyncio.run(gateway.reload(config(tmp_path, max_in_flight=9, targets=["one"])))
    assert shared(gateway)[0] == 9


def test_a_target_that_is_left_alone_cools_down_no_more(tmp_path: Path, store: Store) -> None:
    gateway = Gateway(config(tmp_path, max_in_flight=5, targets=["one", "two"]), store)
    health = gateway.router.health[0]
    health.end(Blame.PACE, probe=health.begin(), retry_after_s=60.0)
    assert (health.state, health.may_cool) == ("cooling", True)
    asyncio.run(gateway.reload(config(tmp_path, max_in_flight=5, targets=["one"])))
    assert gateway.router.health == [health]
    assert (health.state, health.may_cool) == ("up", False)
    assert f"{COOLING} 0.0" in gateway.metrics.render().decode()
    health.end(Blame.PACE, probe=health.begin(), retry_after_s=60.0)
    assert health.state == "up"
