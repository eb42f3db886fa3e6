"""Faults 1 to 20: what upstreams do."""

import asyncio
import statistics
from collections import Counter

from tests.faults.case import case
from tests.faults.client import Seen
from tests.faults.rig import Rig, wait_for
from tests.faults.script import Act
from tests.faults.upstream import CANARY, ODD_PAD

MIB = 1 << 20
EVENT_CAP_BYTES = 16 * MIB
BUDGET_WINDOW_S = 10
RETRIES_PER_S = 3
"""Those that the gateway always allows itself."""
SLACK_S = 4.0
"""What a busy machine may add to a time-out before it counts as not kept."""


def ms(seconds: float) -> str:
    """For figures."""
    return f"{seconds * 1000:.0f} ms"


def failed(seen: Seen, status: int, code: str) -> Seen:
    """It failed before anything was shown, and says so; nothing of an upstream's page is in it."""
    assert (seen.status, seen.code) == (status, code), f"status {seen.status}, error {seen.error}"
    assert CANARY.encode() not in seen.body, seen.body
    return seen


def broken_off(seen: Seen, *, events: int) -> Seen:
    """A stream that began, whose events all came through, and that ends in an error frame without [DONE]."""
    assert seen.status == 200, f"status {seen.status}, error {seen.error}"
    assert seen.error is not None, "no error frame"
    assert seen.finish_reason is None, f"dressed up as {seen.finish_reason!r}"
    assert seen.events == events, f"{seen.events} events of {events}"
    return seen


def answered_by(seen: Seen, upstream: str) -> Seen:
    """A success, from this upstream."""
    assert seen.completed, f"status {seen.status}, error {seen.error}"
    assert str(seen.origin).startswith(f"{upstream}/"), f"answered by {seen.origin}, not {upstream}"
    return seen


async def billed(rig: Rig, seen: Seen) -> tuple[int | None, str, str | None]:
    """Completion tokens, their source and the kind of error in the gateway's ledger."""
    assert seen.request_id is not None
    row = await asyncio.to_thread(rig.gateway.ledger, seen.request_id)
    return row["completion_tokens"], row["usage_source"], row["error_kind"]


async def until_closed(rig: Rig, seen: Seen, since_s: float = 0.0, *, upstream: str = "") -> float:
    """Seconds until the upstream saw that the gateway had closed its connection."""
    gone: list[float] = []

    async def closed() -> bool:
        exchanges = [e for e in await rig.exchanges_of(seen) if not upstream or e.upstream == upstream]
        gone[:] = [exchange.gone_s for exchange in exchanges if exchange.gone_s is not None]
        return bool(gone)

    await wait_for(closed, "the upstream's connection is closed", timeout_s=5)
    return max(0.0, gone[-1] - since_s)


async def alone_and_with_fallback(
    rig: Rig, number: int, act: Act, status: int, code: str
) -> tuple[Seen, Seen]:
    """With one target the fault is told by its status; with a second one the client sees nothing of it."""
    alone = failed(await rig.client.ask(f"solo-{number}", act), status, code)
    helped = answered_by(await rig.client.ask(f"pair-{number}", {"a": act, "b": Act()}), "b")
    return alone, helped


@case(1, "connection refused or blackholed", "the next target answers; alone: 502, 504")
async def no_connection(rig: Rig) -> str:
    failed(await rig.client.ask("only-refused-1", Act()), 502, "upstream_unreachable")
    refused = answered_by(await rig.client.ask("refused-1", Act()), "b")
    alone = failed(await rig.client.ask("only-blackhole-1", Act()), 504, "upstream_timeout")
    dropped = answered_by(await rig.client.ask("blackhole-1", Act()), "b")
    assert alone.took_s < 4 + SLACK_S
    assert dropped.took_s < 1 + SLACK_S, "longer than the time to connect"
    waited = f"{ms(dropped.took_s)} (blackholed, connect_timeout 1 s)"
    return f"fallback after {ms(refused.took_s)} (refused), {waited}"


@case(2, "stall before headers", "first-event timeout, fallback, else 504")
async def stall_before_headers(rig: Rig) -> str:
    alone, helped = await alone_and_with_fallback(rig, 2, Act(head="stall"), 504, "upstream_timeout")
    return await _first_event_figure(rig, alone, helped)


@case(3, "headers, then silence", "the same; the client has seen nothing yet")
async def headers_then_silence(rig: Rig) -> str:
    alone, helped = await alone_and_with_fallback(rig, 3, Act(head="silence"), 504, "upstream_timeout")
    return await _first_event_figure(rig, alone, helped)


async def _first_event_figure(rig: Rig, alone: Seen, helped: Seen) -> str:
    limit_s = rig.setup.first_event_timeout_s
    assert limit_s - 0.1 < helped.took_s < limit_s + SLACK_S, helped.took_s
    await until_closed(rig, helped, upstream="a")
    figures = f"504 after {ms(alone.took_s)}, fallback after {ms(helped.took_s)}"
    return f"{figures} (first_event_timeout {limit_s:g} s)"


@case(4, "stall mid-stream", "idle timeout, error frame, no [DONE]")
async def stall_mid_stream(rig: Rig) -> str:
    seen = broken_off(await rig.client.ask("solo-4", Act(end="stall")), events=6)
    assert seen.code == "upstream_timeout", seen.error
    limit_s = rig.setup.idle_timeout_s
    assert limit_s - 0.1 < seen.took_s < limit_s + SLACK_S, seen.took_s
    assert await billed(rig, seen) == (6, "partial", "idle_timeout")
    return f"error frame after {ms(seen.took_s)} (idle_timeout {limit_s:g} s)"


@case(5, "reset mid-stream", "error frame, no [DONE]; partial usage in the ledger")
async def reset_mid_stream(rig: Rig) -> str:
    seen = broken_off(await rig.client.ask("pair-5", Act(end="reset")), events=6)
    assert await billed(rig, seen) == (6, "partial", "reset")
    assert len(await rig.exchanges_of(seen)) == 1, "tried again after the client had been shown something"
    return "6 events, then the frame; 6 tokens in the ledger, partial; one attempt"


@case(6, "truncated JSON event", "the same")
async def truncated_event(rig: Rig) -> str:
    seen = broken_off(await rig.client.ask("pair-6", Act(end="cut")), events=6)
    tokens, source, _kind = await billed(rig, seen)
    assert (tokens, source) == (6, "partial")
    return "6 events, then the frame; 6 tokens in the ledger, partial"


@case(7, "clean end without [DONE] and finish reason", "an error, not a success")
async def clean_end(rig: Rig) -> str:
    seen = broken_off(await rig.client.ask("pair-7", Act(end="close")), events=6)
    assert await billed(rig, seen) == (6, "partial", "truncated")
    merged = failed(await rig.client.ask("merged-7", Act(end="close"), stream=False), 502, "upstream_error")
    return f"error frame; merged: {merged.status}"


@case(8, "a 10 MB event", "passes below the cap (16 MiB), else an error")
async def big_event(rig: Rig) -> str:
    answered_by(passed := await rig.client.ask("solo-8", Act(events=2, pad=10_000_000)), "a")
    over = await rig.client.ask("solo-8", Act(events=1, pad=EVENT_CAP_BYTES + 1))
    failed(over, 502, "upstream_error")
    return f"2 × 10 MB in {ms(passed.took_s)}; above the cap: 502 after {ms(over.took_s)}"


@case(9, "a line without end", "capped; the upstream is aborted")
async def endless_line(rig: Rig) -> str:
    seen = broken_off(await rig.client.ask("solo-9", Act(end="endless")), events=6)
    await until_closed(rig, seen)
    [exchange] = await rig.exchanges_of(seen)
    assert exchange.written_bytes < EVENT_CAP_BYTES + 16 * MIB, exchange.written_bytes
    assert (await billed(rig, seen))[2] == "event_too_large"
    before = rig.resources().rss_kib
    for _ in range(4):
        crowd = [rig.client.ask("solo-9", Act(end="endless")) for _ in range(10)]
        for one in await asyncio.gather(*crowd):
            broken_off(one, events=6)
    grown = 0.0

    async def given_back() -> bool:
        nonlocal grown
        grown = (rig.resources().rss_kib - before) / 1024
        return grown < 64

    # What the C library keeps at the top of its heaps comes back once a worker has been idle
    # (serving.memory.TICKS_TO_IDLE); how much that is depends on which threads the buffers were made by.
    await wait_for(given_back, "the memory of 40 such lines is given back", timeout_s=60)
    cut = f"cut off after {exchange.written_bytes / MIB:.1f} MiB (cap 16 MiB)"
    return f"{cut}; memory {grown:+.0f} MiB after 40 of them"


@case(10, "one-byte chunks", "identical bytes out")
async def one_byte_chunks(rig: Rig) -> str:
    whole = answered_by(await rig.client.ask("solo-10", Act(pad=50)), "a")
    bytewise = answered_by(await rig.client.ask("solo-10", Act(pad=50, framing="bytes")), "a")

    def comparable(seen: Seen) -> bytes:
        # Marks, origins and so hashes differ; everything else must not.
        words = [word for word in seen.body.split(b" ") if b"x" * 50 not in word]
        return b" ".join(word for word in words if not word.startswith((b"a/", b'"m')) and len(word) != 16)

    assert comparable(whole) == comparable(bytewise)
    return f"{len(bytewise.body)} bytes, {bytewise.events} events, unaltered"


@case(11, "gzip, br, zstd though identity was asked for", "bounded decoding or 502")
async def encoded(rig: Rig) -> str:
    for encoding in ("gzip", "br", "zstd"):
        act = Act(head="encoded", encoding=encoding)
        for stream in (True, False):
            failed(await rig.client.ask("solo-11", act, stream=stream), 502, "upstream_error")
    answered_by(await rig.client.ask("pair-11", {"a": Act(head="encoded"), "b": Act()}), "b")
    return "502 for each, streamed and not; fallback answers"


@case(12, "zip bomb", "capped by a ratio, or never unpacked")
async def zip_bomb(rig: Rig) -> str:
    before = rig.resources().rss_kib
    for _ in range(3):
        failed(await rig.client.ask("solo-12", Act(head="bomb", pad=1 << 30)), 502, "upstream_error")
    grown = (rig.resources().rss_kib - before) / 1024
    assert grown < 32, f"{grown:.0f} MiB"
    return f"502; 3 × 1 GiB packed in 1 MiB: memory {grown:+.1f} MiB"


@case(13, "429 with retry-after", "cool-down, the other target; else passed on with the header")
async def rate_limited(rig: Rig) -> str:
    act = Act(head="status", status=429, retry_after_s=30)
    alone = failed(await rig.client.ask("solo-13", act), 429, "upstream_rate_limited")
    assert alone.headers.get("retry-after") in ("29", "30"), alone.headers
    answered_by(await rig.client.ask("pair-13", {"a": act, "b": Act()}), "b")
    # While a is cooling down, it is not even asked.
    for _ in range(5):
        later = answered_by(await rig.client.ask("pair-13", Act()), "b")
        assert len(await rig.exchanges_of(later)) == 1
    return f"alone: 429, retry-after {alone.headers['retry-after']}; cooling: 5 of 5 requests straight to b"


@case(14, "503, then 200", "one retry")
async def unavailable_once(rig: Rig) -> str:
    took = []
    for _ in range(3):
        seen = answered_by(await rig.client.ask("solo-14", [Act(head="status", status=503), Act()]), "a")
        exchanges = await rig.exchanges_of(seen)
        assert len(exchanges) == 2, f"{len(exchanges)} attempts"
        assert seen.headers.get("x-llmgw-attempts") == "2", seen.headers
        took.append(seen.took_s)
    # Where everything fails, retries are a fifth of the requests, and a few a second.
    count = 200
    act = Act(head="status", status=503)
    storm = await asyncio.gather(*(rig.client.ask("solo-14", act) for _ in range(count)))
    marks = {failed(seen, 503, "overloaded").mark for seen in storm}
    # The budget counts the requests of some seconds, so the cases before this one count too.
    since_s = max(seen.ended_s for seen in storm) - BUDGET_WINDOW_S
    recent = Counter(e.request_id for e in await rig.exchanges() if e.began_s >= since_s)
    tried = Counter(e.mark for e in await rig.exchanges() if e.mark in marks)
    assert max(tried.values()) <= 2, "more than one retry"
    allowed = 1.2 * len(recent) + RETRIES_PER_S * BUDGET_WINDOW_S
    assert recent.total() <= allowed, f"{recent.total()} attempts at {len(recent)} requests"
    figure = f"answered at the second attempt, after {ms(statistics.median(took))}"
    return f"{figure}; {count} at once that all fail: {recent.total()} attempts at the {len(recent)} of 10 s"


@case(15, "an error in the first event of a 200", "fallback")
async def error_in_first_event(rig: Rig) -> str:
    act = Act(head="error_event", status=503)
    failed(await rig.client.ask("solo-15", act), 503, "overloaded")
    helped = answered_by(await rig.client.ask("pair-15", {"a": act, "b": Act()}), "b")
    return f"fallback answers after {ms(helped.took_s)}"


@case(16, "HTML error page", "502 JSON; its body is not echoed")
async def html_page(rig: Rig) -> str:
    for status in (500, 502):
        act = Act(head="html", status=status)
        failed(await rig.client.ask("solo-16", act), 502, "upstream_error")
        failed(await rig.client.ask("solo-16", act, stream=False), 502, "upstream_error")
    answered_by(await rig.client.ask("pair-16", {"a": Act(head="html", status=500), "b": Act()}), "b")
    return "502 JSON, nothing of the page in it; fallback answers"


@case(17, "wrong content type", "502")
async def wrong_content_type(rig: Rig) -> str:
    for stream in (True, False):
        failed(await rig.client.ask("solo-17", Act(head="wrong_type"), stream=stream), 502, "upstream_error")
    return "502, streamed and not"


@case(18, "redirect", "refused; the key never leaves")
async def redirect(rig: Rig) -> str:
    for stream in (True, False):
        failed(await rig.client.ask("solo-18", Act(head="redirect"), stream=stream), 502, "upstream_error")
    trapped = (await rig.state())["trapped"]
    assert trapped == 0, f"{trapped} connections to where the redirect points"
    return "502; nobody went where it points"


@case(19, "invalid UTF-8, U+2028, CRLF, BOM", "to the letter of the SSE specification")
async def odd_framing(rig: Rig) -> str:
    act = Act(framing="odd", events=30)
    answered_by(seen := await rig.client.ask("solo-19", act), "a")
    assert seen.events == 30
    assert seen.body.count("\u2028".encode()) == 30, "U+2028 is no line end"
    assert seen.body.count("\ufffd".encode()) == 30, "an invalid byte is decoded with replacement"
    answered_by(await rig.client.ask("merged-19", act, stream=False), "a")
    return f"30 events of BOM, CRLF, CR, split data lines; {ODD_PAD!r} arrives as it should"


@case(20, "an answer before the request body is sent", "no deadlock")
async def early_answer(rig: Rig) -> str:
    body = b'{"model": "early-stream-20", "stream": true, "stream_options": {"include_usage": true},'
    body += b'"messages": [{"role": "user", "content": "%b"}]}' % (b"x" * 20_000_000)
    seen = await rig.client.raw(rig.client.head(len(body)), body, mark="early", stream=True)
    seen.verify()
    assert seen.completed, f"status {seen.status}, error {seen.error}"
    assert seen.events == 2000
    body = body.replace(b"early-stream", b"early-refusal")
    refused = await rig.client.raw(rig.client.head(len(body)), body, mark="early", stream=True)
    refused.verify()
    assert refused.status == 413, refused.error
    return (
        f"8 MB answered while 20 MB were unread, {ms(seen.took_s)}; a 413 passes after {ms(refused.took_s)}"
    )
