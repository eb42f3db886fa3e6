"""Which key a request carries: `Authorization: Bearer sk-gtw-…` → `Key`, or a refusal."""

from collections.abc import Awaitable, Sequence
from typing import Final

from llmgw.access.key import Key
from llmgw.access.keyring import KeyRing
from llmgw.errors import ApiError

_STALE_RETRY_AFTER_S: Final = 10
_HOW: Final = "Send it as 'Authorization: Bearer sk-gtw-...'."


def bearer_token(values: Sequence[bytes]) -> str:
    """The token of the `authorization` headers. Raises ApiError (`missing_api_key`, `invalid_api_key`)."""
    if not values:
        raise ApiError("missing_api_key", f"No API key was given. {_HOW}")
    scheme, _, token = values[0].strip().partition(b" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != b"bearer" or not token.isascii():
        raise ApiError("invalid_api_key", f"The authorization header is not a bearer token. {_HOW}")
    if not token:
        raise ApiError("missing_api_key", f"The API key is empty. {_HOW}")
    return token.decode("ascii")


def find_key(values: Sequence[bytes], keyring: KeyRing) -> Key | Awaitable[Key]:
    """The key that the `authorization` headers hold, or, if it is unknown here, a second look to await.

    An unknown key may have been made a moment ago. A known one, the usual case, costs no coroutine. The call
    and the second look raise ApiError: `missing_api_key`, `invalid_api_key` (unknown or revoked),
    `expired_api_key`, `overloaded` (the keys can't be read, and were not for too long).
    """
    token = bearer_token(values)
    key = keyring.lookup(token)
    return _look_again(token, keyring) if key is None else _in_force(key)


async def _look_again(token: str, keyring: KeyRing) -> Key:
    await keyring.refresh_after_miss()
    key = keyring.lookup(token)
    if key is not None:
        return _in_force(key)
    if keyring.stale:
        message = "The gateway can't check API keys at the moment. Try again later."
        raise ApiError("overloaded", message, retry_after_s=_STALE_RETRY_AFTER_S)
    raise ApiError("invalid_api_key", "The API key is unknown or was revoked.")


def _in_force(key: Key) -> Key:
    if key.expired():
        raise ApiError("expired_api_key", "The API key has expired.")
    return key
