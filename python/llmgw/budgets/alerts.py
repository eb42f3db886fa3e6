"""Tells that a budget has reached its soft limit or its end: log, metric and webhook, once in each window.

A thread of its own looks at budgets that have just spent something, and at all of them once a minute. The
first to write `warned_at` or `exhausted_at` into the window's row tells it, so that of all workers one does,
and none does again after a restart. What it could not deliver before a stop is taken back, for the next one.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from llmgw.budgets.money import amount_text
from llmgw.budgets.spend import Spent
from llmgw.budgets.store import BudgetState, read_states
from llmgw.budgets.windows import END
from llmgw.config import AlertsConfig
from llmgw.store import BudgetRow, BudgetWindow, Store

if TYPE_CHECKING:
    from llmgw.budgets.webhook import Webhook

logger = logging.getLogger(__name__)

Event = Literal["warned", "exhausted"]
SCAN_INTERVAL_S: Final = 60.0
MAX_ALERTS: Final = 256
"""Alerts that are being delivered. Others wait in the database, until the next look."""
MAX_GAUGES: Final = 100
"""Budgets with a metric of their own: the oldest."""
MAX_REFUSED: Final = 1024
"""Budgets, or users' parts of them, that have refused and are to be looked at."""
NEARLY_PERMILLE: Final = 950
"""A budget that refuses from here on is told as exhausted; before, a single request was too large for it."""
_LOOK_INTERVAL_S: Final = 0.5
_CLOSE_TIMEOUT_S: Final = 2.0
_BUSY_TIMEOUT_S: Final = 1.0


class Observer(NamedTuple):
    """What is told of alerts, on their thread."""

    alerted: Callable[[Event], None] = lambda _event: None
    delivery: Callable[[str], None] = lambda _result: None
    """`delivered`, `failed` or `given_up`."""
    spent_ratio: Callable[[int, float], None] = lambda _budget_id, _ratio: None


class Alert(NamedTuple):
    """One that this worker tells."""

    event: Event
    state: BudgetState
    at: datetime

    @property
    def column(self) -> str:
        """Where it is noted."""
        return "warned_at" if self.event == "warned" else "exhausted_at"

    def document(self, zone: tzinfo) -> dict[str, object]:
        """The webhook's body."""
        state = self.state
        starts_at, ends_at = state.window
        user = state.user if state.per_user else None
        return {
            "id": f"budget-{state.id}-{int(starts_at.timestamp())}-{self.event}{f'-{user}' if user else ''}",
            "event": f"budget.{self.event}",
            "time": _iso(self.at),
            "text": self.text(zone),
            "budget": {
                "id": state.id,
                "period": state.period,
                "model": state.model,
                "warn_at_permille": state.warn_at_permille,
            },
            "who": {"type": state.scope, "id": state.scope_id, "name": state.name, "user": user},
            "unit": state.unit,
            "amount": amount_text(state.limit, state.unit),
            "spent": amount_text(state.counted, state.unit),
            "left": amount_text(state.left, state.unit),
            "window": {"starts_at": _iso(starts_at), "ends_at": None if ends_at == END else _iso(ends_at)},
        }

    def text(self, zone: tzinfo) -> str:
        """One sentence for people."""
        state = self.state
        whose = f"{state.scope} {state.scope_id}{f' ({state.name})' if state.name else ''}"
        if state.per_user:
            whose += f", user {state.user or '(none named)'}"
        spent, limit = amount_text(state.counted, state.unit), amount_text(state.limit, state.unit)
        said = "is exhausted" if self.event == "exhausted" else "has reached its soft limit"
        ends_at = state.window.ends_at
        until = "" if ends_at == END else f", until {ends_at.astimezone(zone):%Y-%m-%d %H:%M}"
        at_model = f" on {state.model}" if state.model else ""
        per = "in total" if state.period == "total" else f"per {state.period}"
        return f"The budget of {whose}{at_model} {said}: {spent} of {limit} {state.unit} {per}{until}."


class Alerts:
    """One for each worker."""

    def __init__(
        self, store: Store, config: AlertsConfig, zone: tzinfo, observe: Observer | None = None
    ) -> None:
        """Starts nothing yet."""
        self._store = store
        self._config = config
        self._zone = zone
        self._observe = observe or Observer()
        self._lock = threading.Lock()
        self._touched: set[int] = set()
        self._refused: set[tuple[int, str]] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._running: dict[asyncio.Task[bool], Alert] = {}
        self._gauged: set[int] = set()

    def spent(self, spents: Iterable[Spent]) -> None:
        """These windows have come to more. On any thread; it only notes them."""
        with self._lock:
            self._touched.update(each.budget_id for each in spents)

    def refused(self, budget_id: int, user: str) -> None:
        """A request was refused for this budget, or for this user's part. On any thread; it only notes it.

        A budget may end before all of it is spent: what is left is too little for a request.
        """
        with self._lock:
            if len(self._refused) < MAX_REFUSED:
                self._refused.add((budget_id, user))

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="llmgw-alerts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop. What can't be delivered in a moment is left to the next start. Blocking."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * _CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            logger.exception("a defect in the alerts; this worker sends no more")

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        webhook = self._webhook()
        scan_at_s = 0.0
        while not self._stop.is_set():
            ids: Collection[int] | None
            ids, refused = self._take()
            if loop.time() >= scan_at_s:
                ids, scan_at_s = None, loop.time() + SCAN_INTERVAL_S
            if ids is None or ids:
                self._look(ids, refused, webhook)
            await asyncio.sleep(_LOOK_INTERVAL_S)
        if self._running:
            await asyncio.wait(self._running, timeout=_CLOSE_TIMEOUT_S)
        self._take_back(list(self._running.values()))
        for task in self._running:
            task.cancel()
        if webhook is not None:
            await webhook.close()

    def _webhook(self) -> "Webhook | None":
        config = self._config
        if config.url is None:
            return None
        from llmgw.budgets.webhook import Webhook  # noqa: PLC0415  (an HTTP client that few need)

        secret = None if config.secret is None else config.secret.get_secret_value().encode()
        return Webhook(
            config.url.get_secret_value(),
            secret,
            timeout_s=config.timeout_s,
            observe=self._observe.delivery,
        )

    def _take(self) -> tuple[set[int], set[tuple[int, str]]]:
        """Budgets to look at, and those that refused."""
        with self._lock:
            touched, self._touched = self._touched, set()
            refused, self._refused = self._refused, set()
        return touched | {budget_id for budget_id, _ in refused}, refused

    def _look(
        self, ids: Collection[int] | None, refused: Collection[tuple[int, str]], webhook: "Webhook | None"
    ) -> None:
        """Tell what these budgets have reached; None: all of them. While the database fails, later."""
        now = datetime.now(UTC)
        try:
            with self._store.read() as session:
                if ids is None:
                    self._choose_gauges(session)
                values = {
                    "refused": [budget_id for budget_id, _ in refused],
                    "gauged": list(self._gauged),
                    **({} if ids is None else {"touched": list(ids)}),
                }
                conditions = (_MATTERS,) if ids is None else (_MATTERS, _TOUCHED)
                states = read_states(session, self._zone, now, *conditions, values=values)
            self._gauge(states)
            reached = [alert for state in states if (alert := _alert(state, now, refused)) is not None]
            alerts = self._claim(reached[: MAX_ALERTS - len(self._running)])
        except SQLAlchemyError as error:
            logger.debug("budgets can't be looked at for alerts: %s", error)
            return
        if len(reached) > len(alerts):
            self.spent(Spent(each.state.id, "", each.at, 0) for each in reached)
        for alert in alerts:
            logger.warning("%s", alert.text(self._zone))
            self._observe.alerted(alert.event)
            if webhook is not None:
                body = json.dumps(alert.document(self._zone), ensure_ascii=False).encode("utf-8", "replace")
                task = asyncio.get_running_loop().create_task(webhook.deliver(alert.event, body))
                self._running[task] = alert
                task.add_done_callback(self._running.pop)

    def _claim(self, alerts: list[Alert]) -> list[Alert]:
        """Those that nobody else has told or will tell. Raises SQLAlchemyError."""
        if not alerts:
            return []
        claimed = []
        with self._store.write(busy_timeout_s=_BUSY_TIMEOUT_S) as session:
            for alert in alerts:
                column = getattr(BudgetWindow, alert.column)
                noted = {alert.column: alert.at}
                if alert.event == "exhausted" and alert.state.warned_at is None:
                    noted["warned_at"] = alert.at  # one alert says it all
                result = session.connection().execute(
                    update(BudgetWindow).where(_window_of(alert.state), column.is_(None)).values(noted)
                )
                if result.rowcount:
                    claimed.append(alert)
        return claimed

    def _take_back(self, alerts: list[Alert]) -> None:
        """Leave what was not delivered to whoever looks next."""
        if not alerts:
            return
        try:
            with self._store.write(busy_timeout_s=_BUSY_TIMEOUT_S) as session:
                for alert in alerts:
                    column = getattr(BudgetWindow, alert.column)
                    where = and_(_window_of(alert.state), column == alert.at)
                    session.execute(update(BudgetWindow).where(where).values({alert.column: None}))
        except SQLAlchemyError:
            logger.exception("%d alerts were not delivered", len(alerts))

    def _choose_gauges(self, session: Session) -> None:
        """Of budgets that do not count users one by one."""
        query = select(BudgetRow.id).where(BudgetRow.removed_at.is_(None), BudgetRow.per_user.is_(False))
        chosen = set(session.scalars(query.order_by(BudgetRow.id).limit(MAX_GAUGES)))
        for gone in self._gauged - chosen:
            self._observe.spent_ratio(gone, 0.0)
        self._gauged = chosen

    def _gauge(self, states: Iterable[BudgetState]) -> None:
        for state in states:
            if state.id in self._gauged and state.limit:
                self._observe.spent_ratio(state.id, state.counted / state.limit)


# Roughly, and in floating point: `_alert` looks closer.
_REACHED: Final = and_(
    BudgetWindow.exhausted_at.is_(None),
    (BudgetWindow.spent - BudgetWindow.forgiven) * 1001.0
    >= (BudgetRow.amount + BudgetWindow.lifted) * 1.0 * func.coalesce(BudgetRow.warn_at_permille, 1000),
)
# Made once: a list in a condition leaves cycles of objects behind whenever it is made.
_TOUCHED: Final = BudgetRow.id.in_(bindparam("touched", expanding=True))
_MATTERS: Final = or_(
    _REACHED,
    and_(BudgetWindow.exhausted_at.is_(None), BudgetRow.id.in_(bindparam("refused", expanding=True))),
    BudgetRow.id.in_(bindparam("gauged", expanding=True)),
)


def _alert(state: BudgetState, now: datetime, refused: Collection[tuple[int, str]]) -> Alert | None:
    is_nearly = state.counted * 1000 >= state.limit * NEARLY_PERMILLE
    if state.is_exhausted or (is_nearly and (state.id, state.user) in refused):
        return Alert("exhausted", state, now) if state.exhausted_at is None else None
    return Alert("warned", state, now) if state.is_warned and state.warned_at is None else None


def _window_of(state: BudgetState) -> ColumnElement[bool]:
    return and_(
        BudgetWindow.budget_id == state.id,
        BudgetWindow.user == state.user,
        BudgetWindow.starts_at == state.window.starts_at,
    )


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
