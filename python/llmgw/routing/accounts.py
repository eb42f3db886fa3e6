"""An upstream's accounts: each has a key, and with it connections, places and rates of its own."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pydantic import SecretStr

from llmgw import _core
from llmgw._core import LimitPlan, LimitTable
from llmgw.config import UpstreamConfig
from llmgw.limits import descriptors
from llmgw.limits.places import Places, RateKind, Rates

_UNITS: Final[dict[RateKind, Literal["requests", "tokens"]]] = {
    "requests_per_minute": "requests",
    "tokens_per_minute": "tokens",
}


def account_name(upstream: str, account: int | None) -> str:
    """An account as log lines and the ledger's `attempt_errors` have it: `X#2`; `X` if it is the only one."""
    return upstream if account is None else f"{upstream}#{account}"


class OpenAccount(NamedTuple):
    """One account of a configured upstream, with its client and its limit."""

    key: SecretStr | None
    client: _core.Upstream
    places: Places


class OpenUpstream(NamedTuple):
    """A configured upstream with its accounts, by their number (see `UpstreamConfig.accounts`)."""

    table: UpstreamConfig
    accounts: Mapping[int | None, OpenAccount]

    def number_of(self, key: SecretStr | None) -> int | None:
        """The number of the account with this key. Raises KeyError: there is none."""
        for number, account in self.accounts.items():
            if account.key == key:
                return number
        raise KeyError

    def is_like(self, table: UpstreamConfig) -> bool:
        """True if another config of it says the same, whatever its keys are."""
        return _without_keys(self.table) == _without_keys(table)


def open_upstream(table: UpstreamConfig, old: OpenUpstream | None) -> OpenUpstream:
    """An upstream of a new config. `old`: the same upstream as it was before.

    An account is its key: one whose key was there before keeps its connections, if nothing else has changed,
    and its places, for requests under way count, whichever config they began under. So does a key that takes
    the place of another one, under the same number. Raises ValueError where the Rust core refuses it.
    """
    accounts = table.accounts
    known = {} if old is None else old.accounts
    kept = set(accounts.values())
    opened: dict[int | None, OpenAccount] = {}
    for number, key in accounts.items():
        same = next((account for account in known.values() if account.key == key), None)
        client = same.client if same is not None and old is not None and old.is_like(table) else None
        replaced = known.get(number)
        if same is None and replaced is not None and replaced.key not in kept:
            same = replaced
        opened[number] = OpenAccount(
            key, client or _client(table, key), Places() if same is None else same.places
        )
    return OpenUpstream(table, opened)


def rates_of(
    name: str, table: UpstreamConfig, *, limit_table: LimitTable | None, machines: int
) -> Rates | None:
    """What the provider grants an account on this machine: where several share it, each takes its part.

    `name`: the account's. `limit_table`: where rates are counted; None: nowhere.
    """
    granted: dict[RateKind, int | None] = {
        "requests_per_minute": table.requests_per_minute,
        "tokens_per_minute": table.tokens_per_minute,
    }
    kinds = [kind for kind, limit in granted.items() if limit is not None]
    if limit_table is None or not kinds:
        return None
    rates = [
        (descriptors.of_upstream(kind, name), _UNITS[kind], max((granted[kind] or 0) // machines, 1))
        for kind in kinds
    ]
    return Rates(LimitPlan(limit_table, rates, []), kinds)


def _without_keys(table: UpstreamConfig) -> UpstreamConfig:
    return table.model_copy(update={"api_key": None, "api_keys": None})


def _client(table: UpstreamConfig, key: SecretStr | None) -> _core.Upstream:
    return _core.Upstream(
        table.base_url,
        rerank_url=table.rerank_url,
        messages_url=table.messages_url,
        responses_url=table.responses_url,
        api_key=None if key is None else key.get_secret_value(),
        connect_timeout_s=table.connect_timeout_s,
        first_event_timeout_s=table.first_event_timeout_s,
        idle_timeout_s=table.idle_timeout_s,
        total_timeout_s=table.total_timeout_s,
        max_event_bytes=table.max_event_bytes,
        max_answer_bytes=table.max_answer_bytes,
    )
