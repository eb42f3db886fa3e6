"""What the admin API is given by the processes that serve: a way to reload, and to the workers' health."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from llmgw._core import LimitTable
from llmgw.access.keyring import KeyRing
from llmgw.admin.context import Context, GatewayFacts, WorkerFacts
from llmgw.admin.health import ask_workers
from llmgw.admin.standing import Standings
from llmgw.config import Config
from llmgw.serving.asking import ask_to_reload
from llmgw.serving.run_folder import RunFolder
from llmgw.store import Store

GATEWAY_URL_ENV: Final = "LLMGW_GATEWAY_URL"
"""Tells a process of the gateway where its workers listen. Set by the parent process."""


def admin_context(
    store: Store, keyring: KeyRing, config: Callable[[], Config], table: LimitTable | None = None
) -> Context:
    """For a worker or the admin process. `table`: the worker's. Raises KeyError in others."""
    # Imported here, because prometheus_client reads its environment at the import. The parent, which imports
    # this module, sets that later.
    from llmgw.admin.lookout import Lookout
    from llmgw.admin.shelf import Shelf

    folder, url = RunFolder.of_worker(), os.environ[GATEWAY_URL_ENV]
    shelf = Shelf(folder.path) if config().admin.port is None else None
    lookout = Lookout(url, lambda: gateway_facts(folder), config, shelf)
    return Context(
        store=store,
        keyring=keyring,
        config=config,
        reload=lambda: ask_to_reload(folder, config().source),
        health=lambda: ask_workers(url, folder.workers()),
        gateway=lambda: gateway_facts(folder),
        live=lookout.look,
        standings=Standings(config, table),
    )


def gateway_facts(folder: RunFolder) -> GatewayFacts:
    """What the folder of a serving process tells. Blocking. Raises OSError, ValueError."""
    workers = []
    for pid in folder.workers():
        state = folder.worker_state(pid)
        known = (None, None) if state is None else (state.generation, state.problem)
        workers.append(WorkerFacts(pid, *known))
    return GatewayFacts(folder.path.name, datetime.fromtimestamp(folder.created_s, UTC), workers)
