"""Delivers alerts to a webhook: signed, tried several times, and never for long."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx

logger = logging.getLogger(__name__)

PAUSES_S: Final = (1.0, 5.0, 30.0, 120.0)
"""Between two attempts. After the last one an alert is given up."""
AT_ONCE: Final = 4
"""Deliveries that are under way together."""
SIGNATURE_HEADER: Final = "x-llmgw-signature"


def signature(secret: bytes, body: bytes, at_s: int) -> str:
    """`t=…,v1=…`: the seconds since the epoch, and HMAC-SHA256 in hexadecimal digits over `t.body`.

    The time is signed too, so that nobody can send a recorded alert again later.
    """
    digest = hmac.new(secret, b"%d." % at_s + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Webhook:
    """For one event loop. Only the answer's status counts: it is not read, and redirects are not followed."""

    def __init__(
        self,
        url: str,
        secret: bytes | None,
        *,
        timeout_s: float,
        observe: Callable[[str], None],
        pauses_s: Sequence[float] | None = None,
    ) -> None:
        """`secret` None: alerts are not signed. `timeout_s`: of one attempt, as a whole.

        `pauses_s` None: `PAUSES_S`. `observe`: told `delivered`, `failed` after each attempt that failed, and
        `given_up` after the last.
        """
        self._url = url
        self._secret = secret
        self._timeout_s = timeout_s
        self._observe = observe
        self._pauses_s = PAUSES_S if pauses_s is None else pauses_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        # As for upstreams: no proxies from the environment.
        self._http = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=timeout_s)

    async def deliver(self, event: str, body: bytes) -> bool:
        """Try until the receiver answers 2xx. False if it is given up. Never raises."""
        problem: str | None = None
        for pause_s in (*self._pauses_s, None):
            async with self._turns:
                problem = await self._attempt(body)
            if problem is None:
                self._observe("delivered")
                return True
            self._observe("failed")
            if pause_s is None:
                break
            await asyncio.sleep(pause_s)
        logger.error("the alert %s could not be delivered: %s", event, problem)
        self._observe("given_up")
        return False

    async def _attempt(self, body: bytes) -> str | None:
        """None if the receiver has it, else why not."""
        headers = {"content-type": "application/json", "user-agent": "llmgw"}
        if self._secret is not None:
            headers[SIGNATURE_HEADER] = signature(self._secret, body, int(time.time()))
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._http.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                return None if answer.is_success else f"status {answer.status_code}"
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except Exception as error:  # noqa: BLE001  (what a stranger's server does must not end the alerts)
            return type(error).__name__  # its text may have the URL, which is a secret

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()
