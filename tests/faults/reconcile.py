"""Three ledgers, of the upstream, the gateway and the client, and whether they agree.

"Nothing lost" means here, request by request:

- every request with a valid key has exactly one row in the gateway's ledger, with the status that its client
  saw;
- accepted = completed + client-aborted + upstream-failed + shed (+ refused: a fault of the request itself),
  and client and gateway say the same of each;
- tokens: for a completed request, what the upstream emitted = what the gateway billed = what the client was
  shown. An answer that broke off is billed by the last usage that the gateway read: at most what the upstream
  wrote, at least one token for each event that the client got. What a reset or a departure left unread is
  `unread_tokens`;
- money: each row costs what its tokens cost, and one without a cost used none;
- all events of one answer come from one exchange (`stamp.py`), and a request's exchanges never overlap.

Of a request that was under way in a process that was killed (`Seen.cut`, `Seen.row_owed`) the row may be
missing, and the client has what came; no other gateway may have been asked for it.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.client import Seen
from tests.faults.script import Exchange

Fate = Literal["completed", "aborted", "failed", "shed", "refused"]

REFUSED = frozenset({
    "invalid_json", "invalid_type", "missing_field", "duplicate_field", "too_deep", "unsupported_modality",
    "model_not_found", "model_not_allowed", "body_too_large", "request_timeout", "unsupported_encoding",
    "invalid_encoding",
})  # fmt: skip
"""The gateway refused the request for what it is."""
PER_INPUT, PER_OUTPUT = 1500, 7000
"""Of a token, in 10⁻⁹ of the currency's unit, at every model of the rigs."""
SHED = frozenset({"overloaded", "rate_limit_exceeded", "insufficient_quota"})
ABORTED = frozenset({"client_gone", "client_stalled"})
ATTEMPTS_PER_REQUEST = 1.2
OVERLAP_S = 0.5
"""So much later may the upstream notice that the gateway has given it up."""
_SHOWN_FAULTS = 20


@dataclass
class Account:
    """The sums, and where the ledgers disagree."""

    requests: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    asked: int = 0
    """Requests that an upstream was asked for at all."""
    attempts: int = 0
    tokens_emitted: int = 0
    tokens_billed: int = 0
    lost_rows: int = 0
    """Of requests whose rows a killed process may have taken with it."""
    unread_tokens: int = 0
    """Written by the upstream in answers that broke off, and never read by the gateway."""
    faults: list[str] = field(default_factory=list)

    @property
    def attempts_per_request(self) -> float:
        """Over all requests that an upstream was asked for."""
        return self.attempts / max(1, self.asked)

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
            f"emitted ({self.unread_tokens} unread); {self.attempts_per_request:.3f} attempts per request"
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
    if seen.cut:
        return {"aborted", "completed", "failed", "shed"}
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
    by_id: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_id[row["request_id"]].append(row)
    upstream: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in exchanges:
        upstream[exchange.request_id].append(exchange)
    excused = {one.mark for one in seen if one.cut or not one.row_owed}
    account.faults += _odd_ones(by_id, upstream, excused)
    claimed, nameless = _match(seen, by_id, upstream, account)
    unclaimed = [row for row in rows if row["request_id"] not in claimed]
    # Who left before it had a name can only be compared by number.
    owed = [one for one in nameless if one.mark not in excused]
    if not len(owed) <= len(unclaimed) <= len(nameless):
        account.faults.append(
            f"{len(unclaimed)} rows of {len(owed)} to {len(nameless)} requests without a name"
        )
    account.lost_rows += len(nameless) - len(unclaimed)
    account.faults.extend(
        f"{row['request_id']}: a row of nobody's request, status {row['status']}"
        for row in unclaimed
        if fate_of_row(row) not in ("aborted", "refused") and len(owed) == len(nameless)
    )
    account.requests = len(rows)
    account.fates.update(map(fate_of_row, rows))
    account.asked, account.attempts = len(upstream), len(exchanges)
    account.tokens_emitted = sum(exchange.tokens or 0 for exchange in exchanges)
    account.tokens_billed = sum(row["completion_tokens"] or 0 for row in rows)
    account.unread_tokens = account.tokens_emitted - account.tokens_billed
    return account


def _odd_ones(
    by_id: Mapping[str, Sequence[object]],
    upstream: Mapping[str, Sequence[Exchange]],
    excused: Collection[str],
) -> Iterator[str]:
    """What no request of any client explains. `excused`: the marks of those that may have no row."""
    id_of_mark: dict[str, str] = {}
    for request_id, found in by_id.items():
        if len(found) > 1:
            yield f"{request_id}: {len(found)} rows"
    for request_id, attempts in upstream.items():
        if id_of_mark.setdefault(attempts[0].mark, request_id) != request_id:
            yield f"{attempts[0].mark}: asked {attempts[0].upstream} for it under two ids"
        if request_id not in by_id and attempts[0].mark not in excused:
            yield f"{request_id}: asked {attempts[0].upstream} without a row in the ledger"
        for exchange in attempts:
            if not exchange.authorized:
                yield f"{exchange.mark}: asked {exchange.upstream} with another key than its own"
        for earlier, later in itertools.pairwise(attempts):
            if earlier.ended_s is None or earlier.ended_s > later.began_s + OVERLAP_S:
                yield f"{earlier.mark}: {later.upstream} asked while {earlier.upstream} was still answering"


def _match(
    seen: Sequence[Seen],
    by_id: Mapping[str, Sequence[Mapping[str, Any]]],
    upstream: Mapping[str, Sequence[Exchange]],
    account: Account,
) -> tuple[set[str], list[Seen]]:
    """Compare each client's request with its row. The ids of all that have one, or should; and the others."""
    of_mark = {exchange.mark: request_id for request_id, tried in upstream.items() for exchange in tried}
    claimed: set[str] = set()
    nameless: list[Seen] = []
    for one in seen:
        if not one.counted:
            continue
        request_id = one.request_id or of_mark.get(one.mark)
        if request_id is None:
            nameless.append(one)
            continue
        claimed.add(request_id)
        found = by_id.get(request_id)
        if found:
            _compare(one, found[0], upstream.get(request_id, []), account)
        elif one.cut or not one.row_owed:
            account.lost_rows += 1
        else:
            account.faults.append(f"{one.mark} ({request_id}): no row in the gateway's ledger")
    return claimed, nameless


def _compare(one: Seen, row: Mapping[str, Any], attempts: Sequence[Exchange], account: Account) -> None:
    name = f"{one.mark} ({row['request_id']})"
    faults = account.faults
    fate = fate_of_row(row)
    if fate not in fates_seen(one):
        faults.append(
            f"{name}: the client saw {sorted(fates_seen(one))}, the ledger says {fate} ({row['error_kind']})"
        )
    if one.status is not None and not one.cut and row["status"] != one.status:
        faults.append(f"{name}: the client saw status {one.status}, the ledger says {row['status']}")
    faults.extend(f"{name}: {fault}" for fault in _cost_faults(row))
    billed = row["completion_tokens"]
    if not attempts:
        if billed:
            faults.append(f"{name}: {billed} tokens billed of an answer that nobody gave")
        return
    answering = attempts[-1]
    if one.origin is not None and not one.origin.startswith(f"{answering.upstream}/"):
        faults.append(f"{name}: an answer of {one.origin}, but {answering.upstream} was asked last")
    faults.extend(f"{name}: {fault}" for fault in _token_faults(one, fate, billed, answering))


def _cost_faults(row: Mapping[str, Any]) -> Iterator[str]:
    cost, prompt, completion = row["cost"], row["prompt_tokens"] or 0, row["completion_tokens"] or 0
    due = prompt * PER_INPUT + completion * PER_OUTPUT
    if (cost or 0) != due:
        yield f"{prompt} + {completion} tokens cost {due}, the row says {cost}"


def _token_faults(one: Seen, fate: Fate, billed: int | None, answering: Exchange) -> Iterator[str]:
    emitted = answering.tokens
    if fate == "completed":
        if billed != emitted:
            yield f"{emitted} tokens emitted, {billed} billed"
        if one.completed and one.tokens != billed:
            yield f"{billed} tokens billed, {one.tokens} shown"
        if one.completed and one.events != answering.events:
            yield f"{answering.events} events emitted, {one.events} arrived"
    elif one.stream and not one.events <= (billed or 0) <= (emitted or 0):
        yield f"{one.events} events arrived, {billed} tokens billed, {emitted} emitted"
