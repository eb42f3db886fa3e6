"""How many tokens a Messages body has, as the provider itself counts them."""

import json
import logging
from collections.abc import Sequence
from typing import Final

from llmgw._core import ChatRequest, UpstreamError
from llmgw.limits.estimates import Need
from llmgw.limits.places import Place
from llmgw.pipeline.failure import failure_text
from llmgw.routing.targets import Target

logger = logging.getLogger(__name__)

COUNT_TIMEOUT_S: Final = 5.0
"""An estimate after this is better than a count: Claude Code asks before each turn."""


async def counted_at(
    target: Target,
    request: ChatRequest,
    *,
    request_id: str,
    headers: Sequence[tuple[bytes, bytes]] = (),
    trace: Sequence[tuple[bytes, bytes]] = (),
) -> int | None:
    """What the target's upstream says. None: it does not count tokens, or can't be asked now.

    `headers`: of the client's, as `Endpoint.passed_headers` has them. `trace`: the client's, unchanged, since
    a count has no span. A failure is no fault of the target: many providers have Messages and no count, so
    its health is left alone.
    """
    if "messages" not in target.route.speaks or not target.may_be_asked:
        return None
    place = target.places.take(Need(0, 0))
    if not isinstance(place, Place):
        return None
    try:
        exchange = target.upstream.start(
            request.count_tokens(target.route),
            request_id=request_id,
            heartbeat_s=COUNT_TIMEOUT_S,
            total_timeout_s=COUNT_TIMEOUT_S,
            headers=headers,
            trace=trace,
        )
        block = await exchange.next_block()
    except UpstreamError as error:
        logger.debug(
            "%s: upstream %s counts no tokens: %s", request_id, target.full_name, failure_text(error)
        )
        return None
    finally:
        place.give_back()
    return None if block is None else int(json.loads(block)["input_tokens"])
