"""Which key a request carries: `Authorization: Bearer sk-gtw-…` → `Key`, or a refusal.

SDKs made for Azure or for Anthropic put it into `api-key` or `x-api-key`. Agents may send both, and one of
them for somebody else: Claude Code has a login of its own beside the key that its user has set.
"""

from collections.abc import Awaitable, Sequence
from typing import Final

from llmgw.access.key import KEY_PREFIX, Key
from llmgw.access.keyring import KeyRing
from llmgw.asgi.request import Fields
from llmgw.errors import ApiError

_STALE_RETRY_AFTER_S: Final = 10
_HOW: Final = "Send it as 'Authorization: Bearer sk-gtw-...'."
_WHOM_TO_ASK: Final = "Ask the operator of the gateway."
_BARE: Final = (b"api-key", b"x-api-key")
"""Headers that hold a key and nothing else."""
_NO_CREDENTIALS: Final = frozenset({b"", b"bearer"})
_OURS: Final = KEY_PREFIX.encode("ascii")


def api_key(fields: Fields) -> str:
    """The key in a request's headers. Raises ApiError (`missing_api_key`, `invalid_api_key`).

    A bearer token that looks like one of the gateway's keys comes first, then such a key alone in a header.
    What looks like somebody else's is only taken, and then refused, where there is no other.
    """
    bare: set[bytes] = set()
    for name in _BARE:
        if name in fields:
            bare.update(value.strip() for value in fields[name])
    bare.discard(b"")
    authorization = fields.get(b"authorization", ())
    if not bare:
        return bearer_token(authorization)
    has_credentials = any(value.strip().lower() not in _NO_CREDENTIALS for value in authorization)
    ours = {token for token in bare if token.startswith(_OURS)}
    if has_credentials:
        try:
            token = bearer_token(authorization)
        except ApiError:
            if not ours:
                raise
        else:
            if not ours or token.startswith(KEY_PREFIX):
                return token
    candidates = ours or bare
    if len(candidates) > 1:
        # Which of them would pay for the request is not ours to guess.
        message = "The headers api-key and x-api-key hold different API keys. Send one key."
        raise ApiError("invalid_api_key", message)
    return _ascii(candidates.pop())


def bearer_token(values: Sequence[bytes]) -> str:
    """The token of the `authorization` headers. Raises ApiError (`missing_api_key`, `invalid_api_key`)."""
    if not values:
        raise ApiError("missing_api_key", f"No API key was given. {_HOW}")
    scheme, _, token = values[0].strip().partition(b" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != b"bearer":
        raise ApiError("invalid_api_key", f"The authorization header is not a bearer token. {_HOW}")
    if not token:
        raise ApiError("missing_api_key", f"The API key is empty. {_HOW}")
    return _ascii(token)


def _ascii(token: bytes) -> str:
    if not token.isascii():
        raise ApiError("invalid_api_key", f"The API key holds characters that no key has. {_HOW}")
    return token.decode("ascii")


def find_key(fields: Fields, keyring: KeyRing) -> Key | Awaitable[Key]:
    """The key that a request's headers hold, or, if it is unknown here, a second look to await.

    An unknown key may have been made a moment ago. A known one, the usual case, costs no coroutine. The call
    and the second look raise ApiError: `missing_api_key`, `invalid_api_key` (unknown or revoked),
    `expired_api_key`, `blocked_api_key`, `overloaded` (the keys can't be read, and were not for too long).
    The caller then asks `check_calls_models` or `check_administers`.
    """
    token = api_key(fields)
    key = keyring.lookup(token)
    return _look_again(token, keyring) if key is None else _in_force(key, keyring)


async def _look_again(token: str, keyring: KeyRing) -> Key:
    await keyring.refresh_after_miss()
    key = keyring.lookup(token)
    if key is not None:
        return _in_force(key, keyring)
    if keyring.stale:
        message = "The gateway can't check API keys at the moment. Try again later."
        raise ApiError("overloaded", message, retry_after_s=_STALE_RETRY_AFTER_S)
    if keyring.was_replaced(token):
        message = "The API key was rotated, and this is its old secret, which is no longer accepted."
        raise ApiError("expired_api_key", message)
    raise ApiError("invalid_api_key", "The API key is unknown or was revoked.")


def _in_force(key: Key, keyring: KeyRing) -> Key:
    if key.blocked_at is not None:
        raise ApiError("blocked_api_key", f"The API key is blocked. {_WHOM_TO_ASK}")
    if key.project_blocked_at is not None:
        raise ApiError("blocked_api_key", f"The project of the API key is blocked. {_WHOM_TO_ASK}")
    if keyring.has_expired(key):
        raise ApiError("expired_api_key", "The API key has expired.")
    return key


def check_calls_models(key: Key) -> None:
    """Raises ApiError (`wrong_key_kind`) for an admin key, which calls no model."""
    if key.kind != "model":
        message = "This is an admin key, which calls no model. Use a key made without --admin."
        raise ApiError("wrong_key_kind", message)


def check_administers(key: Key, *, changes: bool) -> None:
    """Raises ApiError unless the key may look below `/admin`, or change something there.

    `wrong_key_kind`: it calls models. `read_only_key`: it may only look.
    """
    if key.kind == "model":
        message = "This key is for models. The admin API takes admin keys: llmgw keys create --admin."
        raise ApiError("wrong_key_kind", message)
    if changes and key.kind == "admin_read":
        message = "This admin key may only look. Changes need one made with llmgw keys create --admin."
        raise ApiError("read_only_key", message)
