"""The mark that the upstream puts on each event, and the client's check of it.

An event's content is one line, `MARK ORIGIN SEQ HASH PAD`. `MARK` names the request, `ORIGIN` the upstream
and its exchange, `HASH` runs over all lines so far. So a line that is lost, doubled, moved, altered or that
comes from another stream shows, however the gateway cuts and joins events.
"""

import hashlib

_START = "llmgw"


def _hash(previous: str, words: str) -> str:
    return hashlib.blake2b(f"{previous} {words}".encode(), digest_size=8).hexdigest()


class Stamper:
    """The upstream's side: makes the lines of one exchange."""

    def __init__(self, mark: str, origin: str) -> None:
        """`mark` and `origin` are single words."""
        self._mark = mark
        self._origin = origin
        self._hash = _START
        self.seq = 0

    def next(self, pad: str = "") -> str:
        """The next event's content. `pad` is filler without a line feed."""
        words = f"{self._mark} {self._origin} {self.seq}"
        self._hash = _hash(self._hash, f"{words} {pad}")
        self.seq += 1
        return f"{words} {self._hash} {pad}\n"


class BrokenChainError(AssertionError):
    """What the client got is not an unbroken prefix of what one exchange of the upstream said."""


class Verified:
    """The client's side: what a content, put together from its deltas, turns out to be."""

    def __init__(self, mark: str, content: str) -> None:
        """Raises BrokenChainError."""
        self.events = 0
        self.origin: str | None = None
        previous = _START
        lines = content.split("\n")
        if lines.pop():
            message = f"{mark}: the content ends in the middle of an event: {content[-80:]!r}"
            raise BrokenChainError(message)
        for line in lines:
            got_mark, origin, seq, digest, pad = line.split(" ", 4)
            if got_mark != mark:
                raise BrokenChainError(f"{mark}: an event of another request: {line[:80]!r}")
            if self.origin is not None and origin != self.origin:
                raise BrokenChainError(f"{mark}: two upstreams in one answer: {self.origin}, {origin}")
            if int(seq) != self.events:
                raise BrokenChainError(f"{mark}: event {seq} where {self.events} was due")
            previous = _hash(previous, f"{got_mark} {origin} {seq} {pad}")
            if digest != previous:
                raise BrokenChainError(f"{mark}: the hash of event {seq} is wrong: {line[:80]!r}")
            self.origin = origin
            self.events += 1
