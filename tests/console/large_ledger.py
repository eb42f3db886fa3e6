"""A ledger of ten million rows, made fast: one hour, made by SQL, that repeats itself for thirty days."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from benches.ledger import sums
from llmgw.ledger.days import ensure_days
from llmgw.store import LedgerRow, UsageHour, open_store

HOURS: Final = 720
ROWS_PER_HOUR: Final = 13_889
ROWS: Final = HOURS * ROWS_PER_HOUR
KEYS: Final = 20
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_HOUR: Final = """
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows - 1),
dice AS MATERIALIZED (SELECT n, abs(random()) AS a, abs(random()) AS b, abs(random()) AS c FROM numbers)
INSERT INTO ledger (
  time, request_id, key_id, project_id, user, model, upstream, api, status, stream, finish_reason, error_kind,
  prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cache_write_tokens, usage_source,
  thinking_observed, first_event_s, total_s, attempts, cost, cost_input, cost_cached_input, cost_cache_write,
  cost_output, cost_other, currency
)
SELECT
  strftime('%Y-%m-%d %H:%M:%f', :begin, '+' || (n * 3600.0 / :rows) || ' seconds') || '000',
  printf('req_00000000%016x', n), a % :keys + 1, 1, CASE b % 2 WHEN 0 THEN 'li.na' ELSE '王伟' END,
  CASE c % 3 WHEN 0 THEN 'qwen3.6-plus' WHEN 1 THEN 'glm-5' ELSE 'deepseek-v4-pro' END,
  CASE c % 3 WHEN 0 THEN 'qwen' WHEN 1 THEN 'glm' ELSE 'deepseek' END,
  'chat', CASE b % 50 WHEN 0 THEN 503 ELSE 200 END, 1, CASE b % 50 WHEN 0 THEN NULL ELSE 'stop' END,
  CASE b % 50 WHEN 0 THEN 'idle_timeout' END, a % 8000, b % 900, c % 300, c % 4000, 0, 'upstream', c % 2,
  a % 3000 / 1000.0, b % 30000 / 1000.0, 1, a % 8000 * 2000 + b % 900 * 12000, a % 8000 * 2000, 0, 0,
  b % 900 * 12000, 0, 'CNY'
FROM dice"""


def make_ledger(file: Path) -> None:
    """A database with `ROWS` requests of the last thirty days, until the hour that runs, and their sums."""
    open_store(f"sqlite:///{file}").close()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begins = [end - timedelta(hours=HOURS - number) for number in range(HOURS)]
    marks = [(f"{number:08x}", f"{begin:%Y-%m-%d %H}") for number, begin in enumerate(begins)]
    with closing(sqlite3.connect(file)) as connection:
        # In one go and without a way back: who is interrupted deletes the file.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
            connection.execute(f"PRAGMA {pragma}")
        with connection:
            values = {"rows": ROWS_PER_HOUR, "keys": KEYS, "begin": f"{begins[0]:%Y-%m-%d %H:%M:%S}"}
            connection.execute(_HOUR, values)
            connection.execute(sums())
            connection.execute("CREATE TEMP TABLE hours (mark TEXT, begin TEXT)")
            connection.executemany("INSERT INTO hours VALUES (?, ?)", marks[1:])
            ledger = [column.name for column in LedgerRow.__table__.columns if column.name != "id"]
            again = {
                "time": "begin || substr(time, 14)",
                "request_id": "'req_' || mark || substr(request_id, 13)",
            }
            _repeat(connection, "ledger", ledger, again)
            columns = [column.name for column in UsageHour.__table__.columns]
            _repeat(connection, "usage_hours", columns, {"hour": "begin || substr(hour, 14)"})
        connection.execute("PRAGMA journal_mode = WAL")
    store = open_store(f"sqlite:///{file}")
    ensure_days(store, _ZONE)
    store.close()


def _repeat(
    connection: sqlite3.Connection, table: str, columns: Iterable[str], again: dict[str, str]
) -> None:
    """The first hour's rows once more for each of `hours`. `again`: what differs, as SQL."""
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(again.get(name, f'"{name}"') for name in columns)
    connection.execute(f"CREATE TEMP TABLE pattern AS SELECT * FROM {table}")  # noqa: S608
    # A CROSS JOIN keeps this order, so that times only grow and each index is appended to.
    connection.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM hours CROSS JOIN pattern")  # noqa: S608
    connection.execute("DROP TABLE pattern")
