"""The little of HTTP/2 that a hostile client needs (RFC 9113): frames, and literal header fields."""

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM = 1
END_HEADERS = 4
ACK = 1
INITIAL_WINDOW_SIZE = 4
_LITERAL_NEVER_INDEXED = b"\x10"
_PREFIX = 127
_INDEXED_STATUS = {0x88: 200, 0x8C: 400, 0x8D: 404, 0x8E: 500}
"""The fields of HPACK's static table that are a status."""


class Kind(IntEnum):
    """The types of frames that are used here."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Frame(NamedTuple):
    """A frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def status(self) -> bytes | int:
        """Of an answer's HEADERS: the number, or the field as HPACK has it."""
        return _INDEXED_STATUS.get(self.payload[0], self.payload[:8])


def frame(kind: Kind, stream: int = 0, payload: bytes = b"", *, flags: int = 0) -> bytes:
    """A frame to be sent."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values: int) -> bytes:
    """SETTINGS; the only one by name is `window`, the initial window of streams."""
    pairs = [struct.pack(">HI", INITIAL_WINDOW_SIZE, window) for window in values.values()]
    return frame(Kind.SETTINGS, payload=b"".join(pairs))


def fields(
    path: str, *more: tuple[str, str], method: str = "GET", authority: str = "gateway"
) -> list[tuple[str, str]]:
    """The header fields of a request."""
    pseudo = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    return [*pseudo, *more]


def block(header_fields: Sequence[tuple[str, str]]) -> bytes:
    """A header block without compression."""
    texts = ((_text(name), _text(value)) for name, value in header_fields)
    return b"".join(_LITERAL_NEVER_INDEXED + name + value for name, value in texts)


def request(
    stream: int, path: str, *more: tuple[str, str], method: str = "GET", body: bytes | None = None
) -> bytes:
    """A whole request."""
    flags = END_HEADERS if body is not None else END_HEADERS | END_STREAM
    head = frame(Kind.HEADERS, stream, block(fields(path, *more, method=method)), flags=flags)
    return head if body is None else head + frame(Kind.DATA, stream, body, flags=END_STREAM)


def _text(text: str) -> bytes:
    """A string literal of HPACK, without Huffman's code (RFC 7541, section 5.2)."""
    length = len(text)
    if length < _PREFIX:
        return bytes([length]) + text.encode()
    coded, rest = bytearray([_PREFIX]), length - _PREFIX
    while rest > _PREFIX:
        coded.append(rest % 128 + 128)
        rest //= 128
    coded.append(rest)
    return bytes(coded) + text.encode()


class Reader:
    """The frames that come on a connection. SETTINGS are acknowledged, nothing else is done for them."""

    def __init__(self, connection: socket.socket) -> None:
        """The connection's own timeout applies."""
        self._connection = connection
        self._buffer = b""

    def next(self) -> Frame | None:
        """The next frame; None at the end of the connection, however it ends. Raises TimeoutError."""
        while len(self._buffer) < 9 or len(self._buffer) < 9 + self._length():
            try:
                piece = self._connection.recv(65_536)
            except ConnectionError:
                return None
            if not piece:
                return None
            self._buffer += piece
        length, head = self._length(), self._buffer[:9]
        payload, self._buffer = self._buffer[9 : 9 + length], self._buffer[9 + length :]
        found = Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFF_FFFF, payload)
        if found.kind == Kind.SETTINGS and not found.flags & ACK:
            with suppress(OSError):
                self._connection.sendall(frame(Kind.SETTINGS, flags=ACK))
        return found

    def until(self, kind: Kind, stream: int | None = None) -> Frame | None:
        """The next frame of a kind, on a stream; None: the connection ended before."""
        while (found := self.next()) is not None:
            if found.kind == kind and (stream is None or found.stream == stream):
                return found
        return None

    def _length(self) -> int:
        return int.from_bytes(self._buffer[:3], "big")
