"""How often the page of `/metrics` is rendered, whoever asks."""

import asyncio
from itertools import count

import pytest

from llmgw.observe.metrics import Metrics
from llmgw.observe.page import IN_A_ROW, MetricsPage

INTERVAL_S = 0.05


class Numbered(Metrics):
    """Renders the number of the rendering."""

    def __init__(self) -> None:
        super().__init__(["m"])
        self._numbers = count(1)

    def render(self) -> bytes:
        """It alone."""
        return b"%d" % next(self._numbers)


class Broken(Metrics):
    """Can't be rendered."""

    def render(self) -> bytes:
        """As when a file of a worker is gone."""
        message = "no such file"
        raise OSError(message)


def test_all_who_ask_together_get_one_rendering() -> None:
    async def main() -> None:
        page = MetricsPage(Numbered(), interval_s=INTERVAL_S)
        assert set(await asyncio.gather(*(page.read() for _ in range(100)))) == {b"1"}

    asyncio.run(main())


def test_who_comes_too_soon_waits_for_a_new_one() -> None:
    async def main() -> None:
        now_s = asyncio.get_running_loop().time
        page = MetricsPage(Numbered(), interval_s=INTERVAL_S)
        begun_s = now_s()
        for number in range(1, IN_A_ROW + 1):
            assert await page.read() == b"%d" % number
        assert set(await asyncio.gather(page.read(), page.read())) == {b"%d" % (IN_A_ROW + 1)}
        assert now_s() - begun_s >= INTERVAL_S / 2
        for _ in range(4):
            await page.read()
        assert now_s() - begun_s >= 4.5 * INTERVAL_S

    asyncio.run(main())


def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    async def main() -> None:
        page = MetricsPage(Numbered(), interval_s=INTERVAL_S)
        leaving, staying = asyncio.create_task(page.read()), asyncio.create_task(page.read())
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == b"1"

    asyncio.run(main())


def test_after_a_failure_it_is_tried_again() -> None:
    async def main() -> None:
        page = MetricsPage(Broken(["m"]), interval_s=0.0)
        for _ in range(2):
            with pytest.raises(OSError, match="no such file"):
                await page.read()

    asyncio.run(main())
