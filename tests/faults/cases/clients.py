"""Faults 21 to 32: what clients do."""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence

from tests.faults.case import case
from tests.faults.cases.upstream import answered_by, billed, failed, ms, until_closed
from tests.faults.client import Connection, Seen, new_mark, request_body
from tests.faults.rig import Rig, Setup, wait_for
from tests.faults.script import Act

MIB = 1 << 20
TRIALS = 20
CLOSED_WITHIN_S = 0.1
"""Of the median: one slow answer of a busy machine proves nothing."""
STREAMS = int(os.environ.get("LLMGW_FAULTS_STREAMS", "1000"))
FOREVER_MS = 60_000
BODY_LIMIT_BYTES = 32 * MIB


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def departures(rig: Rig, model: str, act: Act, *, stream: bool, after_frames: int = 0) -> str:
    """Clients that leave, one after the other: how soon the upstream's connection is closed."""
    took = []
    for _ in range(TRIALS):
        connection = await rig.client.connect()
        seen = await rig.client.begin(connection, model, act, stream=stream)
        seen.left = True
        if after_frames:
            await connection.head(seen)
            await connection.rest(seen, frames=after_frames)
            assert seen.body.count(b"\n\n") >= after_frames, seen.body
        await rig.asked(seen.mark)
        left_s = connection.leave()
        took.append(await until_closed(rig, seen, left_s))
        seen.verify()
    median = statistics.median(took)
    assert median <= CLOSED_WITHIN_S, f"median {ms(median)}"
    figures = f"{median * 1000:.1f} ms (median of {TRIALS}), at most {max(took) * 1000:.1f} ms"
    return f"upstream closed after {figures}"


SLOW = Setup(
    server="client_write_timeout_s = 3\nbody_timeout_s = 2", first_event_timeout_s=10, idle_timeout_s=10
)


@case(21, "slow reader", "reading from upstream pauses, memory is bounded, then a write timeout", SLOW)
async def slow_reader(rig: Rig) -> str:
    readers = 8
    before = rig.resources().rss_kib
    act = Act(events=2000, pad=65_536)  # 128 MiB each
    pairs = []
    for _ in range(readers):
        connection = await rig.client.connect(receive_buffer=4096)
        seen = await rig.client.begin(connection, "solo-21", act)
        await connection.head(seen)
        pairs.append((connection, seen))
    written = await steady(rig, [seen for _, seen in pairs])
    grown = (rig.resources().rss_kib - before) / readers
    assert written < 24 * MIB, f"the upstream could write {written / MIB:.1f} MiB of 128"
    assert grown < 4096, f"{grown:.0f} KiB per stream"
    # One that is slow, but reads, gets all of it, while the others are cut off.
    steadily = await rig.client.connect(receive_buffer=4096)
    patient = await rig.client.begin(steadily, "solo-21", Act(events=150, pad=65_536))
    reading = asyncio.create_task(_read_slowly(steadily, patient))
    begun = time.monotonic()
    took = [await seconds_until_closed_by_gateway(rig, seen, begun) for _, seen in pairs]
    answered_by(await reading, "a")
    for connection, seen in pairs:
        seen.left = True
        assert (await billed(rig, seen))[2] == "client_stalled"
        connection.leave()
    return (
        f"upstream paused at {written / MIB:.1f} MiB, {grown:.0f} KiB per stream; "
        f"cut off {max(took):.1f} s later (client_write_timeout 3 s)"
    )


async def steady(rig: Rig, seen: Sequence[Seen]) -> int:
    """Bytes that the upstream could write for one of them, once none of them moves any more."""
    last = -1
    while True:
        exchanges = [exchange for one in seen for exchange in await rig.exchanges_of(one)]
        total = sum(exchange.written_bytes for exchange in exchanges)
        if total == last and len(exchanges) == len(seen):
            return max(exchange.written_bytes for exchange in exchanges)
        last = total
        await asyncio.sleep(0.3)


async def _read_slowly(connection: Connection, seen: Seen) -> Seen:
    await connection.head(seen)
    while not seen.whole:
        had = len(seen.body)
        await connection.rest(seen, frames=15)
        assert len(seen.body) > had or seen.whole, "a slow reader was cut off"
        await asyncio.sleep(0.5)
    await connection.close()
    seen.verify()
    return seen


async def seconds_until_closed_by_gateway(rig: Rig, seen: Seen, since_s: float) -> float:
    """The same for a client that is cut off."""

    async def closed() -> bool:
        return all(e.gone_s is not None for e in await rig.exchanges_of(seen))

    await wait_for(closed, "the client that does not read is cut off", timeout_s=15)
    return time.monotonic() - since_s


@case(22, "client gone before the first token", "upstream closed within 100 ms")
async def gone_before(rig: Rig) -> str:
    return await departures(rig, "pair-22", Act(first_delay_ms=FOREVER_MS), stream=True)


@case(23, "client gone mid-stream", "the same")
async def gone_in_the_middle(rig: Rig) -> str:
    act = Act(events=10_000, delay_ms=5)
    return await departures(rig, "pair-23", act, stream=True, after_frames=3)


@case(24, "client gone, not streaming", "the same")
async def gone_not_streaming(rig: Rig) -> str:
    figure = await departures(rig, "pair-24", Act(first_delay_ms=FOREVER_MS), stream=False)
    merged = await departures(rig, "merged-24", Act(events=10_000, delay_ms=5), stream=False)
    return f"{figure}; merged: {merged}"


@case(25, "1,000 idle streams", "KiB per stream reported, /healthz fast", Setup(idle_timeout_s=120))
async def idle_streams(rig: Rig) -> str:
    before = await rig.baseline()
    pairs = []

    async def open_one() -> None:
        connection = await rig.client.connect()
        seen = await rig.client.begin(connection, "solo-25", Act(events=2, end="stall"))
        await connection.head(seen)
        await connection.rest(seen, frames=2)
        pairs.append((connection, seen))

    for _ in range(0, STREAMS, 50):
        await asyncio.gather(*(open_one() for _ in range(50)))
    kib = (rig.resources().rss_kib - before.rss_kib) / len(pairs)
    probes = []
    for _ in range(200):
        probe = await rig.client.get("/healthz")
        assert probe.status == 200
        probes.append(probe.took_s)
    answered_by(await rig.client.ask("solo-25", Act()), "a")
    for connection, seen in pairs:
        seen.left = True
        connection.leave()
        seen.verify()
    after = await rig.settle(before)
    assert kib < 256, f"{kib:.0f} KiB per stream"
    assert percentile(probes, 99) < 1, f"/healthz took {ms(percentile(probes, 99))}"
    return (
        f"{len(pairs)} streams, {kib:.1f} KiB each; /healthz p50 {ms(statistics.median(probes))}, "
        f"p99 {ms(percentile(probes, 99))}; descriptors {before.descriptors} → {after.descriptors}"
    )


@case(26, "invalid JSON, deep, duplicate keys, 1e999", "400, or passed as text; no crash")
async def bad_bodies(rig: Rig) -> str:
    messages = '"messages": [{"role": "user", "content": "x"}]'
    head = f'"model": "solo-26", {messages}'
    deep = "[" * 200 + "]" * 200
    refused: list[tuple[bytes, str]] = [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'"text"', "invalid_type"),
        (b"[]", "invalid_type"),
        (f"{{{head}}} more".encode(), "invalid_json"),
        (f'{{{head}, "x": 01}}'.encode(), "invalid_json"),
        (f'{{{head}, "x": NaN}}'.encode(), "invalid_json"),
        (f'{{{head}, "x": "'.encode() + b'\xff"}', "invalid_json"),
        (f'{{{head}, "x": "\n"}}'.encode(), "invalid_json"),
        (f'{{{head}, "x": {deep}}}'.encode(), "too_deep"),
        (f'{{{head}, "x": {"[" * 1_000_000}'.encode(), "too_deep"),
        (f'{{{head}, "model": "solo-26"}}'.encode(), "duplicate_field"),
        (f'{{{head}, "stream": true, "stream": false}}'.encode(), "duplicate_field"),
        (f'{{{head}, "stream": "yes"}}'.encode(), "invalid_type"),
        (b'{"model": "solo-26"}', "missing_field"),
        (f"{{{messages}}}".encode(), "missing_field"),
        (b'{"model": "solo-26", "messages": []}', "invalid_type"),
    ]
    for body, code in refused:
        seen = await rig.client.post(body)
        seen.verify()
        assert (seen.status, seen.code) == (400, code), f"{body[:80]!r}: {seen.status} {seen.error}"
    odd = ["1e999", "-0.0", "123456789012345678901234567890", '"\\ud800"', '"\\u0000"', "[" * 60 + "]" * 60]
    for value in odd:
        mark = new_mark()
        body = request_body(mark, "solo-26", Act(), stream=False)[:-1] + f', "x": {value}, "x": 1}}'.encode()
        seen = rig.client.note(mark, stream=False)
        connection = await rig.client.connect()
        await connection.send(rig.client.head(len(body)), body)
        await connection.read_answer(seen)
        await connection.close()
        seen.verify()
        answered_by(seen, "a")
    return f"{len(refused)} bodies refused by code, {len(odd)} passed as text"


@case(27, "100 MB body, dribbled body", "413, 408")
async def big_and_slow_bodies(rig: Rig) -> str:
    before = rig.resources().rss_kib
    begun = time.monotonic()
    announced = await rig.client.raw(rig.client.head(100_000_000), b"{")
    announced.verify()
    failed(announced, 413, "body_too_large")
    announced_s = time.monotonic() - begun

    # Not announced: a chunked body, of which the gateway reads no more than its limit.
    head = rig.client.head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    connection = await rig.client.connect()
    chunked = rig.client.note("raw", stream=False)
    piece = b"100000\r\n%b\r\n" % (b" " * MIB)
    sending = asyncio.create_task(_send_until_refused(connection, head, piece, 100))
    await connection.read_answer(chunked)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    connection.leave()
    chunked.verify()
    failed(chunked, 413, "body_too_large")
    grown = (rig.resources().rss_kib - before) / 1024
    assert grown < 3 * BODY_LIMIT_BYTES / MIB, f"memory grew by {grown:.0f} MiB"

    connection = await rig.client.connect()
    dribbled = rig.client.note("raw", stream=False)
    dribbling = asyncio.create_task(_dribble(connection, rig.client.head(10_000)))
    await connection.read_answer(dribbled)
    dribbling.cancel()
    await asyncio.gather(dribbling, return_exceptions=True)
    connection.leave()
    dribbled.verify()
    failed(dribbled, 408, "request_timeout")
    return (
        f"413 after {ms(announced_s)} (announced), {ms(chunked.took_s)} (chunked); "
        f"408 after {ms(dribbled.took_s)} (body_timeout 4 s)"
    )


async def _send_until_refused(connection: Connection, head: bytes, piece: bytes, count: int) -> None:
    try:
        await connection.send(head)
        for _ in range(count):
            await connection.send(piece)
    except ConnectionError:
        pass


async def _dribble(connection: Connection, head: bytes) -> None:
    try:
        await connection.send(head)
        while True:
            await connection.send(b" ")
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass


@case(28, "header abuse, odd Host", "4xx")
async def header_abuse(rig: Rig) -> str:
    def get(
        *lines: str, path: str = "/v1/models", version: str = "HTTP/1.1", host: str | None = "x"
    ) -> bytes:
        hosts = [] if host is None else [f"host: {host}"]
        all_lines = [f"GET {path} {version}", *hosts, f"authorization: Bearer {rig.client.key}", *lines]
        return "\r\n".join([*all_lines, "", ""]).encode("latin-1")

    rows: dict[str, bytes] = {
        "200 headers": get(*(f"x-{n}: 1" for n in range(200))),
        "a header of 1 MB": get(f"x: {'y' * 1_000_000}"),
        "a path of 1 MB": get(path=f"/{'y' * 1_000_000}"),
        "a header without a colon": get("nonsense"),
        "a NUL in a header": get("x: a\0b"),
        "a space before the colon": get("x : y"),
        "a folded header": get("x: a", " folded"),
        "no Host": get(host=None),
        "two Hosts": get("host: y"),
        "a Host with a space": get(host="a b"),
        "a Host with a path": get(host="x/../y"),
        "two lengths": get("content-length: 1", "content-length: 2"),
        "length and chunked": get("content-length: 5", "transfer-encoding: chunked"),
        "a negative length": get("content-length: -1"),
        "HTTP/9.9": get(version="HTTP/9.9"),
        "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "a bearer that is none": get(path="/v1/models").replace(b"Bearer", b"Basic"),
        "a path with dots": get(path="/v1/../v1/models"),
    }
    wrong = []
    for name, head in rows.items():
        seen = await rig.client.raw(head, counted=False)
        # A connection that is closed without a word is an answer too, where the head could not be read. RFC
        # 9112 (6.1) also allows to go by the chunks and close the connection: nothing can be smuggled then.
        closed = name == "length and chunked" and seen.headers.get("connection") == "close"
        if seen.status is not None and not 400 <= seen.status < 500 and not closed:
            wrong.append(f"{name}: {seen.status}")
        assert (await rig.client.get("/healthz")).status == 200, name
    assert not wrong, ", ".join(wrong)
    return f"{len(rows)} rows"


@case(29, "unknown model", "404")
async def unknown_model(rig: Rig) -> str:
    for model in ("solo-999", "", "solo-29 ", "../solo-29", "x" * 100_000):
        failed(await rig.client.ask(model, Act()), 404, "model_not_found")
    return "5 names, 404 each"


@case(30, "revoked key", "401 in every worker within 1 s", Setup(workers=2))
async def revoked_key(rig: Rig) -> str:
    key = await asyncio.to_thread(rig.gateway.new_key)
    head = f"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    # So many connections reach both workers, but for once in thousands of runs.
    connections = [await rig.client.connect() for _ in range(16)]

    async def status(connection: Connection) -> int | None:
        seen = Seen("key", stream=False, sent_s=time.monotonic(), counted=False)
        await connection.send(head)
        await connection.read_answer(seen)
        return seen.status

    async def statuses() -> list[int | None]:
        return await asyncio.gather(*map(status, connections))

    async def all_refused() -> bool:
        return set(await statuses()) == {401}

    assert set(await statuses()) == {200}, "a fresh key is not in force everywhere"
    await asyncio.to_thread(rig.gateway.revoke, key)
    took = await wait_for(all_refused, "the key is refused everywhere", timeout_s=10)
    assert set(await statuses()) == {401}, "a refused key came back"
    for connection in connections:
        await connection.close()
    assert took <= 1, f"{took:.2f} s"
    return f"401 from both workers {ms(took)} after the revocation"


OVERLOAD = Setup(server="max_in_flight_requests = 24")


@case(31, "overload", "503 with retry-after within 50 ms; the admitted keep their p99", OVERLOAD)
async def overload(rig: Rig) -> str:
    act = Act(events=50, delay_ms=20)

    async def admitted() -> list[float]:
        seen = await asyncio.gather(*(rig.client.ask("solo-31", act) for _ in range(24)))
        return [answered_by(one, "a").took_s for one in seen]

    alone = percentile(await admitted(), 99)
    running = asyncio.create_task(admitted())

    async def full() -> bool:
        return (await rig.state())["open"] == 24

    await wait_for(full, "the gateway is full")
    shed: list[float] = []
    while len(shed) < 100 and not running.done():
        seen = failed(await rig.client.ask("solo-31", act), 503, "overloaded")
        assert int(seen.headers["retry-after"]) >= 1, seen.headers
        shed.append(seen.took_s)
        assert (await rig.client.get("/healthz")).status == 200
    crowded = percentile(await running, 99)
    assert len(shed) >= 10, f"only {len(shed)} in that time"
    assert statistics.median(shed) <= 0.05, f"median {ms(statistics.median(shed))}"
    assert crowded <= 1.5 * alone + 0.1, f"{ms(alone)} alone, {ms(crowded)} under overload"
    return (
        f"{len(shed)} shed, p50 {ms(statistics.median(shed))}, p99 {ms(percentile(shed, 99))}; "
        f"p99 of the admitted {ms(alone)} → {ms(crowded)}"
    )


@case(32, "pipelined requests", "no cross-talk")
async def pipelined(rig: Rig) -> str:
    connection = await rig.client.connect()
    sent = []
    for number in range(12):
        stream = number % 3 != 2
        act = Act(events=5 + number, delay_ms=2) if number % 4 else Act(head="status", status=400)
        sent.append(await rig.client.begin(connection, "solo-32", act, stream=stream))
    for seen in sent:
        await connection.read_answer(seen)
        seen.verify()  # each event names the request that it belongs to
    await connection.close()
    assert [seen.status for seen in sent] == [200 if number % 4 else 400 for number in range(12)]
    assert len({seen.request_id for seen in sent}) == len(sent)
    return "12 requests at once on one connection, answers in their order, each its own"
