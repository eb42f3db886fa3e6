"""Three ledgers, of the upstream, the gateway and the client, and whether they agree.

"Nothing lost" means here, request by request:

- every request with a valid key has exactly one row in the gateway's ledger, with the status that its client saw;
- accepted = completed + client-aborted + upstream-failed + shed (+ refused: a fault of the request itself), and
  client and gateway say the same of each;
- tokens: for a completed request, what the upstream emitted = what the gateway billed = what the client was shown.
  An answer that broke off is billed by the last usage that the gateway read: at most what the upstream wrote, at
  least one token for each event that the client got. What a reset or a departure left unread is `unread_tokens`;
- all events of one answer come from one exchange (`stamp.py`), and a request's exchanges never overlap.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.client import Seen
from tests.faults.script import Exchange

Fate = Literal["completed", "aborted", "failed", "shed", "refused"]

REFUSED = frozenset({
    "invalid_json", "invalid_type", "missing_field", "duplicate_field", "too_deep", "unsupported_modality",
    "model_not_found", "model_not_allowed", "body_too_large", "request_timeout", "unsupported_encoding",
})  # fmt: skip
"""The gateway refused the request for what it is."""
SHED = frozenset({"overloaded", "rate_limit_exceeded"})
ABORTED = frozenset({"client_gone", "client_stalled"})
ATTEMPTS_PER_REQUEST = 1.2
_SHOWN_FAULTS = 20


@dataclass
class Account:
    """The sums, and where the ledgers disagree."""

    requests: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    attempts: int = 0
    tokens_emitted: int = 0
    tokens_billed: int = 0
    unread_tokens: int = 0
    """Written by the upstream in answers that broke off, and never read by the gateway."""
    faults: list[str] = field(default_factory=list)

    @property
    def attempts_per_request(self) -> float:
        """Over all requests that an upstream was asked for at all."""
        return self.attempts / max(1, self.requests)

    def check(self) -> "Account":
        """Raises AssertionError with the disagreements."""
        shown = "\n  ".join(self.faults[:_SHOWN_FAULTS])
        assert not self.faults, f"{len(self.faults)} disagreements between the ledgers:\n  {shown}"
        return self

    def __str__(self) -> str:
        """The sums on one line."""
        fates = ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items()))
        return (
            f"{self.requests} requests: {fates}; {self.tokens_billed} tokens billed of {self.tokens_emitted} "
            f"emitted ({self.unread_tokens} unread); {self.attempts} attempts"
        )


def fate_of_row(row: Mapping[str, Any]) -> Fate:
    """What became of a request, as the gateway's ledger has it."""
    kind = row["error_kind"]
    if kind is None:
        return "completed"
    if kind in ABORTED:
        return "aborted"
    if kind in SHED:
        return "shed"
    return "refused" if kind in REFUSED else "failed"


def fates_seen(seen: Seen) -> set[Fate]:
    """What may have become of it, as far as its client can tell."""
    if seen.left:
        # The last bytes may have been on their way already, or the failure that would have ended it.
        return {"aborted", "completed", "failed"}
    if seen.completed:
        return {"completed"}
    if seen.status is None or not seen.whole:
        return {"aborted"}  # the gateway cut off a client that did not read
    if seen.status == 503 and seen.code == "overloaded":
        return {"shed", "failed"}  # an upstream's 503 has the same code
    return {"refused"} if seen.code in REFUSED else {"failed", "shed"}


def reconcile(
    seen: Sequence[Seen], rows: Sequence[Mapping[str, Any]], exchanges: Sequence[Exchange]
) -> Account:
    """Compare all requests of a run."""
    account = Account()
    faults = account.faults
    by_id: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_id[row["request_id"]].append(row)
    faults.extend(f"{id_}: {len(found)} rows" for id_, found in by_id.items() if len(found) > 1)
    upstream: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        upstream[exchange.request_id].append(exchange)
        if not exchange.authorized:
            faults.append(f"{exchange.mark}: asked {exchange.upstream} with another key than its own")
    of_mark = {exchange.mark: exchange.request_id for exchange in exchanges}

    claimed: set[str] = set()
    nameless = 0
    for one in seen:
        if not one.counted:
            continue
        request_id = one.request_id or of_mark.get(one.mark)
        if request_id is None:
            nameless += 1  # it left before it had a name; only its number can be compared
            continue
        claimed.add(request_id)
        found = by_id.get(request_id)
        if not found:
            faults.append(f"{one.mark} ({request_id}): no row in the gateway's ledger")
            continue
        _compare(one, found[0], upstream.get(request_id, []), account)
    unclaimed = [row for row in rows if row["request_id"] not in claimed]
    if len(unclaimed) != nameless:
        faults.append(f"{len(unclaimed)} rows of {nameless} requests without a name")
    faults.extend(
        f"{row['request_id']}: a row of nobody's request, status {row['status']}"
        for row in unclaimed
        if fate_of_row(row) not in ("aborted", "refused")
    )

    account.requests = len(rows)
    account.fates.update(map(fate_of_row, rows))
    account.attempts = len(exchanges)
    account.tokens_emitted = sum(exchange.tokens or 0 for exchange in exchanges)
    account.tokens_billed = sum(row["completion_tokens"] or 0 for row in rows)
    account.unread_tokens = account.tokens_emitted - account.tokens_billed
    for request_id, attempts in upstream.items():
        if request_id not in by_id:
            faults.append(f"{request_id}: asked {attempts[0].upstream} without a row in the ledger")
    return account


def _compare(one: Seen, row: Mapping[str, Any], attempts: Sequence[Exchange], account: Account) -> None:
    name = f"{one.mark} ({row['request_id']})"
    faults = account.faults
    fate = fate_of_row(row)
    if fate not in fates_seen(one):
        faults.append(f"{name}: the client saw {sorted(fates_seen(one))}, the ledger says {fate} ({row['error_kind']})")
    if one.status is not None and row["status"] != one.status:
        faults.append(f"{name}: the client saw status {one.status}, the ledger says {row['status']}")
    billed = row["completion_tokens"]
    if not attempts:
        if billed is not None:
            faults.append(f"{name}: {billed} tokens billed of an answer that nobody gave")
        return
    answering = attempts[-1]
    emitted = answering.tokens
    if one.origin is not None and not one.origin.startswith(f"{answering.upstream}/"):
        faults.append(f"{name}: an answer of {one.origin}, but {answering.upstream} was asked last")
    if fate == "completed":
        if billed != emitted:
            faults.append(f"{name}: {emitted} tokens emitted, {billed} billed")
        if one.completed and one.tokens != billed:
            faults.append(f"{name}: {billed} tokens billed, {one.tokens} shown")
        if one.completed and one.events != answering.events:
            faults.append(f"{name}: {answering.events} events emitted, {one.events} arrived")
    elif one.stream and not one.events <= (billed or 0) <= (emitted or 0):
        faults.append(f"{name}: {one.events} events arrived, {billed} tokens billed, {emitted} emitted")
