"""Fault 48: PostgreSQL is gone, silent, slow, and fails over to its standby."""

import asyncio
import statistics
import time
from collections.abc import Callable

from tests.faults.case import case
from tests.faults.cases.governance import verified
from tests.faults.cases.upstream import answered_by, ms
from tests.faults.rig import Rig, Setup, wait_for
from tests.faults.script import Act

POSTGRES = Setup(workers=2, own=True, postgres=True, more='[ledger]\njournal = "rows"')
_SERVED_S = 1.5
_SLOW_S = 0.1


@case(
    48, "PostgreSQL gone, silent, slow, failed over", "as SQLite: served on, each row counts once", POSTGRES
)
async def postgres_faults(rig: Rig) -> str:
    pair = rig.postgres
    assert pair
    played = [
        # So long that both workers have read the key: one that has not can't know it when the server is gone.
        await _served(rig, "well", lambda: None, lambda: None, warns=False),
        await _served(rig, "gone", pair.primary.kill, pair.primary.start),
        await _served(rig, "silent", pair.primary.pause, pair.primary.resume),
        await _served(rig, "slow", lambda: pair.slow_down(_SLOW_S), lambda: pair.slow_down(0), warns=False),
        await _served(rig, "failed over", pair.primary.kill, pair.standby.promote),
    ]
    answered_by(await rig.client.ask("solo-48", Act()), "a")
    (await rig.account()).check()
    await verified(rig)
    figures, rows = zip(*played, strict=True)
    return f"{'; '.join(figures)}; afterwards {sum(rows)} rows, none lost or doubled"


async def _served(
    rig: Rig, name: str, break_it: Callable[[], None], mend: Callable[[], None], *, warns: bool = True
) -> tuple[str, int]:
    """Requests go on meanwhile, and the ledger is whole afterwards."""

    async def says(word: bytes) -> bool:
        return word in (await rig.client.get("/readyz")).body

    await asyncio.to_thread(break_it)
    took: list[float] = []
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < _SERVED_S:
        took.append(answered_by(await rig.client.ask("solo-48", Act()), "a").took_s)
    if warns:
        await wait_for(lambda: says(b"warnings"), f"/readyz says that it is {name}")
    await asyncio.to_thread(mend)
    begun_s = time.monotonic()
    await wait_for(lambda: says(b'"ok"'), "the alarm ends", timeout_s=20)
    well_s = time.monotonic() - begun_s
    account = await rig.account()
    account.check()
    figure = f"{name}: {len(took)} served, p50 {ms(statistics.median(took))}, well {ms(well_s)} after"
    return figure, account.requests
