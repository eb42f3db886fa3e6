"""What one worker process has: config, models, keys, ledger, metrics."""

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from llmgw._core import LimitTable, Seal
from llmgw.access.keyring import KeyRing
from llmgw.asgi.client import Clients
from llmgw.asgi.cors import Cors
from llmgw.asgi.request import Fields
from llmgw.asgi.responder import Responder
from llmgw.budgets.alerts import Alerts, Observer
from llmgw.config import Config
from llmgw.config.redis_url import RedisUrl
from llmgw.ledger.journal import Journal
from llmgw.ledger.prune import Pruner
from llmgw.ledger.writer import Ledger
from llmgw.limits.admission import Admission
from llmgw.limits.files import possible_requests
from llmgw.limits.governor import Governor
from llmgw.limits.redis import RedisLimits
from llmgw.limits.table import open_table
from llmgw.observe.captures import Captures, Capturing
from llmgw.observe.logs import hide
from llmgw.observe.metrics import Metrics
from llmgw.observe.page import MetricsPage
from llmgw.observe.tracing.settings import decide
from llmgw.observe.tracing.tracer import Tracer
from llmgw.prices.book import PriceBook
from llmgw.reasoning.responses import open_responses
from llmgw.reasoning.turns import Reasoning, open_cache
from llmgw.redis import connect
from llmgw.routing.catalog import Catalog
from llmgw.routing.health import Health
from llmgw.routing.retries import RetryBudget
from llmgw.routing.router import Router
from llmgw.store import Store, StoreError, store_at
from llmgw.store.facts import secrets_of

if TYPE_CHECKING:
    from llmgw._core import Exchange
    from llmgw.access.key import Key
    from llmgw.budgets.spend import Spent
    from llmgw.limits.places import Waiter

logger = logging.getLogger(__name__)

LAST_WORD_S: Final = 1.0
"""Time for a slow client to read its error frame at the end of a drain."""
_FINISH_INTERVAL_S: Final = 0.01


class Gateway:
    """The parts that every request uses. Create it in the process that serves, after any fork."""

    def __init__(self, config: Config, store: Store, limit_table: LimitTable | None = None) -> None:
        """Blocking: reads the keys. Raises ValueError (see `Router`).

        `limit_table`: shared with the other workers; None: limits are counted by this worker alone.
        """
        self.config = config
        hide_secrets(config)
        self.store = store
        self.metrics = Metrics(model.id for model in config.models)
        self.metrics_page = MetricsPage(self.metrics)
        table = LimitTable.in_memory() if limit_table is None else limit_table
        self.router = Router(config, observe=self.metrics.cooling, limit_table=table)
        self.router.take_effect()
        self.retry_budget = _retry_budget(config)
        self.catalog = _catalog(config, self.router)
        self.admission = Admission(
            max_requests=possible_requests(config.server),
            max_bytes=config.server.max_in_flight_bytes,
            on_shed=self.metrics.shed,
        )
        self.clients = Clients()
        self.cors = Cors(config.server.cors_origins)
        self.redis = None if config.cache.url is None else connect(config.cache.url.get_secret_value())
        """By which all that is in Redis is asked."""
        self.reasoning = Reasoning(open_cache(config.cache, self.redis), self.metrics.reasoning)
        self.responses = open_responses(config.responses, self.redis)
        """The conversations that are kept; None: none are."""
        self.shared_limits = self._shared_limits(config, table)
        """Those that are in Redis; None: this machine is alone."""
        self.governor = Governor(table, config, shared=self.shared_limits, observe=self.metrics.limited)
        self.keyring = KeyRing(
            store,
            stale_keys_s=config.store.stale_keys_s,
            observe=self.metrics.keys_state,
            on_load=self.governor.load,
        )
        limit_bytes = config.ledger.journal_max_bytes
        journal = Journal(config.journal_folder, max_bytes=limit_bytes) if limit_bytes else None
        zone = ZoneInfo(config.prices.timezone)
        self.ledger = Ledger(
            store,
            journal=journal,
            observe=self.metrics.ledger_state,
            zone=zone,
            on_stored=self._stored,
        )
        told = Observer(self.metrics.budget_alert, self.metrics.alert_delivery, self.metrics.budget_spent)
        self.alerts = Alerts(store, config.alerts, zone, told)
        self.governor.on_budget_refusal = self.alerts.refused
        self.pruner = Pruner(store, config)
        self.price_book = PriceBook(store, self.router.prices)
        self.captures = Captures(store)
        traced = decide(config.otel, os.environ)
        for warning in traced.warnings:
            logger.warning("%s", warning)
        self.tracer = Tracer(traced.settings, self.metrics)
        self.strict = config.ledger.durability == "strict"
        """An answer's row must be on disk before the answer ends."""
        self.exchanges: set[Exchange] = set()
        """The exchanges that are running."""
        self.waiters: set[Waiter] = set()
        """The requests that wait for a place at an upstream."""
        self.stopping = False
        """True during `stop_delay_s`, before `draining`: requests are served, `/readyz` answers 503."""
        self.draining = False
        """True after the start of an orderly stop; `/readyz` reports it."""
        self.notices: tuple[str, ...] = ()
        """Warnings of the parent process, for `/readyz`."""
        self.limits_are_shared = limit_table is not None
        """False: each worker grants the limits by itself, all of them together more than that."""

    @classmethod
    def open(cls, config: Config) -> "Gateway":
        """Open the database and begin the background work. Blocking. Raises as `__init__`.

        `llmgw serve` opened the database before. A worker that replaces a dead one while the database fails
        must not fail too: it admits no request until the keys can be read.
        """
        store = store_at(config.store.url)
        try:
            store.prepare()
        except StoreError as error:
            logger.error("%s; this worker waits for it", error)  # noqa: TRY400
        gateway = cls(config, store, _limit_table(config))
        gateway.keyring.start()
        gateway.ledger.start()
        gateway.alerts.start()
        gateway.pruner.start()
        gateway.captures.start()
        gateway.tracer.start()
        gateway.price_book.remember()
        return gateway

    def _shared_limits(self, config: Config, table: LimitTable) -> RedisLimits | None:
        if config.limits.machines == 1 or self.redis is None:
            return None
        self.metrics.limits_redis(up=False)
        return RedisLimits(
            self.redis,
            table,
            machines=config.limits.machines,
            on_change=lambda up: self.metrics.limits_redis(up=up),
            on_lost=self.metrics.limits_lost,
            read_bases=lambda: self.governor.read_bases(self.store),
        )

    async def start(self) -> None:
        """Begin what needs the event loop."""
        if self.shared_limits is not None:
            await self.shared_limits.start()

    def seal(self, key: "Key") -> Seal | None:
        """Seals reasoning for this client. None until the secret could be read."""
        secret = self.keyring.seal_secret
        return None if secret is None else Seal(secret, key.digest)

    def capturing(self, key: "Key", responder: Responder, fields: Fields) -> Capturing | None:
        """Begins to capture a request whose answer has not begun. None: it is not captured, as nearly all."""
        if key.capture is None or not self.config.admin.capture:
            return None
        return self.captures.begin(key.capture, responder, fields)

    def upstream_report(self) -> list[dict[str, object]]:
        """What this worker knows about each model at each account, for `/readyz?verbose`. No addresses."""
        return [
            {
                "upstream": health.upstream,
                "account": health.account,
                "upstream_model": health.upstream_model,
                "state": health.state,
                "consecutive_failures": health.failures,
                "cooling_s": round(health.cooling_s, 1),
                "in_flight": health.in_flight,
                **_last_failure(health),
            }
            for health in self.router.health
        ]

    async def reload(self, config: Config) -> None:
        """Use another config. Running requests finish with the old objects.

        What `restart_faults` lists stays as it is. Raises as `__init__`; nothing has changed then.
        """
        hide_secrets(config)
        router = await asyncio.to_thread(
            Router, config, self.router, observe=self.metrics.cooling, limit_table=self.governor.table
        )
        catalog = await asyncio.to_thread(_catalog, config, router)
        # From here on without an await, so that no request sees half of the change.
        self.metrics.know(router.models)
        self.admission.max_requests = possible_requests(config.server)
        self.admission.max_bytes = config.server.max_in_flight_bytes
        self.cors = Cors(config.server.cors_origins)
        if config.routing != self.config.routing:
            self.retry_budget = _retry_budget(config)
        self.router.retire_for(router)
        router.take_effect()
        self.governor.use(config)
        self.config, self.router, self.catalog = config, router, catalog
        self.price_book.use(router.prices)

    def tick(self) -> None:
        """Periodic work, every half second: cut stalled clients, update gauges. Call it on the loop."""
        timeout_s = self.config.server.client_write_timeout_s
        self.clients.cut_stalled(asyncio.get_running_loop().time(), timeout_s)
        self.metrics.held(self.admission.bytes)
        self.governor.tick()
        self.metrics.waiting(len(self.waiters))
        self.metrics.limit_entries(self.governor.table.entries_used, self.governor.table.overflowed)
        self.metrics.fold()
        self.price_book.tick()

    def drain(self) -> None:
        """Begin a stop: running requests get `drain_timeout_s` to finish. Call it on the loop."""
        self.draining = True
        for waiter in list(self.waiters):
            waiter.leave()
        loop = asyncio.get_running_loop()
        loop.call_later(self.config.server.drain_timeout_s, self._end_exchanges)

    def _end_exchanges(self) -> None:
        # Each ends with an error for its client and a row in the ledger; a kill would give it neither.
        for exchange in list(self.exchanges):
            exchange.drain()
        asyncio.get_running_loop().call_later(LAST_WORD_S, self.clients.cut_waiting)

    def _stored(self, request_ids: Sequence[str], spents: "Sequence[Spent]") -> None:
        """`Ledger`'s `on_stored`."""
        self.alerts.spent(spents)
        self.governor.stored(request_ids, spents)

    async def _finish_requests(self) -> None:
        """Wait for requests whose connections are gone but whose rows are not written yet."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + LAST_WORD_S
        while self.metrics.in_flight and loop.time() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(_FINISH_INTERVAL_S)

    async def close(self) -> None:
        """Write the ledger's queue and stop, without blocking the loop."""
        self.draining = True
        await self._finish_requests()
        await self.ledger.close()
        if self.shared_limits is not None:
            await self.shared_limits.close()
        await asyncio.to_thread(self.alerts.close)
        await asyncio.to_thread(self.pruner.close)
        await self.reasoning.close()
        if self.responses is not None:
            await self.responses.close()
        if self.redis is not None:
            await self.redis.close()
        await self.price_book.close()
        await asyncio.to_thread(self.captures.close)
        await asyncio.to_thread(self.tracer.close)
        await asyncio.to_thread(self.keyring.close)
        await asyncio.to_thread(self.store.close)
        logger.info("worker %d: stopped; the ledger is written", os.getpid())


def _limit_table(config: Config) -> LimitTable | None:
    """What all workers share. `llmgw serve` has tried before whether the folder can be used."""
    try:
        return open_table(config)
    except OSError:
        logger.exception("the limits can't be shared with the other workers")
        return None


def hide_secrets(config: Config) -> None:
    """Keep the config's secrets out of the log, by value."""
    named = [key for upstream in config.upstreams.values() for key in upstream.accounts.values()]
    named += [config.cache.url]
    named += [config.alerts.url, config.alerts.secret]
    secrets = [secret.get_secret_value() for secret in named if secret is not None]
    secrets += (config.otel.parsed_headers or {}).values()
    secrets += secrets_of(config.store.url)
    if config.cache.url is not None:
        secrets += RedisUrl.parse(config.cache.url.get_secret_value()).secrets
    if config.alerts.url is not None:
        secrets.append(unquote(urlsplit(config.alerts.url.get_secret_value()).password or ""))
    hide(secrets)


def _catalog(config: Config, router: Router) -> Catalog:
    # The catalog describes a model by its first target.
    return Catalog(config, {model.id: model.targets.all[0].route.dialect for model in router.models.values()})


def _last_failure(health: Health) -> dict[str, object]:
    """None of a target that has not failed yet."""
    if health.last_failure is None:
        return {}
    return {"last_failure": health.last_failure, "last_failure_s": round(health.last_failure_age_s, 1)}


def _retry_budget(config: Config) -> RetryBudget:
    table = config.routing
    return RetryBudget(ratio=table.retry_ratio, min_per_s=table.min_retries_per_s)
