"""A conversation stays with its target, whose provider has its beginning in the cache: rendezvous hashing.

    session ──► a score at each target ──► the healthy one with the best score

A provider's prompt cache is per account and often per machine. So all turns of a session (see `session_of`)
go to the same target as long as that is healthy and has a place; else to the second best, and back. Nothing
is remembered: the score follows from session and target alone, so that all workers and machines agree, and a
target that comes or goes moves no sessions but its own. Each target gets its share by weight.
"""

import hashlib
import math
from typing import TYPE_CHECKING, Final, Protocol

from llmgw.asgi.request import Fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmgw.routing.targets import Target

SESSION_HEADER: Final = b"x-llmgw-session"
CLIENT_HEADERS: Final = (
    b"x-claude-code-session-id", b"session-id", b"session_id", b"x-session-id", b"x-session-affinity",
)  # fmt: skip
"""Of Claude Code, Codex (the newer one first) and opencode. `asgi.request` must read them."""
MAX_SESSION_BYTES: Final = 256
"""Of a header, as in the core: a longer one is as good as none."""
_BITS: Final = (1 << 64) - 1
_FRACTION: Final = 2.0**-52


class Conversation(Protocol):
    """What a body tells: see `_core.ChatRequest`."""

    @property
    def prompt_cache_key(self) -> str | None: ...  # noqa: D102
    @property
    def client_session(self) -> str | None: ...  # noqa: D102
    def opening_digest(self) -> int | None: ...  # noqa: D102


def session_of(key_id: int, fields: Fields, body: Conversation | None) -> int | None:
    """The session of a request, as 64 bits. None: nothing tells which.

    By its headers, its `prompt_cache_key` or what else the client calls it, one key's sessions apart from
    another's; else by how the conversation begins, whoever has it: the same beginning is in the same cache.
    `body`: None for APIs without conversations.
    """
    session = named_session(key_id, fields, body)
    return session if session is not None or body is None else body.opening_digest()


def named_session(key_id: int, fields: Fields, body: Conversation | None) -> int | None:
    """The session that headers or body name. None: they name none."""
    named = _header(fields, SESSION_HEADER)
    if named is None and body is not None and (cache_key := body.prompt_cache_key) is not None:
        named = cache_key.encode("utf-8", "replace")
    if named is None:
        named = next(filter(None, (_header(fields, name) for name in CLIENT_HEADERS)), None)
    if named is None and body is not None and (client := body.client_session) is not None:
        named = client.encode("utf-8", "replace")
    return None if named is None else _hash(b"%d %b" % (key_id, named))


def identity_of(upstream: str, account: int | None, upstream_model: str) -> int:
    """What a target is known by, on all machines and over reloads. The only account is the first one."""
    return _hash("\n".join((upstream, str(account or 1), upstream_model)).encode("utf-8", "replace"))


def distance(session: int, target: "Target") -> float:
    """How far a session is from a target, more than 0: the nearest one is its own.

    -ln(u) / weight with u uniform in (0, 1): of such numbers, each is the least with a probability that is
    its share of all weights (the score of weighted rendezvous hashing is one over this).
    """
    return -math.log(_uniform(session ^ target.identity)) / target.weight


def nearest(session: int, targets: "Sequence[Target]") -> "Target":
    """The session's own among these, of which there is one at least."""
    return min(targets, key=lambda target: distance(session, target))


def _header(fields: Fields, name: bytes) -> bytes | None:
    for value in fields.get(name, ()):
        if 0 < len(value) <= MAX_SESSION_BYTES:
            return value
    return None


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _uniform(bits: int) -> float:
    """A number between 0 and 1 of 64 bits, which are mixed well (the end of SplitMix64)."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _BITS
    return (((bits ^ (bits >> 31)) >> 12) + 0.5) * _FRACTION
