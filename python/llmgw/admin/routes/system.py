"""`/admin/v1/models`, `/upstreams`, `/config` and `/reload`."""

import asyncio
import threading
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from llmgw.admin.faults import refusal
from llmgw.admin.models import HealthBook, model_of, upstreams_of
from llmgw.admin.routes.common import Actor, Ctx, example_page, slice_of, told
from llmgw.admin.schemas.system import (
    CHECK,
    MODEL,
    UPSTREAM,
    CheckQuery,
    CheckSchema,
    ConfigFault,
    ConfigSchema,
    ListQuery,
    ModelPage,
    ProbeSchema,
    ReloadSchema,
    UpstreamPage,
)
from llmgw.config import Config, ConfigError, load_config, restart_faults
from llmgw.config.shown import shown
from llmgw.errors import ApiError, CommandError, InputFault
from llmgw.routing.probe import probe_all
from llmgw.store.audit import record

router: Final = APIRouter(tags=["system"])
_PROBING: Final = threading.Lock()
_PROBE_TIMEOUT_S: Final = 10.0


@router.get("/admin/v1/models", **told("List models", example_page(MODEL)))
def list_models(context: Ctx, query: Annotated[ListQuery, Query()]) -> ModelPage:
    config = context.config()
    models, cursor = slice_of(config.models, "models", query.cursor, query.limit)
    book = HealthBook(context.health())
    return ModelPage(data=[model_of(model, book, config.prices) for model in models], next_cursor=cursor)


@router.get(
    "/admin/v1/upstreams",
    **told(
        "List upstreams",
        example_page(UPSTREAM, workers=[4711]),
        description=(
            "Health is what each worker knows. It is asked for at the gateway's own address, where the "
            "kernel chooses the worker; `workers` says which answered. Latency is that of the last 24 hours."
        ),
    ),
)
def list_upstreams(context: Ctx, query: Annotated[ListQuery, Query()]) -> UpstreamPage:
    config = context.config()
    names, cursor = slice_of(list(config.upstreams), "upstreams", query.cursor, query.limit)
    book = HealthBook(context.health())
    data = upstreams_of(config, book, context.store, names)
    return UpstreamPage(data=data, next_cursor=cursor, workers=book.workers)


_CONFIG_EXAMPLE: Final = {
    "source": "/etc/llmgw.toml",
    "changed_at": "2026-11-26T08:00:00Z",
    "config": {
        "upstreams": {"glm": {"base_url": "https://open.bigmodel.cn/api/paas/v4", "api_key": "**********"}}
    },
}


@router.get("/admin/v1/config", **told("Show the config in force", _CONFIG_EXAMPLE))
def show_config(context: Ctx) -> ConfigSchema:
    config = context.config()
    changed_at = datetime.fromtimestamp(config.created_s, UTC)
    return ConfigSchema(source=str(config.source), changed_at=changed_at, config=shown(config))


@router.post(
    "/admin/v1/reload",
    **told(
        "Take the changed config over",
        {"generation": 2, "workers": [4711, 4712], "problems": []},
        errors=["config_refused"],
        description="As `llmgw reload`: the file is read again, and it is in force, or nothing changes.",
    ),
)
def reload(context: Ctx, actor: Actor) -> ReloadSchema:
    try:
        done = context.reload()
    except CommandError as error:
        raise ApiError("overloaded", f"{error}.", retry_after_s=1.0) from error
    if done.faults:
        faults = [InputFault(fault.path or None, f"{fault.problem}; {fault.remedy}") for fault in done.faults]
        raise refusal(faults, code="config_refused")
    with context.store.write() as session:
        after = {"generation": done.generation}
        record(session, actor=actor, action="config.reload", target="config", before=None, after=after)
    return ReloadSchema(generation=done.generation, workers=list(done.workers), problems=list(done.problems))


@router.get(
    "/admin/v1/check",
    **told(
        "Check the config file",
        CHECK,
        description="Reads the file as a reload would, and changes nothing. Probes take some seconds.",
    ),
)
def check(context: Ctx, query: Annotated[CheckQuery, Query()]) -> CheckSchema:
    running = context.config()
    try:
        config = load_config(running.source)
    except ConfigError as error:
        return CheckSchema(
            source=str(error.source),
            ok=False,
            faults=[ConfigFault(**fault._asdict()) for fault in error.faults],
            needs_restart=[],
            upstreams=None,
        )
    restarts = [ConfigFault(**fault._asdict()) for fault in restart_faults(running, config)]
    probes = _probes(config) if query.probe else None
    failed = any(probe.level == "fault" for probe in probes or ())
    return CheckSchema(
        source=str(config.source),
        ok=not restarts and not failed,
        faults=[],
        needs_restart=restarts,
        upstreams=probes,
    )


def _probes(config: Config) -> list[ProbeSchema]:
    if not _PROBING.acquire(blocking=False):
        message = "The upstreams are being probed already. Try again later."
        raise ApiError("overloaded", message, retry_after_s=_PROBE_TIMEOUT_S)
    try:
        found = asyncio.run(
            probe_all(config, timeout_s=_PROBE_TIMEOUT_S, compare_list=True, told=lambda _: None)
        )
    finally:
        _PROBING.release()
    return [
        ProbeSchema(
            upstream=each.upstream,
            account=each.account,
            url=each.url,
            status=each.status,
            elapsed_s=round(each.elapsed_s, 3),
            level=each.verdict.level,
            text=each.verdict.text,
        )
        for each in found
    ]
