"""What is told that it lasts, and what is not."""

import asyncio

from llmgw.asgi.grace import Grace

GRACE_S = 0.01


class Item:
    """Something that may last."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def lasts(self) -> None:
        """See `Lasting`."""
        assert not self.told.is_set(), "told twice"
        self.told.set()


def test_what_lasts_is_told_once() -> None:
    async def main() -> None:
        grace, items = Grace(GRACE_S), [Item() for _ in range(3)]
        begun_s = asyncio.get_running_loop().time()
        for item in items:
            grace.begin(item)
        for item in items:
            await item.told.wait()
        assert asyncio.get_running_loop().time() - begun_s >= GRACE_S
        await asyncio.sleep(4 * GRACE_S)  # nothing more may come, and there is no event for that
        for item in items:
            grace.end(item)

    asyncio.run(main())


def test_what_is_over_is_not_told() -> None:
    async def main() -> None:
        grace, short, long = Grace(GRACE_S), Item(), Item()
        grace.begin(short)
        grace.begin(long)
        grace.end(short)
        await long.told.wait()
        assert not short.told.is_set()
        # It goes on after it had nothing to do.
        later = Item()
        grace.begin(later)
        await later.told.wait()

    asyncio.run(main())
