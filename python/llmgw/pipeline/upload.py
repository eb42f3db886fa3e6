"""A request's body on its way in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmgw.asgi.client import ClientWatch
from llmgw.asgi.encoding import content_coding, decoded
from llmgw.asgi.request import Fields

if TYPE_CHECKING:
    from llmgw.limits.admission import Ticket


async def uploaded(
    client: ClientWatch, fields: Fields, ticket: "Ticket", *, limit_bytes: int
) -> Sequence[bytes]:
    """The body as the client meant it, in pieces: unpacked, and held by the ticket. Raises ApiError."""
    coding = content_coding(fields)
    pieces = await client.read_body(limit_bytes=limit_bytes, hold=ticket.hold)
    if coding is not None:
        pieces = await decoded(pieces, coding, limit_bytes=limit_bytes, hold=ticket.hold)
    ticket.arrived()
    return pieces
