"""Who is asking: `Authorization: Bearer sk-gtw-…` → `Key`. Whatever is not plainly right is refused."""

from collections.abc import Sequence
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


def known_key(values: Sequence[bytes], keyring: KeyRing) -> Key | None:
    """`authenticate` in the usual case: None if there is more to find out.

    Raises ApiError: `missing_api_key`, `invalid_api_key`.
    """
    key = keyring.lookup(bearer_token(values))
    return None if key is None or key.expired() else key


async def authenticate(values: Sequence[bytes], keyring: KeyRing) -> Key:
    """The key that the `authorization` headers hold. One that is unknown may have been made a moment ago.

    Raises ApiError: `missing_api_key`, `invalid_api_key` (unknown or revoked), `expired_api_key`,
    `overloaded` (the keys can't be read, and were not for too long).
    """
    token = bearer_token(values)
    key = keyring.lookup(token)
    if key is None:
        await keyring.refresh_if_stale()
        key = keyring.lookup(token)
    if key is None and keyring.stale:
        message = "The gateway can't check API keys at the moment. Try again later."
        raise ApiError("overloaded", message, retry_after_s=_STALE_RETRY_AFTER_S)
    if key is None:
        raise ApiError("invalid_api_key", "The API key is unknown or was revoked.")
    if key.expired():
        raise ApiError("expired_api_key", "The API key has expired.")
    return key
