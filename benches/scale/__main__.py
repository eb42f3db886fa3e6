"""What the parts of many machines can do, one by one: `python -m benches.scale`. For `docs/scale.md`.

Rows a second of each store, with one writer and with several; bytes a row; requests a second that Redis
checks. Servers and clients share this machine's cores, so a rate is what is left of them. Calculate with the
CPU time of a row or a request, of the gateway and of the server. Results go to `bench-results/scale.json`.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Final

from benches.scale.limits import Checked, check
from benches.scale.stores import Written, write
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

RESULT: Final = Path(__file__).parents[2] / "bench-results" / "scale.json"
PROCESSES: Final = (1, 2, 4)


def main() -> None:
    """Measure, print tables, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benches.scale", description=__doc__)
    parser.add_argument(
        "--window-s", type=float, default=5.0, help="seconds per figure (default: %(default)s)"
    )
    options = parser.parse_args()
    written = _written(options.window_s)
    checked = _checked(options.window_s)
    RESULT.parent.mkdir(exist_ok=True)
    results = {
        "cores": os.cpu_count(),
        "stores": [each._asdict() for each in written],
        "redis": [each._asdict() for each in checked],
    }
    RESULT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    print(f"\nresults: {RESULT}")


def _written(window_s: float) -> list[Written]:
    print("| store | writers | rows in a batch | rows/s | CPU µs a row, gateway | server | bytes a row |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    results = []
    for batch_rows in (500, 50):
        with tempfile.TemporaryDirectory() as folder:
            results.append(write(f"sqlite:///{folder}/llmgw.db", 1, batch_rows, window_s))
            _print_written(results[-1])
        with PostgresServer(durable=True, settings={"shared_buffers": "256MB"}) as server:
            for writers in PROCESSES:
                url = server.url(server.new_database())
                results.append(write(url, writers, batch_rows, window_s, server_pid=server.pid))
                _print_written(results[-1])
    return results


def _print_written(each: Written) -> None:
    server = "" if each.server_cpu_us is None else f"{each.server_cpu_us:.1f}"
    print(
        f"| {each.store} | {each.writers} | {each.batch_rows} | {each.rows_per_s:,.0f} | {each.cpu_us:.1f}"
        f" | {server} | {each.row_bytes:,.0f} |",
        flush=True,
    )


def _checked(window_s: float) -> list[Checked]:
    print("\n| Redis, of a request | workers | requests/s | CPU µs a request, gateway | Redis |")
    print("| --- | --- | --- | --- | --- |")
    results = []
    for name in ("rates", "all"):
        for workers in PROCESSES[:2]:
            with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
                each = check(server, name, workers, window_s)
            print(
                f"| {each.limits} | {each.workers} | {each.requests_per_s:,.0f} | {each.cpu_us:.1f}"
                f" | {each.server_cpu_us:.1f} |",
                flush=True,
            )
            results.append(each)
    return results


if __name__ == "__main__":
    main()
