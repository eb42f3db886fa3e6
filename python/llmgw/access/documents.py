"""Keys and projects as JSON values: for the audit, `--json`, and whoever else wants all of one.

They hold no secret and no digest.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from llmgw.access.key import Key
from llmgw.access.project import Project
from llmgw.access.settings import LIMIT_NAMES
from llmgw.budgets.budget import Budget
from llmgw.budgets.money import amount_text
from llmgw.budgets.store import BudgetState
from llmgw.budgets.windows import END
from llmgw.limits.rules import LimitRule

Document = dict[str, object]


def key_document(key: Key) -> Document:
    """A key; its limits and budgets without its project's."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "kind": key.kind,
        "project": key.project,
        "project_id": key.project_id,
        "owner": key.owner,
        "models": None if key.models is None else sorted(key.models),
        "trusts_user_header": key.trusts_user_header,
        "limits": limits_document(key.own_limits),
        "limits_by": limits_by_document(key.own_limits),
        "budgets": [budget_document(budget) for budget in key.own_budgets],
        "created_at": time_text(key.created_at),
        "expires_at": time_text(key.expires_at),
        "blocked_at": time_text(key.blocked_at),
        "revoked_at": time_text(key.revoked_at),
        "rotated_at": time_text(key.rotated_at),
        "previous_expires_at": time_text(key.previous_expires_at),
    }


def inherited_document(key: Key) -> Document:
    """The limits and budgets of the key's project, which bind it too."""
    return {
        "limits": limits_document(key.project_limits),
        "limits_by": limits_by_document(key.project_limits),
        "budgets": [budget_document(budget) for budget in key.project_budgets],
    }


def project_document(project: Project) -> Document:
    """A project, without its keys."""
    return {
        "id": project.id,
        "name": project.name,
        "limits": limits_document(project.limits),
        "limits_by": limits_by_document(project.limits),
        "budgets": [budget_document(budget) for budget in project.budgets],
        "created_at": time_text(project.created_at),
        "blocked_at": time_text(project.blocked_at),
    }


def limits_document(rules: Iterable[LimitRule]) -> dict[str, int | None]:
    """Those for all models and all users together."""
    for rule in rules:
        if rule.model is None and not rule.per_user:
            return rule.limits._asdict()
    return dict.fromkeys(LIMIT_NAMES)


def limits_by_document(rules: Iterable[LimitRule]) -> list[Document]:
    """Those of single models, and for each user."""
    return [
        {"model": rule.model, "per_user": rule.per_user, **rule.limits._asdict()}
        for rule in sorted(rules, key=lambda rule: (rule.model or "", rule.per_user))
        if rule.model is not None or rule.per_user
    ]


def budget_document(budget: Budget) -> Document:
    """A budget. Its amount is text, so that no reader makes a float of it."""
    return {
        "id": budget.id,
        "amount": amount_text(budget.amount, budget.unit),
        "unit": budget.unit,
        "period": budget.period,
        "model": budget.model,
        "per_user": budget.per_user,
        "warn_at": None if budget.warn_at_permille is None else budget.warn_at_permille / 1000,
    }


def budget_state_document(state: BudgetState) -> Document:
    """A budget in its current window, or one user's part of it."""
    amounts = {
        "amount": state.amount,
        "lifted": state.lifted,
        "spent": state.counted,
        "forgiven": state.forgiven,
        "left": state.left,
    }
    return {
        "id": state.id,
        "scope": state.scope,
        "scope_id": state.scope_id,
        "name": state.name,
        "model": state.model,
        "per_user": state.per_user,
        "user": state.user or None,
        "unit": state.unit,
        "period": state.period,
        "starts_at": time_text(state.window.starts_at),
        "ends_at": None if state.window.ends_at == END else time_text(state.window.ends_at),
        **{name: amount_text(amount, state.unit) for name, amount in amounts.items()},
        "warn_at": None if state.warn_at_permille is None else state.warn_at_permille / 1000,
        "warned_at": time_text(state.warned_at),
        "exhausted_at": time_text(state.exhausted_at),
    }


def time_text(time: datetime | None) -> str | None:
    """RFC 3339, in UTC, to the second."""
    return None if time is None else time.isoformat(timespec="seconds").replace("+00:00", "Z")


def difference(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[Document, Document]:
    """The members that differ, before and after."""
    changed = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in changed}, {name: after[name] for name in changed}
