"""What a change of who may do what leaves behind, in its own transaction: a row of the audit, a new epoch.

`llmgw.access.audit` reads the rows.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import update
from sqlalchemy.orm import Session

from llmgw.store.sql import tell
from llmgw.store.tables import AuditRow, KeyEpoch

_NAME_LENGTH: Final = 200
"""Of actor and target; the table's columns take no more."""


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    target: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
) -> None:
    """Add a row, and raise the epoch, so that running gateways see the change within a second.

    `actor`: `key 7 (ops)` or `cli user@host`. `action`: such as `key.create`. `target`: such as `key 12`.
    `before`, `after`: what has changed, as JSON values, and never a secret or its digest; None: there was
    nothing, or nothing is left.
    """
    row = AuditRow(
        time=datetime.now(UTC),
        actor=actor[:_NAME_LENGTH],
        action=action,
        target=target[:_NAME_LENGTH],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
    )
    session.add(row)
    raise_epoch(session)


def raise_epoch(session: Session) -> None:
    """Tell running gateways that keys, projects, limits or budgets have changed."""
    session.execute(update(KeyEpoch).values(epoch=KeyEpoch.epoch + 1))
    tell(session)
