"""What is left of limits where it can't be known, and of keys for which no model is left."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from llmgw._core import LimitTable
from llmgw.access.key import Key
from llmgw.access.project import Project
from llmgw.admin.schemas.standing import StandingSchema
from llmgw.admin.standing import Standings
from llmgw.config import Config
from llmgw.limits.rules import LimitRule, Limits
from tests.support.configs import load, with_model
from tests.support.limits_redis import granted, workers
from tests.support.processes import free_port
from tests.support.redis import RedisServer

NOW = datetime(2026, 11, 26, tzinfo=UTC)
RULES = (
    LimitRule("project", 3, "search", None, per_user=False, limits=Limits(tokens_per_minute=9000)),
    LimitRule("key", 7, "batch", None, per_user=False, limits=Limits(requests_per_minute=60)),
    LimitRule("key", 7, "batch", None, per_user=True, limits=Limits(requests_per_minute=5)),
)
KEY = Key(7, "batch", "sk-gtw-a1B2", b"", None, NOW, None, None, limits=RULES)
MACHINES = '[cache]\nurl = "redis://127.0.0.1:6379/0"\n[limits]\nmachines = 2\n'


def config(folder: Path, more: str = "") -> Config:
    return load(folder, with_model("concurrent_requests = 4") + more)


def test_what_redis_has_is_read_there(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        shared = config(tmp_path, MACHINES.replace("redis://127.0.0.1:6379/0", redis.url))
        standings = Standings(lambda: shared, LimitTable.in_memory())

        async def use() -> None:
            async with workers(redis.url) as [limits]:
                plan = limits.plan(
                    [("rpm:key:7", "requests", 60), ("tpm:project:3", "tokens", 9000)],
                    [("concurrent:model:m", "requests", 4, None)],
                )
                await granted(plan, tokens=3000)
                left = [(await asyncio.to_thread(standings.of_key, KEY)).limits or () for _ in range(2)]
                for each in left:
                    assert [(one.here.subject.label, one.here.kind) for one in each] == [
                        ("project", "tokens_per_minute"),
                        ("key", "requests_per_minute"),
                        ("model", "concurrent_requests"),
                    ]
                    # Some drains meanwhile.
                    assert 6000 <= each[0].remaining < 6900
                    assert [one.remaining for one in each[1:]] == [59, 3]

        asyncio.run(use())


def test_what_a_redis_has_that_is_gone_is_not_known(tmp_path: Path) -> None:
    shared = config(tmp_path, MACHINES.replace("6379", str(free_port())))
    standings = Standings(lambda: shared, LimitTable.in_memory())
    for left in (standings.of_key(KEY), standings.of_project(Project(1, "default", NOW, None))):
        shown = StandingSchema.of(left)
        assert shown.limits is None
        assert "can't be asked now (ConnectionError)" in (shown.unknown or "")


def test_a_table_that_cant_be_opened_is_told_and_tried_again(tmp_path: Path) -> None:
    found = config(tmp_path)
    found.limits_folder.write_text("in the way", "utf-8")
    standings = Standings(lambda: found)
    shown = StandingSchema.of(standings.of_key(KEY))
    assert shown.limits is None
    assert "can't be opened" in (shown.unknown or "")
    found.limits_folder.unlink()
    assert len(standings.of_key(KEY).limits or ()) == 3


def test_a_key_for_which_no_model_is_left_has_its_own_limits_still(tmp_path: Path) -> None:
    found = config(tmp_path, "[limits]\ntokens_per_minute = 70\nrequests_per_minute = 80\n")
    standings = Standings(lambda: found, LimitTable.in_memory())
    key = replace(KEY, models=frozenset({"gone"}))
    shown = StandingSchema.of(standings.of_key(key))
    assert [(each.scope, each.kind, each.remaining) for each in shown.limits or ()] == [
        ("project", "tokens_per_minute", 9000),
        ("key", "requests_per_minute", 60),
        ("key", "tokens_per_minute", 70),
    ]
    with_its_model = standings.of_key(KEY).limits or ()
    assert [each.here.model for each in with_its_model if each.here.subject.label == "model"] == ["m"]
    admin = replace(KEY, kind="admin_read")
    assert standings.of_key(admin).limits == []
