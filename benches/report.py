"""Puts the figures of the Rust and the Python benches side by side.

Reads `bench-results/rust.json` and `bench-results/python.json`, prints a Markdown table, and writes the same
rows to `bench-results/core.json`. Every figure is a median.
"""

import json
from pathlib import Path
from typing import Any, Final

RESULTS_DIR: Final = Path(__file__).parent.parent / "bench-results"
HEAD: Final = (
    "| operation | case | size | Rust alone | `_core` | orjson | json | orjson ÷ `_core` | json ÷ `_core` |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)

Row = dict[str, Any]


def rows() -> list[Row]:
    """One row per operation and case: its size in bytes and the median seconds of every engine."""
    table: dict[tuple[str, str], Row] = {}
    for bench in json.loads((RESULTS_DIR / "python.json").read_bytes())["benchmarks"]:
        info = bench["extra_info"]
        operation, case = info["operation"], info["case"]
        row = table.setdefault(
            (operation, case), {"operation": operation, "case": case, "bytes": info["bytes"], "median_s": {}}
        )
        row["median_s"][info["engine"]] = bench["stats"]["median"]
    for bench in json.loads((RESULTS_DIR / "rust.json").read_bytes()):
        operation, case = bench["operation"], bench["case"]
        # Some have no counterpart in Python.
        row = table.setdefault(
            (operation, case), {"operation": operation, "case": case, "bytes": bench["bytes"], "median_s": {}}
        )
        row["median_s"]["rust"] = bench["median_s"]
    return list(table.values())


def line(row: Row) -> str:
    """One row as Markdown."""
    seconds, size = row["median_s"], row["bytes"]
    times = [
        f"{seconds[engine] * 1e6:,.1f} µs ({size / seconds[engine] / 1e6:,.0f} MB/s)"
        if engine in seconds
        else "–"
        for engine in ("rust", "_core", "orjson", "json")
    ]
    ratios = [
        f"{seconds[engine] / seconds['_core']:.1f} ×" if engine in seconds else "–"
        for engine in ("orjson", "json")
    ]
    return f"| {' | '.join([row['operation'], row['case'], f'{size:,} B', *times, *ratios])} |"


def main() -> None:
    """Print the table and keep its rows."""
    table = rows()
    (RESULTS_DIR / "core.json").write_text(json.dumps(table, indent=2) + "\n")
    print(HEAD, *map(line, table), sep="\n")


if __name__ == "__main__":
    main()
