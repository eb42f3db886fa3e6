"""Request bodies in gzip or zstd, decoded in steps that neither time nor memory can get out of hand in.

zlib is Python's own. zstd is Python's own from 3.14 on; `backports.zstd` is that module for older ones.
"""

import asyncio
import sys
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmgw.asgi.request import Fields
from llmgw.errors import ApiError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

MAX_RATIO: Final = 100
"""A body that decodes to more times its size is refused, once it has reached `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES: Final = 1_048_576
MAX_MEMBERS: Final = 256
"""A body may be several members (gzip) or frames (zstd) in a row. Each costs a decoder of its own."""
INLINE_BYTES: Final = 65_536
"""So many bytes, read and decoded, are worked on by the event loop itself: a fraction of a millisecond."""
STEP_BYTES: Final = 1_048_576
"""Worked on in a thread before the loop counts what came out."""
_FEED_BYTES: Final = 16_384
"""Given to a decoder at once. It copies what is left of them at each call: this bounds the copying."""
_PIECE_BYTES: Final = 262_144
_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB, what RFC 9659 asks of decoders: a frame may want a window of many gigabytes."""


class _Decoder(Protocol):
    """Of one member or frame, as Python's `ZstdDecompressor` has it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipDecoder:
    """zlib's decoder with the interface of the other one."""

    needs_input = True

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        tail = self._inflate.unconsumed_tail
        piece = self._inflate.decompress(tail + data if tail else data, max_length)
        # A full piece may have more behind it even where all input is taken.
        self.needs_input = not self._inflate.unconsumed_tail and len(piece) < max_length
        return piece


def _zstd_decoder() -> _Decoder:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_CODINGS: Final[dict[bytes, Callable[[], _Decoder]]] = {
    b"gzip": _GzipDecoder,
    b"x-gzip": _GzipDecoder,
    b"zstd": _zstd_decoder,
}


def content_coding(fields: Fields) -> bytes | None:
    """How a body is encoded; None: not at all. Raises ApiError: `unsupported_encoding`."""
    values = fields.get(b"content-encoding")
    if values is None:
        return None
    listed = b",".join(values).split(b",")
    named = [name for value in listed if (name := value.strip().lower()) not in {b"", b"identity"}]
    if not named:
        return None
    if len(named) > 1 or named[0] not in _CODINGS:
        message = "This content-encoding is not supported. Send the body plain, or in either gzip or zstd."
        raise ApiError("unsupported_encoding", message)
    return named[0]


async def decoded(
    pieces: Sequence[bytes], coding: bytes, *, limit_bytes: int, hold: Callable[[int], None]
) -> Sequence[bytes]:
    """A body without its coding. `hold(size)` is called for each size that is kept besides the encoded one.

    Raises ApiError (`invalid_encoding`, `body_too_large`), and what `hold` raises.
    """
    body = EncodedBody(pieces, coding, limit_bytes=limit_bytes)
    hold(body.step(INLINE_BYTES))
    while not body.finished:
        hold(await asyncio.to_thread(body.step, STEP_BYTES))
    return body.decoded


class EncodedBody:
    """A body that is being decoded. For one thread at a time."""

    def __init__(self, pieces: Sequence[bytes], coding: bytes, *, limit_bytes: int) -> None:
        """Decodes nothing yet."""
        self.decoded: list[bytes] = []
        self.finished = False
        self._coding = coding
        self._limit_bytes = limit_bytes
        self._ratio_bytes = max(RATIO_FREE_BYTES, MAX_RATIO * sum(map(len, pieces)))
        self._left = deque(memoryview(piece) for piece in pieces)
        self._decoder = _CODINGS[coding]()
        self._members = 1
        self._size = 0

    def step(self, budget: int) -> int:
        """Read and decode about `budget` bytes. Returns how many came out. Raises ApiError, as `decoded`."""
        before = self._size
        while budget > 0 and not self.finished:
            data = self._feed() if self._decoder.needs_input else b""
            piece = self._decode(data)
            self._keep(piece)
            budget -= len(data) + len(piece)
            if self._decoder.eof:
                budget -= self._next_member()
        return self._size - before

    def _feed(self) -> bytes:
        while self._left:
            piece = self._left.popleft()
            if len(piece) > _FEED_BYTES:
                self._left.appendleft(piece[_FEED_BYTES:])
            if piece:
                return bytes(piece[:_FEED_BYTES])
        raise self._invalid("ends too early")

    def _decode(self, data: bytes) -> bytes:
        try:
            return self._decoder.decompress(data, _PIECE_BYTES)
        except (zlib.error, ZstdError):
            raise self._invalid("is malformed") from None

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self.decoded.append(piece)
        self._size += len(piece)
        if self._size > self._limit_bytes:
            message = f"The request body decodes to more than the limit of {self._limit_bytes} bytes."
            raise ApiError("body_too_large", message)
        if self._size > self._ratio_bytes:
            raise ApiError(
                "body_too_large", f"The request body decodes to more than {MAX_RATIO} times its size."
            )

    def _next_member(self) -> int:
        """Go on behind a member that has ended. Returns what that costs, in bytes of work."""
        rest = self._decoder.unused_data
        if rest:
            self._left.appendleft(memoryview(rest))
        self.finished = not any(self._left)
        if not self.finished:
            self._members += 1
            if self._members > MAX_MEMBERS:
                raise self._invalid("has too many parts")
            self._decoder = _CODINGS[self._coding]()
        return _FEED_BYTES

    def _invalid(self, problem: str) -> ApiError:
        name = self._coding.removeprefix(b"x-").decode("ascii")
        return ApiError("invalid_encoding", f"The request body {problem}: its content-encoding is {name}.")
