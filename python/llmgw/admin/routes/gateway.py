"""`/admin/v1/system`."""

import platform
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from llmgw.admin.routes.common import Ctx, told
from llmgw.admin.schemas.gateway import (
    SYSTEM,
    AdminFacts,
    ConfigFacts,
    DatabaseFacts,
    JournalFacts,
    RedisFacts,
    SystemSchema,
    WorkerSchema,
)
from llmgw.config import Config
from llmgw.config.version import version
from llmgw.errors import ApiError
from llmgw.store import Store
from llmgw.store.facts import kind_of, shown_url, store_facts

router: Final = APIRouter(tags=["system"])


@router.get(
    "/admin/v1/system",
    **told(
        "Show the system",
        SYSTEM,
        description="Versions, processes, and where things are kept. Nothing is counted: it is always quick.",
    ),
)
def show_system(context: Ctx) -> SystemSchema:
    config = context.config()
    try:
        facts = context.gateway()
    except (OSError, ValueError) as error:
        message = "The gateway's own folder can't be read: it may be stopping."
        raise ApiError("overloaded", message, retry_after_s=1.0) from error
    cache = config.cache.url is not None
    return SystemSchema(
        version=version(),
        python=platform.python_version(),
        platform=platform.platform(),
        started_at=facts.started_at,
        generation=max((each.generation for each in facts.workers if each.generation), default=None),
        workers=[WorkerSchema(**each._asdict()) for each in facts.workers],
        admin=AdminFacts(own_listener=config.admin.port is not None, capture=config.admin.capture),
        config=ConfigFacts(
            source=str(config.source), changed_at=datetime.fromtimestamp(config.created_s, UTC)
        ),
        database=_database(config, context.store),
        redis=RedisFacts(cache=cache, limits=cache and config.limits.machines > 1),
        journal=JournalFacts(folder=str(config.journal_folder) if config.ledger.journal_max_bytes else None),
        timezone=config.prices.timezone,
        currencies=list(dict.fromkeys([config.prices.currency, *sorted(config.prices.exchange)])),
    )


def _database(config: Config, store: Store) -> DatabaseFacts:
    try:
        facts = store_facts(store)
    except SQLAlchemyError:
        facts = None
    return DatabaseFacts(
        kind=kind_of(config.store.url),
        url=shown_url(config.store.url),
        reachable=facts is not None,
        size_bytes=None if facts is None else facts.size_bytes,
        ledger_rows_estimate=None if facts is None else facts.ledger_rows,
    )
