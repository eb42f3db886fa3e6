"""Request bodies in gzip and zstd: every way to send one, and every way to make one cost more than it is."""

import asyncio
import gzip
import threading
import zlib
from collections.abc import Callable, Sequence

import pytest

from llmgw.asgi import encoding
from llmgw.asgi.encoding import (
    INLINE_BYTES,
    MAX_MEMBERS,
    MAX_RATIO,
    RATIO_FREE_BYTES,
    STEP_BYTES,
    EncodedBody,
    content_coding,
    decoded,
)
from llmgw.asgi.request import read_fields
from llmgw.errors import ApiError, render_headers
from tests.support.zstd import zstd

LIMIT_BYTES = 8 * STEP_BYTES
TEXT = b'{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
PACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"zstd": lambda body: zstd.compress(body, options={zstd.CompressionParameter.checksum_flag: 1}),
}


def noise(size: int) -> bytes:
    """Bytes that compress a little, about as JSON in base64 does."""
    state, out = 1, bytearray()
    while len(out) < size:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        out += b"%016x" % state
    return bytes(out[:size])


NOISE = noise(3 * STEP_BYTES)


def unpack(pieces: Sequence[bytes], coding: bytes, limit_bytes: int = LIMIT_BYTES) -> bytes:
    out = asyncio.run(decoded(pieces, coding, limit_bytes=limit_bytes, hold=lambda _: None))
    return b"".join(out)


def refused(pieces: Sequence[bytes], coding: bytes, limit_bytes: int = LIMIT_BYTES) -> ApiError:
    with pytest.raises(ApiError) as raised:
        unpack(pieces, coding, limit_bytes)
    return raised.value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([b""], None),
        ([b" "], None),
        ([b"identity"], None),
        ([b"identity, identity"], None),
        ([b"Identity", b"", b" identity ,"], None),
        ([b"gzip"], b"gzip"),
        ([b" GZip "], b"gzip"),
        ([b"x-gzip"], b"x-gzip"),
        ([b"gzip, identity"], b"gzip"),
        ([b"identity", b"zstd"], b"zstd"),
    ],
)
def test_the_coding_of_a_body(values: list[bytes], expected: bytes | None) -> None:
    assert content_coding({b"content-encoding": values}) == expected


@pytest.mark.parametrize(
    "values",
    [
        [b"deflate"],
        [b"br"],
        [b"compress"],
        [b"gzip, gzip"],
        [b"gzip", b"zstd"],
        [b"aws-chunked"],
        [b"gzip;q=1"],
    ],
)
def test_other_codings_are_refused_with_what_would_do(values: list[bytes]) -> None:
    with pytest.raises(ApiError, match="either gzip or zstd") as raised:
        content_coding({b"content-encoding": values})
    assert (raised.value.code, raised.value.status) == ("unsupported_encoding", 415)
    assert (b"accept-encoding", b"gzip, zstd") in render_headers(raised.value)


def test_no_header_is_no_coding() -> None:
    assert content_coding(read_fields({"headers": []})) is None


@pytest.mark.parametrize("coding", PACK)
def test_a_body_cut_anywhere(coding: bytes) -> None:
    packed = PACK[coding](TEXT)
    for cut in range(len(packed) + 1):
        assert unpack([packed[:cut], b"", packed[cut:]], coding) == TEXT
    assert unpack([packed[at : at + 1] for at in range(len(packed))], coding) == TEXT


@pytest.mark.parametrize("coding", PACK)
@pytest.mark.parametrize(
    "body",
    [b"", NOISE, NOISE[: 4 * 65_536], b" " * RATIO_FREE_BYTES, b"ab" * 131_072],
    ids=["empty", "large", "one piece", "blanks", "pairs"],
)
def test_a_body_of_any_size(coding: bytes, body: bytes) -> None:
    assert unpack([PACK[coding](body)], coding) == body


@pytest.mark.parametrize("coding", PACK)
def test_members_in_a_row_are_one_body(coding: bytes) -> None:
    pack = PACK[coding]
    packed = pack(TEXT) + pack(b"") + pack(NOISE) + pack(TEXT)
    assert unpack([packed], coding) == TEXT + NOISE + TEXT
    assert unpack([pack(b"x") * MAX_MEMBERS], coding) == b"x" * MAX_MEMBERS


def test_a_skippable_frame_of_zstd_is_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    assert unpack([skippable + zstd.compress(TEXT) + skippable], b"zstd") == TEXT


@pytest.mark.parametrize("coding", PACK)
def test_a_body_that_is_none(coding: bytes) -> None:
    packed = PACK[coding](TEXT)
    rows = {
        **{f"cut at {cut}": packed[:cut] for cut in range(len(packed))},
        "not packed": TEXT,
        "something behind it": packed + b"\0",
        "garbage behind it": packed + TEXT,
        "another byte inside": packed[:14] + bytes([packed[14] ^ 0xFF]) + packed[15:],
        "one part more than may be": PACK[coding](b"") * (MAX_MEMBERS + 1),
    }
    for name, body in rows.items():
        error = refused([body], coding)
        assert (error.code, error.status) == ("invalid_encoding", 400), name
        assert "content-encoding" in error.message, name


def test_zlib_s_own_format_is_no_gzip() -> None:
    assert refused([zlib.compress(TEXT)], b"gzip").code == "invalid_encoding"


def test_a_frame_that_wants_a_huge_window_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(TEXT) + packer.flush()
    assert refused([packed], b"zstd").code == "invalid_encoding"


@pytest.mark.parametrize("coding", PACK)
def test_the_limit_counts_what_comes_out(coding: bytes) -> None:
    packed = PACK[coding](NOISE)
    assert unpack([packed], coding, len(NOISE)) == NOISE
    error = refused([packed], coding, len(NOISE) - 1)
    assert (error.code, error.status) == ("body_too_large", 413)
    assert str(len(NOISE) - 1) in error.message


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_is_refused_long_before_the_limit(coding: bytes) -> None:
    packed = PACK[coding](b" " * 6 * STEP_BYTES)
    assert len(packed) * MAX_RATIO < RATIO_FREE_BYTES
    body = EncodedBody([packed], coding, limit_bytes=LIMIT_BYTES)
    with pytest.raises(ApiError, match=f"{MAX_RATIO} times") as raised:
        body.step(LIMIT_BYTES)
    assert raised.value.code == "body_too_large"
    assert sum(map(len, body.decoded)) <= RATIO_FREE_BYTES + 262_144


@pytest.mark.parametrize("coding", PACK)
def test_what_is_kept_is_counted_as_it_comes(coding: bytes) -> None:
    held: list[int] = []
    out = asyncio.run(decoded([PACK[coding](NOISE)], coding, limit_bytes=LIMIT_BYTES, hold=held.append))
    assert sum(held) == sum(map(len, out)) == len(NOISE)
    assert len(held) > 2
    assert max(held) <= STEP_BYTES + 262_144


def test_who_may_hold_no_more_stops_the_work() -> None:
    def hold(size: int) -> None:
        if size:
            raise ApiError("overloaded", "No more.")

    with pytest.raises(ApiError, match=r"No more\."):
        asyncio.run(decoded([gzip.compress(NOISE)], b"gzip", limit_bytes=LIMIT_BYTES, hold=hold))


@pytest.mark.parametrize("coding", PACK)
def test_only_a_beginning_is_decoded_on_the_loop(coding: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[threading.Thread, int]] = []
    step = EncodedBody.step

    def watched(body: EncodedBody, budget: int) -> int:
        seen.append((threading.current_thread(), budget))
        return step(body, budget)

    monkeypatch.setattr(encoding.EncodedBody, "step", watched)
    unpack([PACK[coding](NOISE)], coding)
    here = threading.main_thread()
    assert [budget for thread, budget in seen if thread is here] == [INLINE_BYTES]
    assert {budget for thread, budget in seen if thread is not here} == {STEP_BYTES}
    seen.clear()
    unpack([PACK[coding](TEXT)], coding)
    assert len(seen) == 1


@pytest.mark.parametrize("coding", PACK)
def test_a_body_without_an_end_of_nothing_is_worked_off_in_steps(coding: bytes) -> None:
    """Parts that say nothing cost a step's budget as well: the loop is never held for more than the first."""
    body = EncodedBody([PACK[coding](b"") * MAX_MEMBERS], coding, limit_bytes=LIMIT_BYTES)
    steps = 0
    while not body.finished:
        body.step(INLINE_BYTES)
        steps += 1
    assert steps >= MAX_MEMBERS // 8
