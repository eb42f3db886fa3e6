"""`/admin/v1/projects` and `/admin/v1/limits`."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query

from llmgw.access.checks import Known
from llmgw.access.keys import list_keys
from llmgw.access.project import Project
from llmgw.access.projects import (
    block_project,
    count_keys,
    create_project,
    get_project,
    list_projects,
    unblock_project,
    update_project,
)
from llmgw.access.settings import LIMIT_NAMES
from llmgw.admin.context import Context
from llmgw.admin.routes.common import Actor, Ctx, example_body, example_page, page_after, slice_of, told
from llmgw.admin.schemas.base import MAX_ID
from llmgw.admin.schemas.key_examples import LIMIT_ENTRY, PROJECT, PROJECT_CREATE
from llmgw.admin.schemas.keys import (
    LimitEntry,
    LimitPage,
    LimitScope,
    ProjectChange,
    ProjectCreate,
    ProjectPage,
    ProjectSchema,
)
from llmgw.admin.schemas.standing import PROJECT_STANDING, StandingSchema
from llmgw.admin.schemas.system import ListQuery
from llmgw.config import Config

router: Final = APIRouter(tags=["projects"])
ProjectId = Annotated[int, Path(ge=1, le=MAX_ID, description="The project's id.")]
_ERRORS: Final = ("unknown_project", "conflict")


@router.get("/admin/v1/projects", **told("List projects", example_page(PROJECT)))
def list_all(context: Ctx, query: Annotated[ListQuery, Query()]) -> ProjectPage:
    projects, cursor = page_after(list_projects(context.store), "projects", query.cursor, query.limit)
    return ProjectPage(data=_told(context, projects), next_cursor=cursor)


def _told(context: Context, projects: Sequence[Project]) -> list[ProjectSchema]:
    counts = count_keys(context.store, [project.id for project in projects])
    return [ProjectSchema.of(project, counts.get(project.id, 0)) for project in projects]


def _told_one(context: Context, project: Project) -> ProjectSchema:
    [told] = _told(context, [project])
    return told


@router.post("/admin/v1/projects", **told("Create a project", PROJECT, status=201, errors=["conflict"]))
def create(
    context: Ctx,
    actor: Actor,
    wanted: Annotated[ProjectCreate, Body(openapi_examples=example_body(PROJECT_CREATE))],
) -> ProjectSchema:
    known = Known.of(context.config())
    return _told_one(context, create_project(context.store, actor=actor, known=known, **wanted.fields()))


@router.get("/admin/v1/projects/{project_id}", **told("Get a project", PROJECT, errors=["unknown_project"]))
def get_one(context: Ctx, project_id: ProjectId) -> ProjectSchema:
    return _told_one(context, get_project(context.store, str(project_id)))


@router.get(
    "/admin/v1/projects/{project_id}/standing",
    **told(
        "Show what is left of a project's limits",
        PROJECT_STANDING,
        errors=["unknown_project"],
        description="Of those of all its keys together.",
    ),
)
def get_standing(context: Ctx, project_id: ProjectId) -> StandingSchema:
    return StandingSchema.of(context.standings.of_project(get_project(context.store, str(project_id))))


@router.patch(
    "/admin/v1/projects/{project_id}",
    **told("Change a project", PROJECT, errors=_ERRORS, description="What is left out stays as it is."),
)
def change(
    context: Ctx,
    actor: Actor,
    project_id: ProjectId,
    wanted: Annotated[
        ProjectChange, Body(openapi_examples=example_body({"limits": {"requests_per_minute": 600}}))
    ],
) -> ProjectSchema:
    known, reference = Known.of(context.config()), str(project_id)
    project = update_project(context.store, reference, actor=actor, known=known, **wanted.fields())
    return _told_one(context, project)


@router.post(
    "/admin/v1/projects/{project_id}/block",
    **told(
        "Block a project",
        {**PROJECT, "blocked_at": "2026-11-26T09:00:00Z"},
        errors=_ERRORS,
        description="None of its keys is accepted, those of admins included, until it is unblocked.",
    ),
)
def block(context: Ctx, actor: Actor, project_id: ProjectId) -> ProjectSchema:
    return _told_one(context, block_project(context.store, str(project_id), actor=actor))


@router.post("/admin/v1/projects/{project_id}/unblock", **told("Unblock a project", PROJECT, errors=_ERRORS))
def unblock(context: Ctx, actor: Actor, project_id: ProjectId) -> ProjectSchema:
    return _told_one(context, unblock_project(context.store, str(project_id), actor=actor))


@router.get("/admin/v1/limits", **told("List limits", example_page(LIMIT_ENTRY)))
def list_limits(context: Ctx, query: Annotated[ListQuery, Query()]) -> LimitPage:
    projects = (rule for project in list_projects(context.store) for rule in project.limits)
    keys = (rule for key in list_keys(context.store) if key.revoked_at is None for rule in key.own_limits)
    entries = [*_of_config(context.config()), *map(LimitEntry.of, projects), *map(LimitEntry.of, keys)]
    data, cursor = slice_of(entries, "limits", query.cursor, query.limit)
    return LimitPage(data=data, next_cursor=cursor)


def _of_config(config: Config) -> Iterator[LimitEntry]:
    tables: list[tuple[LimitScope, str | None, object]] = [("default", None, config.limits)]
    tables += [("model", model.id, model) for model in config.models]
    tables += [("upstream", name, table) for name, table in config.upstreams.items()]
    for scope, name, table in tables:
        limits = {each: getattr(table, each, None) for each in LIMIT_NAMES}
        if any(limit is not None for limit in limits.values()):
            model = name if scope == "model" else None
            yield LimitEntry(scope=scope, scope_id=None, name=name, model=model, per_user=False, **limits)
