"""A prompt cache like the real providers': each account has its own, and it has what that account has asked.

Only the accounts `sim-NAME-…` have one. Answers to the plain key `sim-NAME` count as cached what an earlier
turn would have left there (see `tokens`), whether or not there was one.
"""

import hashlib
import json
from collections import OrderedDict

from llmgw.simulator import tokens
from llmgw.simulator.request import ChatRequest, tokens_of

MAX_ACCOUNTS = 64
MAX_PREFIXES = 20_000
"""Of one account; those that were not asked for the longest are forgotten."""

_Prefixes = OrderedDict[bytes, None]


class PromptCache:
    """Which beginnings of conversations each account has sent."""

    def __init__(self, *, max_accounts: int = MAX_ACCOUNTS, max_prefixes: int = MAX_PREFIXES) -> None:
        """Memory is bounded by these, 8 bytes and an entry a prefix."""
        self._accounts: OrderedDict[str, _Prefixes] = OrderedDict()
        self._max_accounts = max_accounts
        self._max_prefixes = max_prefixes

    def cached_tokens(self, account: str, request: ChatRequest) -> int:
        """The tokens of the longest beginning that the account has sent to this model before.

        Of whole messages, and rounded down to a multiple of `tokens.CACHE_BLOCK`; never the whole prompt.
        What the request says is in the cache from now on.
        """
        known = self._accounts.setdefault(account, OrderedDict())
        self._accounts.move_to_end(account)
        if len(self._accounts) > self._max_accounts:
            self._accounts.popitem(last=False)
        cached = so_far = 0
        prefix = request.model.encode()
        is_known = True
        for message in request.messages:
            so_far += tokens_of(message)
            said = json.dumps(message, sort_keys=True).encode()
            prefix = hashlib.blake2b(prefix + said, digest_size=8).digest()
            is_known = is_known and prefix in known
            if is_known:
                cached = so_far
            known[prefix] = None
            known.move_to_end(prefix)
        while len(known) > self._max_prefixes:
            known.popitem(last=False)
        cached = min(cached, so_far - 1)
        return cached - cached % tokens.CACHE_BLOCK
