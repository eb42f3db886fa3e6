"""`keys` and `projects`, with the limits and budgets that are set for them."""

from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import Field, StrictBool, StrictInt, StringConstraints, ValidationInfo, field_validator

from llmgw.access.amounts import parse_amount
from llmgw.access.documents import budget_document, key_document, limits_document, project_document
from llmgw.access.key import Key
from llmgw.access.keys import MAX_GRACE, KeyFields
from llmgw.access.project import Project
from llmgw.access.projects import ProjectFields
from llmgw.access.settings import LIMIT_NAMES, MAX_RULES, BudgetSetting, LimitChange
from llmgw.admin.schemas.base import Count, Id, Page, PageQuery, Schema, Text, Time, fault
from llmgw.config import LimitsConfig
from llmgw.config.tables import MAX_PER_MINUTE
from llmgw.limits.rules import LimitRule

_PERMILLE: Final = 1000
_DAY_S: Final = 86_400

Limit = Annotated[StrictInt, Field(ge=1, le=MAX_PER_MINUTE)]
Period = Literal["day", "week", "month", "total"]
Word = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]
State = Literal["active", "revoked", "blocked", "project_blocked", "expired"]
Kind = Literal["model", "admin", "admin_read"]
LimitScope = Literal["default", "model", "project", "key", "upstream"]


class Limits(Schema):
    """Limits. In a change, what is left out stays, and null takes a limit away."""

    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrent_requests: Limit | None = None

    def change(self, model: str | None = None, *, per_user: bool = False) -> LimitChange:
        """What is said here, and nothing of the rest."""
        named = {name: getattr(self, name) for name in LIMIT_NAMES if name in self.model_fields_set}
        return LimitChange(named, model, per_user)


class LimitsBy(Limits):
    """Limits of one model, or for each user behind the key, one by one, or both."""

    model: Word | None = Field(default=None, description="Null: of all models together.")
    per_user: StrictBool = False


class BudgetInput(Schema):
    """So much money, or so many tokens, in each period."""

    unit: Word = Field(description="`tokens`, or the configured currency.", examples=["CNY"])
    amount: str = Field(
        pattern=r"^[0-9]{1,19}(\.[0-9]{1,9})?$",
        description="An exact decimal number of the unit.",
        examples=["10.00"],
    )
    period: Period = Field(description="Weeks begin on Monday; in the configured time zone.")
    model: Word | None = Field(default=None, description="Of this model only.")
    per_user: StrictBool = False
    warn_at: float | None = Field(
        default=None, ge=0.001, le=1, strict=True, allow_inf_nan=False, description="A share of the amount."
    )

    @field_validator("amount")
    @classmethod
    def _check_amount(cls, amount: str, info: ValidationInfo) -> str:
        try:
            parse_amount(amount, info.data.get("unit", ""))
        except ValueError as error:
            raise fault(str(error)) from None
        return amount

    @field_validator("warn_at")
    @classmethod
    def _check_warn_at(cls, share: float | None) -> float | None:
        if share is not None and round(share * _PERMILLE) / _PERMILLE != share:
            raise fault("must have at most 3 decimals")
        return share

    def setting(self) -> BudgetSetting:
        """As `access` takes it."""
        permille = None if self.warn_at is None else round(self.warn_at * _PERMILLE)
        amount = parse_amount(self.amount, self.unit)
        return BudgetSetting(amount, self.unit, self.period, self.model, self.per_user, permille)


class _Rules(Schema):
    limits: Limits = Field(default=Limits(), description="Of all models and users together.")
    limits_by: list[LimitsBy] = Field(default=[], max_length=MAX_RULES)
    budgets: list[BudgetInput] = Field(
        default=[],
        max_length=MAX_RULES,
        description="All of them: in a change, one that counts the same keeps what was spent, others go.",
    )

    def rules(self) -> dict[str, Any]:
        """Limits and budgets, as far as they are said, as `access` takes them."""
        limits_by = (each.change(each.model, per_user=each.per_user) for each in self.limits_by)
        changes = [self.limits.change(), *limits_by]
        said: dict[str, Any] = {"limits": [change for change in changes if change.changes]}
        if "budgets" in self.model_fields_set:
            said["budgets"] = [budget.setting() for budget in self.budgets]
        return said


class KeyInput(_Rules):
    """What can be said of a key."""

    project: Word = Field(default="default", description="Its name or id.")
    models: list[Word] | None = Field(default=None, max_length=1000, description="Null: it may use all.")
    expires_at: Time | None = None
    owner: Text | None = Field(default=None, description="Who answers for it.")
    trusts_user_header: StrictBool = Field(
        default=False, description="Its clients may name the user behind a request in a header."
    )

    def fields(self) -> KeyFields:
        """As far as they are said, as `access` takes them."""
        own = ("name", "kind", "project", "models", "expires_at", "owner", "trusts_user_header")
        said = {name: getattr(self, name) for name in own if name in self.model_fields_set}
        return cast("KeyFields", said | self.rules())


class KeyCreate(KeyInput):
    """A new key."""

    name: Text = Field(description="Who or what it is for.")
    kind: Kind = Field(default="model", description="Admin keys call no model; `admin_read` only looks.")


class KeyChange(KeyInput):
    """What shall be changed. What is left out stays."""

    name: Text = ""
    kind: Literal["admin", "admin_read"] = Field(default="admin", description="Of admin keys only.")


class BudgetBrief(Schema):
    """A budget without its spend, which `budgets` has."""

    id: Id
    amount: str
    unit: str
    period: Period
    model: str | None
    per_user: bool
    warn_at: float | None


class LimitsShown(Schema):
    """Limits; null: none of that kind."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


class LimitsByShown(LimitsShown):
    """The same for one model, or for each user."""

    model: str | None
    per_user: bool


class KeySchema(Schema):
    """A key. Its secret is shown once, when it is made or rotated."""

    id: Id
    name: str
    prefix: str = Field(description="The first characters of its secret.")
    kind: Kind
    state: State = Field(description="`active`, or why it is not accepted.")
    project: str
    project_id: Id
    owner: str | None
    models: list[str] | None
    trusts_user_header: bool
    limits: LimitsShown = Field(description="Its own; those of the project and the defaults hold too.")
    limits_by: list[LimitsByShown]
    budgets: list[BudgetBrief]
    created_at: Time
    expires_at: Time | None
    blocked_at: Time | None
    revoked_at: Time | None
    rotated_at: Time | None
    previous_expires_at: Time | None = Field(
        description="Until when the secret before the last rotation is accepted."
    )

    @classmethod
    def of(cls, key: Key, **more: str) -> Self:
        """As the audit and the command line have it."""
        return cls.model_validate({**key_document(key), "state": key.state, **more})


class NewKeySchema(KeySchema):
    """A key with its new secret, which is not shown again."""

    secret: str = Field(description="Keep it now.")


class KeyDetail(KeySchema):
    """A key, with what binds it besides its own limits and budgets."""

    inherited_limits: list["LimitEntry"] = Field(
        description="The project's, and those defaults that the key has none of its own for."
    )
    inherited_budgets: list[BudgetBrief] = Field(description="The project's.")

    @classmethod
    def with_inherited(cls, key: Key, defaults: LimitsConfig) -> Self:
        """`defaults`: of each key, by the config."""
        limits = [LimitEntry.of(rule) for rule in key.limits if rule.scope == "project"]
        own = limits_document(key.own_limits)
        binding = {name: getattr(defaults, name) if own[name] is None else None for name in LIMIT_NAMES}
        if key.kind == "model" and any(value is not None for value in binding.values()):
            whose = LimitEntry(
                scope="default", scope_id=None, name=None, model=None, per_user=False, **binding
            )
            limits.append(whose)
        budgets = [budget_document(budget) for budget in key.budgets if budget.scope == "project"]
        return cls.model_validate(
            {
                **key_document(key),
                "state": key.state,
                "inherited_limits": limits,
                "inherited_budgets": budgets,
            }
        )


class KeyPage(Page[KeySchema]):
    """Keys, oldest first, revoked ones too."""


class KeyQuery(PageQuery):
    """Which keys are wanted."""

    project: Word | None = Field(default=None, description="Its name or id.")
    state: State | None = None
    kind: Kind | None = None
    name: Word | None = Field(default=None, description="Those whose name, owner or prefix has this in it.")


class RotateInput(Schema):
    """How a key is rotated."""

    grace_s: StrictInt = Field(
        default=_DAY_S,
        ge=0,
        le=int(MAX_GRACE.total_seconds()),
        description="So long the old secret is accepted too; 0 where it has leaked.",
    )


class ProjectCreate(_Rules):
    """A new project."""

    name: Word

    def fields(self) -> ProjectFields:
        """As far as they are said, as `access` takes them."""
        said = {"name": self.name} if "name" in self.model_fields_set else {}
        return cast("ProjectFields", said | self.rules())


class ProjectChange(ProjectCreate):
    """What shall be changed. What is left out stays."""

    name: Word = "default"


class ProjectSchema(Schema):
    """A team or an application. Its limits and budgets hold for all its keys together."""

    id: Id
    name: str
    limits: LimitsShown
    limits_by: list[LimitsByShown]
    budgets: list[BudgetBrief]
    keys: Count = Field(description="How many it has that are not revoked.")
    created_at: Time
    blocked_at: Time | None

    @classmethod
    def of(cls, project: Project, keys: int) -> Self:
        """As the audit and the command line have it, with the number of its keys."""
        return cls.model_validate({**project_document(project), "keys": keys})


class ProjectPage(Page[ProjectSchema]):
    """Projects, oldest first."""


class LimitEntry(LimitsByShown):
    """Limits and whom they bind."""

    scope: LimitScope = Field(description="`default`: each key that has none of its own of that kind.")
    scope_id: int | None = Field(description="The project's or key's.")
    name: str | None = Field(description="The model's, project's, key's or upstream's.")

    @classmethod
    def of(cls, rule: LimitRule) -> Self:
        """A project's or key's."""
        return cls(
            scope=rule.scope,
            scope_id=rule.scope_id,
            name=rule.name,
            model=rule.model,
            per_user=rule.per_user,
            **rule.limits._asdict(),
        )


class LimitPage(Page[LimitEntry]):
    """All limits: of the config, then of projects, then of keys that are not revoked."""
