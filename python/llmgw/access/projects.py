"""How projects are made and changed in the database. As `keys` does, in everything.

A `reference` is a project's name or id.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Final, TypedDict, Unpack

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session

from llmgw.access.checks import Known, is_text, project_name_faults
from llmgw.access.documents import difference, project_document
from llmgw.access.load import load
from llmgw.access.project import DEFAULT_PROJECT_ID, Project
from llmgw.access.refusals import BadValueError, NameTakenError, NotFoundError, StateError
from llmgw.access.settings import (
    BudgetSetting,
    LimitChange,
    budget_faults,
    change_limits,
    limit_faults,
    set_budgets,
)
from llmgw.store import ApiKey, Store, record
from llmgw.store import Project as ProjectRow

MAX_ID_DIGITS: Final = 18
"""Digits of an id: of a number that SQLite takes."""
_ANY: Final = Known()


class ProjectFields(TypedDict, total=False):
    """What can be said of a project. What is left out of a change stays as it is."""

    name: str
    limits: Sequence[LimitChange]
    """Of all its keys together. Those that are named are set, the others stay."""
    budgets: Sequence[BudgetSetting]
    """All of them: those that are not among these are removed."""


def create_project(
    store: Store, *, actor: str, known: Known = _ANY, **fields: Unpack[ProjectFields]
) -> Project:
    """Make a project. It needs a name that no other has."""
    fields = {"name": "", **fields}
    _check(fields, known)
    with store.write() as session:
        _check_free(session, fields["name"])
        row = ProjectRow(name=fields["name"], created_at=datetime.now(UTC), blocked_at=None)
        session.add(row)
        session.flush()
        _set_rules(session, row, fields, known)
        project = _project(session, row.id)
        after, target = project_document(project), f"project {project.id}"
        record(session, actor=actor, action="project.create", target=target, before=None, after=after)
        return project


def list_projects(store: Store) -> list[Project]:
    """All projects, oldest first."""
    with store.read() as session:
        return list(load(session, false()).projects.values())


def count_keys(store: Store, project_ids: Collection[int]) -> dict[int, int]:
    """How many keys these projects have that are not revoked; projects without any are left out."""
    query = select(ApiKey.project_id, func.count()).where(
        ApiKey.project_id.in_(project_ids), ApiKey.revoked_at.is_(None)
    )
    with store.read() as session:
        return dict(session.execute(query.group_by(ApiKey.project_id)).all())


def get_project(store: Store, reference: str) -> Project:
    """One project."""
    with store.read() as session:
        return _project(session, find_project(session, reference).id)


def update_project(
    store: Store, reference: str, *, actor: str, known: Known = _ANY, **fields: Unpack[ProjectFields]
) -> Project:
    """Change what is named."""
    _check(fields, known)

    def change(session: Session, row: ProjectRow) -> None:
        name = fields.get("name", row.name)
        if name != row.name:
            if row.id == DEFAULT_PROJECT_ID:
                message = "the project 'default' keeps its name: keys belong to it if no other is named"
                raise StateError(message, param="name")
            _check_free(session, name)
            row.name = name
        _set_rules(session, row, fields, known)

    return _change(store, reference, change, actor=actor, action="project.update")


def block_project(store: Store, reference: str, *, actor: str) -> Project:
    """Let none of its keys be accepted, admins' keys included, until it is unblocked."""

    def change(_: Session, row: ProjectRow) -> None:
        row.blocked_at = row.blocked_at or datetime.now(UTC)

    return _change(store, reference, change, actor=actor, action="project.block")


def unblock_project(store: Store, reference: str, *, actor: str) -> Project:
    """Let its keys be accepted again, except those that are blocked themselves."""

    def change(_: Session, row: ProjectRow) -> None:
        row.blocked_at = None

    return _change(store, reference, change, actor=actor, action="project.unblock")


def find_project(session: Session, reference: str) -> ProjectRow:
    """The row of one project. Raises NotFoundError. No name is a number, so at most one matches."""
    matches: list[ColumnElement[bool]] = [false()]
    if is_text(reference):
        matches.append(ProjectRow.name == reference)
    if reference.isascii() and reference.isdigit() and len(reference) <= MAX_ID_DIGITS:
        matches.append(ProjectRow.id == int(reference))
    row = session.scalars(select(ProjectRow).where(or_(*matches))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no project {reference!r}", param="project")
    return row


def _change(
    store: Store,
    reference: str,
    change: Callable[[Session, ProjectRow], None],
    *,
    actor: str,
    action: str,
) -> Project:
    with store.write() as session:
        row = find_project(session, reference)
        before = project_document(_project(session, row.id))
        change(session, row)
        session.flush()
        after = _project(session, row.id)
        old, new = difference(before, project_document(after))
        if new:
            record(session, actor=actor, action=action, target=f"project {row.id}", before=old, after=new)
        return after


def _project(session: Session, project_id: int) -> Project:
    return load(session, false()).projects[project_id]


def _check(fields: ProjectFields, known: Known) -> None:
    faults = project_name_faults(fields["name"]) if "name" in fields else []
    faults += limit_faults(fields.get("limits", ()), known)
    faults += budget_faults(fields.get("budgets", ()), known)
    if faults:
        raise BadValueError(faults)


def _check_free(session: Session, name: str) -> None:
    if session.scalars(select(ProjectRow.id).where(ProjectRow.name == name)).one_or_none() is not None:
        raise NameTakenError(f"there is a project {name!r} already", param="name")


def _set_rules(session: Session, row: ProjectRow, fields: ProjectFields, known: Known) -> None:
    change_limits(session, "project", row.id, fields.get("limits", ()))
    if "budgets" in fields:
        set_budgets(session, "project", row.id, fields["budgets"], known.zone)
