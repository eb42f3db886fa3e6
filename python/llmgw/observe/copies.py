"""Copies of bodies as they pass, bounded each and all together."""

import threading


class Held:
    """Bytes that copies hold in memory. For several threads."""

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes`: of all together."""
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._bytes = 0

    def take(self, size: int) -> bool:
        """False: there is no room for so many."""
        with self._lock:
            if self._bytes + size > self._limit_bytes:
                return False
            self._bytes += size
            return True

    def give_back(self, size: int) -> None:
        """They are not held any more."""
        with self._lock:
            self._bytes -= size


class Copy:
    """The beginning of a body."""

    def __init__(self, held: Held, limit_bytes: int) -> None:
        """`limit_bytes`: of this one."""
        self._held = held
        self._limit_bytes = limit_bytes
        self.pieces: list[bytes] = []
        self.size = 0
        self.is_cut = False

    def add(self, piece: bytes) -> None:
        """Copy what fits."""
        if not piece or self.is_cut:
            return
        kept = bytes(piece[: self._limit_bytes - self.size])
        if not self._held.take(len(kept)):
            self.is_cut = True
            return
        self.pieces.append(kept)
        self.size += len(kept)
        self.is_cut = len(kept) < len(piece)
