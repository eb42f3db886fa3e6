"""Who uses the gateway in the demo: projects, and keys with their limits."""

from datetime import datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from llmgw.access.settings import LimitChange
from llmgw.cli.simulated import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmgw.access.key import KeyKind
    from llmgw.access.settings import LimitName

SUPPORT: Final = f"{MARK}support"
ENGINEERING: Final = f"{MARK}engineering"
RESEARCH: Final = f"{MARK}research"

HELPDESK: Final = f"{MARK}helpdesk-rag"
WEBUI: Final = f"{MARK}open-webui"
INTERN: Final = f"{MARK}intern"
CLAUDE_CODE: Final = f"{MARK}claude-code"
CODEX: Final = f"{MARK}codex"
EDITOR: Final = f"{MARK}editor"
BATCH: Final = f"{MARK}nightly-batch"
NOTEBOOK: Final = f"{MARK}notebook"
CRAWLER: Final = f"{MARK}old-crawler"
DASHBOARD: Final = f"{MARK}dashboard"


_NO_LIMITS: "Final[Mapping[LimitName, int]]" = MappingProxyType({})


class Ago(NamedTuple):
    """A moment by the clocks of the configured time zone: admins work at day."""

    days: int
    """At least 1, so that it is over."""
    hour: int
    minute: int = 0

    def before(self, now: datetime, zone: tzinfo) -> datetime:
        """So many days before the day of `now`; nobody works to the second."""
        day = now.astimezone(zone) - timedelta(days=self.days)
        second = (self.hour * 7 + self.minute * 13) % 60
        return day.replace(hour=self.hour, minute=self.minute, second=second, microsecond=500_000)


class Team(NamedTuple):
    """A project."""

    name: str
    made: Ago
    limits: "Mapping[LimitName, int]"
    """Of all its keys together."""

    @property
    def changes(self) -> tuple[LimitChange, ...]:
        """The limits, as they are set."""
        return (LimitChange(dict(self.limits)),) if self.limits else ()


class Holder(NamedTuple):
    """A key, and whose it is."""

    name: str
    project: str
    made: Ago
    owner: str
    limits: "Mapping[LimitName, int]" = _NO_LIMITS
    models: tuple[str, ...] | None = None
    """None: all."""
    trusts_user_header: bool = False
    expires_in: timedelta | None = None
    kind: "KeyKind" = "model"

    @property
    def changes(self) -> tuple[LimitChange, ...]:
        """The limits, as they are set."""
        return (LimitChange(dict(self.limits)),) if self.limits else ()


TEAMS: Final = (
    Team(SUPPORT, Ago(24, 10, 12), {"requests_per_minute": 300, "tokens_per_minute": 2_000_000}),
    Team(ENGINEERING, Ago(24, 10, 14), {"concurrent_requests": 40}),
    Team(RESEARCH, Ago(22, 15, 40), {}),
)
HOLDERS: Final = (
    Holder(
        HELPDESK, SUPPORT, Ago(21, 9, 31), "li.na",
        limits={"requests_per_minute": 60, "tokens_per_minute": 400_000},
        models=("qwen3.6-plus", "deepseek-v4-flash", "text-embedding-v4", "qwen3-rerank"),
    ),
    Holder(WEBUI, SUPPORT, Ago(21, 9, 36), "li.na", trusts_user_header=True),
    Holder(CLAUDE_CODE, ENGINEERING, Ago(21, 11, 2), "wang.fang", limits={"concurrent_requests": 12}),
    Holder(CODEX, ENGINEERING, Ago(20, 14, 48), "chen.jie", limits={"tokens_per_minute": 1_500_000}),
    Holder(EDITOR, ENGINEERING, Ago(18, 10, 5), "zhao.lei", expires_in=timedelta(days=3)),
    Holder(
        BATCH, RESEARCH, Ago(17, 16, 20), "sun.yue",
        limits={"concurrent_requests": 4}, models=("deepseek-v4-flash", "qwen3-next-80b-a3b-thinking"),
    ),
    Holder(NOTEBOOK, RESEARCH, Ago(17, 16, 27), "sun.yue"),
    Holder(
        INTERN, SUPPORT, Ago(16, 9, 55), "wu.di",
        limits={"requests_per_minute": 20}, models=("glm-5-flash", "qwen3.6-plus", "glm-5"),
    ),
    Holder(CRAWLER, RESEARCH, Ago(15, 11, 10), "sun.yue"),
    Holder(DASHBOARD, SUPPORT, Ago(15, 17, 3), "li.na", kind="admin_read"),
)  # fmt: skip

REVOKED: Final = {CRAWLER: Ago(6, 16, 44)}
"""No request came later."""
BLOCKED: Final = {INTERN: Ago(4, 11, 18)}
ROTATED: Final = {NOTEBOOK: Ago(1, 15, 26)}
GRACE: Final = timedelta(days=7)
"""How long the secret before the rotation is good."""
