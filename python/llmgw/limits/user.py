"""Who is behind a request's key: the body says so, or, of a key that trusts it, a header."""

import hashlib
from typing import Final, Protocol

from llmgw.asgi.request import Fields

USER_HEADERS: Final = (b"x-llmgw-user", b"x-openwebui-user-id", b"x-openwebui-user-email")
"""In the order in which they are believed. `asgi.request` must read them."""
MAX_USER_BYTES: Final = 128
"""As in the core: a longer name is replaced by its digest."""
_DIGEST_DIGITS: Final = 32


class TrustingKey(Protocol):
    """What must be known of a key."""

    @property
    def trusts_user_header(self) -> bool: ...  # noqa: D102


def user_of(key: TrustingKey, fields: Fields, named: str | None) -> str | None:
    """The user's name; `named`: by the body. None: nobody says."""
    if key.trusts_user_header:
        for header in USER_HEADERS:
            for value in fields.get(header, ()):
                if (user := name_of(value)) is not None:
                    return user
    return named


def name_of(value: bytes) -> str | None:
    """A header's value as a name that can stand in a log and a table, as the core makes one of a body's."""
    try:
        name = value.decode("utf-8").strip()
    except UnicodeDecodeError:
        name = value.decode("latin-1").strip()
    encoded = name.encode("utf-8")
    if len(encoded) > MAX_USER_BYTES:
        return f"sha256:{hashlib.sha256(encoded).hexdigest()[:_DIGEST_DIGITS]}"
    return "".join(sign if sign.isprintable() else "?" for sign in name) or None
