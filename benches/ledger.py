"""How long reports and lists of requests take on a ledger of ten million rows: `python -m benches.ledger`.

The ledger is made by SQL, once, in five minutes, and kept in `bench-results/ledger.db` (3 GB): thirty days of
50 keys in 5 projects, 200 users (four behind each key), 10 models at 2 upstreams. `--rows` makes a smaller
one. Exit status 1 if a report that needs neither users nor hours, or a page of requests, takes more than
`TARGET_S` of a core; the time that passes, which depends on what else the machine does, is shown beside.
Results go to `bench-results/ledger-reports.json`.
"""

import argparse
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from llmgw.ledger.days import ensure_days
from llmgw.ledger.requests import RequestFilter, list_requests
from llmgw.ledger.usage import UsageBy, sum_usage
from llmgw.store import LATENCY_BOUNDS_S, UsageHour, open_store

FOLDER: Final = Path(__file__).parent.parent / "bench-results"
ROWS: Final = 10_000_000
DAYS: Final = 30
ZONE: Final = ZoneInfo("Asia/Shanghai")
END: Final = datetime(2026, 12, 1, tzinfo=ZONE).astimezone(UTC)
ROUNDS: Final = 7
TARGET_S: Final = 0.1
REPORTS: Final[dict[str, list[UsageBy]]] = {
    "total": [],
    "by model": ["model"],
    "by key": ["key"],
    "by project": ["project"],
    "by day": ["day"],
    "by week": ["week"],
    "by key and model": ["key", "model"],
    "by model and day": ["model", "day"],
}
LARGE: Final[dict[str, list[UsageBy]]] = {"by user": ["user"], "by hour": ["hour"]}
"""From the hourly sums, which have users."""
LONG_AGO: Final = END - timedelta(days=20)
PAGES: Final = {
    "all": RequestFilter(),
    "failed": RequestFilter(failed=True),
    "of a key": RequestFilter(key_id=7),
    "of no model": RequestFilter(model="nothing"),
    "of no status": RequestFilter(status_class=4),
    "of no user": RequestFilter(user="nobody"),
    "of no API": RequestFilter(api="rerank"),
    "of no error": RequestFilter(error_kind="nothing"),
    "of one id": RequestFilter(request_id="req_nothing"),
    "since long ago": RequestFilter(model="nothing", since=LONG_AGO),
    "until long ago": RequestFilter(model="nothing", until=LONG_AGO),
}
"""The first page; one of what is rare looks at as many rows as a page may."""

_LEDGER: Final = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows),
dice AS MATERIALIZED (
  SELECT n, random() & 0xffffff AS a, random() & 0xffffff AS b, random() & 0xffffff AS c FROM numbers
)
INSERT INTO ledger (
  time, request_id, key_id, project_id, user, model, upstream, api, status, stream, finish_reason, error_kind,
  prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cache_write_tokens, usage_source,
  thinking_observed, first_event_s, total_s, attempts, cost, cost_input, cost_cached_input, cost_cache_write,
  cost_output, cost_other, currency, price_digest
)
SELECT
  strftime('%Y-%m-%d %H:%M:%f', :begin, '+' || (n * :step_s) || ' seconds') || '000',
  printf('req_%024x', n), a % 50 + 1, a % 5 + 1, 'user-' || (a % 50 * 4 + b % 4),
  'model-' || min(b / 7 % 10, c % 10), CASE b % 3 WHEN 0 THEN 'second' ELSE 'first' END, 'chat',
  CASE c % 50 WHEN 0 THEN 503 ELSE 200 END, 1, 'stop', CASE c % 50 WHEN 0 THEN 'idle_timeout' END,
  c % 8000, c % 900, c % 300, c % 4000, 0, 'upstream', 0, c % 3000 / 1000.0, c % 30000 / 1000.0, 1,
  c % 8000 * 2000 + c % 900 * 12000, c % 8000 * 2000, 0, 0, c % 900 * 12000, 0, 'CNY', 'digest'
FROM dice"""


def make(file: Path, rows: int) -> None:
    """The ledger and its sums. Takes minutes."""
    file.unlink(missing_ok=True)
    store = open_store(f"sqlite:///{file}")
    values = {
        "rows": rows,
        "begin": (END - timedelta(days=DAYS)).strftime("%Y-%m-%d %H:%M:%S"),
        "step_s": DAYS * 86_400 / (rows + 1),
    }
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(_LEDGER, values)
        connection.execute(sums())
    ensure_days(store, ZONE)
    store.close()


def sums() -> str:
    """The SQL that makes the hourly sums of a whole ledger."""
    columns = UsageHour.__table__.columns
    keys = [column.name for column in columns if column.primary_key]
    counters = [column.name for column in columns if not column.primary_key]
    counted = {"requests": "count(*)", "errors": "sum(error_kind IS NOT NULL)", "unpriced": "0"}
    for kind in ("first_event", "total"):
        buckets = [name for name in counters if name.startswith(f"{kind}_")]
        edges = pairwise([-1.0, *LATENCY_BOUNDS_S, 1e9])
        for name, (low, high) in zip(buckets, edges, strict=True):
            counted[name] = f"sum({kind}_s > {low} AND {kind}_s <= {high})"
    grouped = ["strftime('%Y-%m-%d %H:00:00.000000', time)", *keys[1:]]
    summed = [counted.get(name, f"sum({name})") for name in counters]
    order = ", ".join(str(number + 1) for number in range(len(keys)))
    into = f"INSERT INTO usage_hours ({', '.join([*keys, *counters])})"
    return f"{into} SELECT {', '.join([*grouped, *summed])} FROM ledger GROUP BY {order}"  # noqa: S608


class Took(NamedTuple):
    """The medians of one report."""

    cpu_s: float
    wall_s: float


def measure(file: Path) -> dict[str, Took]:
    """Each report and each page, several times."""
    store = open_store(f"sqlite:///{file}")
    since = END - timedelta(days=DAYS)
    took: dict[str, Took] = {}
    for name, by in {**REPORTS, **LARGE}.items():

        def report(by: list[UsageBy] = by) -> int:
            return len(sum_usage(store, by, ZONE, since=since, until=END).sums)

        took[name] = _median(name, report, "groups", rounds=ROUNDS if name in REPORTS else 1)
    for name, wanted in PAGES.items():

        def page(wanted: RequestFilter = wanted) -> int:
            return len(list_requests(store, wanted, limit=50).rows)

        took[f"requests: {name}"] = _median(f"requests: {name}", page, "rows")
    store.close()
    return took


def _median(name: str, run: Callable[[], int], what: str, *, rounds: int = ROUNDS) -> Took:
    samples, found = [], 0
    for _ in range(rounds):
        begun = time.thread_time(), time.perf_counter()
        found = run()
        samples.append(Took(time.thread_time() - begun[0], time.perf_counter() - begun[1]))
    each = Took(*map(statistics.median, zip(*samples, strict=True)))
    figures = f"{each.cpu_s * 1000:8.1f} ms of a core, {each.wall_s * 1000:8.1f} ms"
    print(f"{name:25} {figures}, {found:6} {what}", flush=True)
    return each


def main() -> int:
    """Make the ledger if it is not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / ("ledger.db" if options.rows == ROWS else f"ledger-{options.rows}.db")
    if not file.exists():
        print(f"making {file} …", flush=True)
        make(file, options.rows)
    with closing(sqlite3.connect(file)) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("ledger", "usage_hours", "usage_days")
        }
    print(", ".join(f"{count:,} rows of {table}" for table, count in counts.items()))
    took = measure(file)
    results = {"rows": counts, "median": {name: each._asdict() for name, each in took.items()}}
    (FOLDER / "ledger-reports.json").write_text(json.dumps(results, indent=2))
    late = [name for name, each in took.items() if name not in LARGE and each.cpu_s > TARGET_S]
    if late:
        print(f"over {TARGET_S * 1000:.0f} ms: {', '.join(late)}")
    return int(bool(late))


if __name__ == "__main__":
    sys.exit(main())
