"""`budgets`: what is spent and left."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints

from llmgw.access.amounts import amount_text
from llmgw.access.documents import budget_state_document
from llmgw.admin.paging import MAX_LIMIT
from llmgw.admin.schemas.base import MAX_ID, Count, Id, Page, PageQuery, Schema, Time, fault
from llmgw.admin.schemas.keys import Period, Word
from llmgw.budgets.budget import TOKENS, Scope
from llmgw.budgets.store import BudgetState
from llmgw.budgets.verify import Counts, HourDifference, Report, WindowDifference


def _check_ids(value: str) -> str:
    if value.count(",") >= MAX_LIMIT:
        raise fault(f"has more than {MAX_LIMIT} ids")
    return value


def _numbers(ids: str) -> list[int]:
    return [int(each) for each in ids.split(",")]


_ID_CHARS: Final = 18
Ids = Annotated[
    str,
    StringConstraints(
        pattern=rf"^[0-9]{{1,{_ID_CHARS}}}(,[0-9]{{1,{_ID_CHARS}}})*$", max_length=MAX_LIMIT * (_ID_CHARS + 1)
    ),
    AfterValidator(_check_ids),
]
"""Ids with commas, as many as a page has entries at most."""


class BudgetSchema(Schema):
    """A budget in its current window, or one user's part of it. Amounts are exact decimal numbers."""

    id: Id
    scope: Literal["project", "key"]
    scope_id: Id = Field(description="The project's or key's.")
    name: str = Field(description="The project's or key's.")
    model: str | None
    per_user: bool
    user: str | None = Field(description="Null: of all; where each user is counted, those who name none.")
    unit: str = Field(description="`tokens`, or the currency.")
    period: Period
    starts_at: Time
    ends_at: Time | None = Field(description="When it begins anew; null: never.")
    amount: str
    lifted: str = Field(description="What was added to the amount for this window.")
    spent: str = Field(description="Since the last reset. What running requests may use is not part of it.")
    forgiven: str = Field(description="What was spent before the last reset.")
    left: str
    warn_at: float | None = Field(description="A share of the amount.")
    warned_at: Time | None
    exhausted_at: Time | None

    @classmethod
    def of(cls, state: BudgetState) -> Self:
        """As the command line has it."""
        return cls.model_validate(budget_state_document(state))


class BudgetPage(Page[BudgetSchema]):
    """Budgets in force, by id and user."""


class BudgetQuery(PageQuery):
    """Which budgets are wanted."""

    key_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    project_id: int | None = Field(default=None, ge=1, le=MAX_ID)
    ids: Ids | None = Field(
        default=None, description="These, such as those that `live` tells of.", examples=["4,9"]
    )
    key_ids: Ids | None = Field(
        default=None, description="Of any of these keys, such as those of a page.", examples=["3,12,13"]
    )
    project_ids: Ids | None = Field(default=None, description="The same of projects.", examples=["1,3"])
    per_user: bool | None = Field(
        default=None, description="False: without those that count each user by himself; true: only those."
    )

    near_end: bool = Field(
        default=False,
        description="Only those that have spent the share that they warn at; 0.8 where they warn at none.",
    )

    @property
    def budget_ids(self) -> list[int] | None:
        """Those that are wanted; None: any."""
        return None if self.ids is None else _numbers(self.ids)

    @property
    def owners(self) -> list[tuple[Scope, str, list[int]]]:
        """The scope, the name and the ids of each parameter that was given and says whose are wanted."""
        said: list[tuple[Scope, str, int | str | None]] = [
            ("key", "key_id", self.key_id),
            ("project", "project_id", self.project_id),
            ("key", "key_ids", self.key_ids),
            ("project", "project_ids", self.project_ids),
        ]
        return [(scope, name, _numbers(str(value))) for scope, name, value in said if value is not None]


class LiftInput(Schema):
    """What is added to a budget, until the end of its current window."""

    amount: str = Field(pattern=r"^[0-9]{1,19}(\.[0-9]{1,9})?$", examples=["5.00"])
    user: Word | None = Field(default=None, description="Whose part, where each user is counted.")


class ResetInput(Schema):
    """Whose spend is forgiven."""

    user: Word | None = Field(default=None, description="Whose part; null: everybody's.")


class BudgetList(Schema):
    """The budget's parts as they are now."""

    data: list[BudgetSchema]


class CountsSchema(Schema):
    """What an hour comes to."""

    requests: Count
    tokens: Count
    cost_nano: Count = Field(description="In 10⁻⁹ of the currency's unit.")

    @classmethod
    def of(cls, counts: Counts) -> Self:
        """From `budgets`."""
        return cls(requests=counts.requests, tokens=counts.tokens, cost_nano=counts.cost)


class WindowDifferenceSchema(Schema):
    """A window that does not hold what its hours come to."""

    budget_id: Id
    user: str | None
    starts_at: Time
    unit: str = Field(description="`tokens`, or the currency.")
    spent: str
    due: str = Field(description="By the hourly sums.")

    @classmethod
    def of(cls, each: WindowDifference, unit: str) -> Self:
        """From `budgets`."""
        return cls(
            budget_id=each.budget_id,
            user=each.user or None,
            starts_at=each.starts_at,
            unit=unit,
            spent=amount_text(each.spent, unit),
            due=amount_text(each.due, unit),
        )


class HourDifferenceSchema(Schema):
    """An hour whose sums are not those of its rows."""

    hour: Time
    sums: CountsSchema
    rows: CountsSchema
    can_be_repaired: bool = Field(description="By `llmgw budgets verify --repair`; false: rows were deleted.")

    @classmethod
    def of(cls, each: HourDifference) -> Self:
        """From `budgets`."""
        sums, rows = CountsSchema.of(each.sums), CountsSchema.of(each.rows)
        return cls(hour=each.hour, sums=sums, rows=rows, can_be_repaired=each.can_be_repaired)


_TOLD: Final = 100
"""Differences."""


class ReportSchema(Schema):
    """Whether budgets are the sums of the ledger's hours, and these of its rows."""

    is_right: bool
    windows: Count = Field(description="Windows that were compared.")
    hours: Count = Field(description="Hours that were compared.")
    window_differences: list[WindowDifferenceSchema] = Field(description="The first hundred.")
    hour_differences: list[HourDifferenceSchema] = Field(description="The first hundred.")
    day_differences: list[Time] = Field(
        description="When days began whose sums are not those of their hours. The first hundred."
    )

    @classmethod
    def of(cls, report: Report, units: Mapping[int, str]) -> Self:
        """From `budgets`."""
        return cls(
            is_right=report.is_right,
            windows=report.windows,
            hours=report.hours,
            window_differences=[
                WindowDifferenceSchema.of(each, units.get(each.budget_id, TOKENS))
                for each in report.window_differences[:_TOLD]
            ],
            hour_differences=[HourDifferenceSchema.of(each) for each in report.hour_differences[:_TOLD]],
            day_differences=report.day_differences[:_TOLD],
        )


BUDGET: Final = {
    "id": 4,
    "scope": "key",
    "scope_id": 12,
    "name": "batch",
    "model": None,
    "per_user": False,
    "user": None,
    "unit": "CNY",
    "period": "day",
    "starts_at": "2026-11-25T16:00:00Z",
    "ends_at": "2026-11-26T16:00:00Z",
    "amount": "10.00",
    "lifted": "0.00",
    "spent": "8.3145",
    "forgiven": "0.00",
    "left": "1.6855",
    "warn_at": 0.8,
    "warned_at": "2026-11-26T07:12:00Z",
    "exhausted_at": None,
}
REPORT: Final = {
    "is_right": True,
    "windows": 12,
    "hours": 720,
    "window_differences": [],
    "hour_differences": [],
    "day_differences": [],
}
