"""What the workers know of the upstreams: each of them is asked at the gateway's own address.

Which worker answers is the kernel's choice, by connection. So several connections are made, until each worker
has answered or enough of them were tried.
"""

import http.client
import json
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from llmgw.admin.context import WorkerReport

TIMEOUT_S: Final = 1.0
"""For all of them together."""
TRIES_PER_WORKER: Final = 6
_MAX_ANSWER_BYTES: Final = 4 << 20


def ask_workers(url: str, workers: Sequence[int]) -> list[WorkerReport]:
    """The report of each worker that answered in time, in no order. Blocking, at most for `TIMEOUT_S`."""
    missing = set(workers)
    found: dict[int, WorkerReport] = {}
    deadline_s = time.monotonic() + TIMEOUT_S
    for _ in range(TRIES_PER_WORKER * max(len(workers), 1)):
        report = _ask(url, deadline_s - time.monotonic())
        if report is not None:
            found[report.worker] = report
            missing.discard(report.worker)
        if not missing or time.monotonic() >= deadline_s:
            break
    return list(found.values())


def _ask(url: str, timeout_s: float) -> WorkerReport | None:
    try:
        with closing(connect(url, timeout_s)) as connection:
            return fetch_report(connection)
    except (OSError, http.client.HTTPException, ValueError):
        return None


def connect(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """To the gateway. Opens nothing yet."""
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=max(timeout_s, 0.01))


def fetch(connection: http.client.HTTPConnection, path: str, limit_bytes: int) -> bytes:
    """What a path answers, with any status; cut at the limit. Raises OSError, HTTPException."""
    connection.request("GET", path)
    return connection.getresponse().read(limit_bytes)


def fetch_report(connection: http.client.HTTPConnection) -> WorkerReport:
    """That of the worker at the other end. Raises OSError, HTTPException, ValueError."""
    report = json.loads(fetch(connection, "/readyz?verbose", _MAX_ANSWER_BYTES))
    try:
        return WorkerReport(
            report["worker"],
            report["upstreams"],
            report["status"],
            report.get("problems", ()),
            report.get("warnings", ()),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = "that is no report of a worker"
        raise ValueError(message) from error
