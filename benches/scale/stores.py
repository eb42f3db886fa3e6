"""How many rows a second the ledger's writer stores, and how large they are."""

import itertools
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Final, NamedTuple

from sqlalchemy import func, select, text

from benches.scale.spread import Step, cpu_of, spread
from llmgw.ledger.entry import LedgerEntry
from llmgw.ledger.sums import Books
from llmgw.store import LedgerRow, Store, open_store, store_at
from llmgw.store.facts import kind_of

KEYS: Final = 50
PROJECTS: Final = 5
USERS_OF_A_KEY: Final = 4
MODELS: Final = 10
UPSTREAMS: Final = 2


class Written(NamedTuple):
    """What came out."""

    store: str
    writers: int
    batch_rows: int
    rows_per_s: float
    cpu_us: float
    """Of the gateway's writer, for each row."""
    server_cpu_us: float | None
    """Of the database's own processes; None: it has none."""
    row_bytes: float
    """With indexes; the sums, which do not grow with the rows, are left out."""


def write(
    url: str, writers: int, batch_rows: int, window_s: float, *, server_pid: int | None = None
) -> Written:
    """Batches of rows with their sums, one after another, by processes beside each other."""
    store = open_store(url)
    before_s = cpu_of(server_pid) if server_pid is not None else 0.0
    share = spread(_writer, [(url, batch_rows, seed) for seed in range(writers)], window_s)
    after_s = cpu_of(server_pid) if server_pid is not None else 0.0
    rows, row_bytes = _size(store)
    store.close()
    return Written(
        kind_of(url),
        writers,
        batch_rows,
        share.done / share.took_s,
        share.cpu_s * 1e6 / share.done,
        # Of all rows, those of the warm-up too.
        None if server_pid is None else (after_s - before_s) * 1e6 / rows,
        row_bytes,
    )


@contextmanager
def _writer(url: str, batch_rows: int, seed: int) -> Iterator[Step]:
    store, books, entries = store_at(url), Books(UTC), _entries(seed)

    def step() -> int:
        batch = list(itertools.islice(entries, batch_rows))
        with store.append() as session:
            books.add(session.connection(), batch, store.generation, alone=False)
        return len(batch)

    yield step
    store.close()


def _entries(seed: int) -> Iterator[LedgerEntry]:
    """Of a team: keys with users, models of two providers, prices."""
    dice = random.Random(seed)
    while True:
        key, prompt, completion = dice.randrange(KEYS), dice.randrange(8000), dice.randrange(900)
        yield LedgerEntry(
            time_s=time.time(),
            request_id=f"req_{uuid.UUID(int=dice.getrandbits(128)).hex[:24]}",
            status=200,
            total_s=dice.random() * 30,
            key_id=key + 1,
            project_id=key % PROJECTS + 1,
            user=f"user-{key * USERS_OF_A_KEY + dice.randrange(USERS_OF_A_KEY)}",
            model=f"qwen3-model-{dice.randrange(MODELS)}",
            upstream=f"provider-{dice.randrange(UPSTREAMS)}",
            api="chat",
            stream=True,
            finish_reason="stop",
            prompt_tokens=prompt,
            completion_tokens=completion,
            reasoning_tokens=completion // 3,
            cached_tokens=prompt // 2,
            cache_write_tokens=0,
            usage_source="upstream",
            thinking_asked="on",
            thinking_sent="enable_thinking",
            thinking_observed=True,
            first_event_s=dice.random() * 3,
            attempts=1,
            cost=prompt * 2000 + completion * 12_000,
            cost_input=prompt * 2000,
            cost_cached_input=0,
            cost_cache_write=0,
            cost_output=completion * 12_000,
            cost_other=0,
            currency="CNY",
            price_digest="d" * 64,
        )


_SQLITE_BYTES: Final = """
SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'ledger')"""
_POSTGRESQL_BYTES: Final = """
SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('ledger') WHERE isleaf"""


def _size(store: Store) -> tuple[int, float]:
    """Rows, and bytes a row. SQLite must have its table `dbstat`, as Debian's and Python's own have."""
    query = _SQLITE_BYTES if store.dialect == "sqlite" else _POSTGRESQL_BYTES
    with store.read() as session:
        rows = session.scalar(select(func.count()).select_from(LedgerRow)) or 0
        size_bytes = session.scalar(text(query)) or 0
    return rows, float(size_bytes) / max(rows, 1)
