"""A request's body on its way in."""

from collections.abc import Awaitable, Callable, Sequence

from llmgw.asgi.client import ClientWatch
from llmgw.asgi.encoding import content_coding, decoded
from llmgw.asgi.request import Fields


def uploaded(
    client: ClientWatch, fields: Fields, *, limit_bytes: int, hold: Callable[[int], None]
) -> Awaitable[Sequence[bytes]]:
    """The body as the client meant it, in pieces: unpacked. `hold`: see `RequestBody.read`.

    Both the call and what it returns raise ApiError.
    """
    coding = content_coding(fields)
    packed = client.read_body(limit_bytes=limit_bytes, hold=hold)
    if coding is None:
        return packed
    return _unpacked(packed, coding, limit_bytes=limit_bytes, hold=hold)


async def _unpacked(
    packed: Awaitable[Sequence[bytes]], coding: bytes, *, limit_bytes: int, hold: Callable[[int], None]
) -> Sequence[bytes]:
    return await decoded(await packed, coding, limit_bytes=limit_bytes, hold=hold)
