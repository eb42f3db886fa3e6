"""Looks at the gateway for `live`: at its own address, as any client could, and seldom, however many ask.

All workers are in one page of `/metrics`, whichever of them answers; each worker is asked for its report.
What was seen is kept for a second, and longer where the page is large: to watch must not slow answers down.
"""

import hashlib
import http.client
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from llmgw.admin.context import GatewayFacts, WorkerReport
from llmgw.admin.exposition import Samples, read_samples
from llmgw.admin.health import ask_workers, connect, fetch, fetch_report
from llmgw.admin.live import live_of, unavailable
from llmgw.admin.shelf import Seen, Shelf
from llmgw.config import Config

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0
"""From one look to the next, at least."""
SHARE: Final = 0.1
"""Of its time that a worker may spend on being looked at."""
RENDER_S: Final = 0.000_008
"""What a worker needs for one sample of the page and each worker that counted it (measured)."""
TIMEOUT_S: Final = 4.0
"""For the page: a worker delays its answer if it is asked for it more than once a second."""
FORGET_S: Final = 10.0
"""A worker's last report counts until it is this old: the kernel chooses who answers, and may skip one."""
MAX_PAGE_BYTES: Final = 32 << 20


class Lookout:
    """What one process of the gateway sees of all of it. For several threads."""

    def __init__(
        self,
        url: str,
        facts: Callable[[], GatewayFacts],
        config: Callable[[], Config],
        shelf: Shelf | None = None,
    ) -> None:
        """`url`: where the workers listen. `shelf`: shared by all who look; None: this is the only one."""
        self._url = url
        self._facts = facts
        self._config = config
        self._shelf = shelf
        self._one_at_a_time = threading.Lock()
        self._seen: Seen | None = None
        self._reports: dict[int, tuple[WorkerReport, float]] = {}
        self._is_away = False

    def look(self) -> bytes:
        """`LiveSchema` as JSON. Blocking."""
        seen = self._seen
        if seen is not None and (seen.is_fresh or (seen.is_presentable and self._one_at_a_time.locked())):
            return seen.text
        with self._one_at_a_time:
            seen = self._seen
            if seen is None or not seen.is_fresh:
                seen = self._seen = self._look() if self._shelf is None else self._shelf.get(self._look)
            return seen.text

    def _look(self) -> Seen:
        at, at_s, fresh_s = datetime.now(UTC), time.monotonic(), INTERVAL_S
        try:
            facts = self._facts()
            samples, reports, worker = self._ask([each.worker for each in facts.workers])
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._tell(error)
            at_s = time.monotonic()  # it may have taken long
            live = unavailable(at, f"the gateway does not answer at {self._url}: {error}")
        else:
            self._is_away = False
            number = sum(map(len, samples.values())) * len(facts.workers)
            fresh_s = max(fresh_s, number * RENDER_S / SHARE)
            live = live_of(self._config(), samples, reports, at=at, instance=instance_of(facts, worker))
        return Seen(live.model_dump_json().encode(), at_s, fresh_s)

    def _ask(self, workers: Sequence[int]) -> tuple[Samples, list[WorkerReport], int]:
        """The page, the reports, and whose page it is."""
        with closing(connect(self._url, TIMEOUT_S)) as connection:
            # On one connection: both are of the same worker.
            first = fetch_report(connection)
            page = fetch(connection, "/metrics", MAX_PAGE_BYTES)
        samples = read_samples(page.decode())
        others = [worker for worker in workers if worker != first.worker]
        now_s = time.monotonic()
        for report in (*(ask_workers(self._url, others) if others else ()), first):
            self._reports[report.worker] = report, now_s
        self._reports = {
            worker: (report, told_s)
            for worker, (report, told_s) in self._reports.items()
            if worker == first.worker or (worker in workers and now_s - told_s < FORGET_S)
        }
        return samples, [report for report, _ in self._reports.values()], first.worker

    def _tell(self, error: Exception) -> None:
        if not self._is_away:
            logger.warning("the gateway at %s can't be asked what it does: %s", self._url, error)
        self._is_away = True


def instance_of(facts: GatewayFacts, worker: int) -> str:
    """Another one where counters begin anew. `worker`: who has rendered them.

    Several workers count in files, which stay when one of them is started again (`serving.metrics_files`);
    a single one counts in its memory.
    """
    counting = f"{facts.name} {worker}" if len(facts.workers) == 1 else facts.name
    return hashlib.sha256(counting.encode()).hexdigest()[:16]
