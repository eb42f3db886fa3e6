"""What overload costs those who are admitted, and how soon the others are told: `python -m benches.overload`.

A gateway that takes `LIMIT` requests, before an upstream that answers each after `DELAY_S`. Rounds alternate:
`LIMIT` steady clients alone; then with `CROWD` more that ask again `PAUSE_S` after each refusal, whatever
`retry-after` says. Compared is within one run, on whatever else the machine does.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from llmgw._core import DEBUG_BUILD
from tests.support.gateway import Gateway

LIMIT: Final = 32
CROWD: Final = 64
DELAY_S: Final = 0.1
PAUSE_S: Final = 0.05
ROUND_S: Final = 5.0
ROUNDS: Final = 4
ANSWER: Final = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
CONFIG: Final = """
[server]
log_level = "error"
max_in_flight_requests = {limit}

[store]
url = "sqlite:///gateway.db"

[upstreams.slow]
base_url = "http://127.0.0.1:{port}/v1"

[[models]]
id = "m"
upstream = "slow"
"""


class Sample(NamedTuple):
    """One answer."""

    status: int
    took_s: float


async def _upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
    try:
        while True:
            await _message(reader)
            await asyncio.sleep(DELAY_S)
            writer.write(head + ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()  # the gateway or the whole run has ended


async def _message(reader: asyncio.StreamReader) -> bytes:
    """The first line of a message, whose body is read past."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return lines[0]


async def _client(gateway: Gateway, until_s: float, samples: list[Sample]) -> None:
    content = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    request = gateway.chat_head(len(content)).encode() + content
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    while (begun_s := time.perf_counter()) < until_s:
        writer.write(request)
        status = int((await _message(reader)).split()[1])
        samples.append(Sample(status, time.perf_counter() - begun_s))
        if status != 200:
            await asyncio.sleep(PAUSE_S)
    writer.close()


async def _round(gateway: Gateway, clients: int) -> list[Sample]:
    samples: list[Sample] = []
    until_s = time.perf_counter() + ROUND_S
    await asyncio.gather(*(_client(gateway, until_s, samples) for _ in range(clients)))
    return samples


def _percentiles(samples: list[Sample], status: int) -> str:
    took_ms = sorted(sample.took_s * 1e3 for sample in samples if sample.status == status)
    if len(took_ms) < 100:
        return f"{len(took_ms)} answers, too few"
    cuts = statistics.quantiles(took_ms, n=100)
    spread = f"p50 {cuts[49]:6.1f} ms, p99 {cuts[98]:6.1f} ms, max {took_ms[-1]:6.1f} ms"
    return f"{len(took_ms):6d} answers, {spread}"


async def _measure(gateway: Gateway) -> bool:
    await _round(gateway, LIMIT)  # warm
    alone: list[Sample] = []
    crowded: list[Sample] = []
    for _ in range(ROUNDS):
        alone += await _round(gateway, LIMIT)
        crowded += await _round(gateway, LIMIT + CROWD)
    print(f"{LIMIT} clients alone:       200 {_percentiles(alone, 200)}")
    print(f"{CROWD} more than the limit: 200 {_percentiles(crowded, 200)}")
    print(f"                       503 {_percentiles(crowded, 503)}")
    statuses = {sample.status for sample in (*alone, *crowded)}
    if statuses != {200, 503}:
        print(f"other answers came too: {sorted(statuses)}")
    return statuses == {200, 503}


def main() -> int:
    """Measure and print; 1 if the figures mean nothing."""
    if DEBUG_BUILD:
        print("a debug build: figures are worse than real (make .venv/.release-extension)")

    async def run() -> bool:
        server = await asyncio.start_server(_upstream, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with tempfile.TemporaryDirectory() as folder:
            gateway = await asyncio.to_thread(Gateway, Path(folder), CONFIG.format(limit=LIMIT, port=port))
            with gateway:
                return await _measure(gateway)

    return 0 if asyncio.run(run()) else 1


if __name__ == "__main__":
    sys.exit(main())
