"""The names of limits and budgets in the shared table: no two things have the same one."""

from datetime import UTC, datetime
from itertools import product

import pytest

from llmgw.budgets.budget import Scope
from llmgw.limits import descriptors
from llmgw.limits.descriptors import LimitKind

START = datetime(2027, 1, 1, tzinfo=UTC)
AWKWARD = ("m", "m:user:u", "qwen:7b", "a%3Auser%3Ab", "", "%", "项目")
KINDS: tuple[LimitKind, ...] = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
SCOPES: tuple[Scope, ...] = ("project", "key")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (descriptors.of_owner("requests_per_minute", "key", 7), "rpm:key:7"),
        (descriptors.of_owner("tokens_per_minute", "project", 3, model="M"), "tpm:project:3:model:M"),
        (descriptors.of_owner("concurrent_requests", "key", 7, user="U"), "concurrent:key:7:user:U"),
        (descriptors.of_owner("requests_per_minute", "key", 7, user=""), "rpm:key:7:user:"),
        (descriptors.of_owner("requests_per_minute", "key", 7, model="a:b"), "rpm:key:7:model:a%3Ab"),
        (descriptors.of_model("requests_per_minute", "qwen3.6-plus"), "rpm:model:qwen3.6-plus"),
        (descriptors.of_upstream("tokens_per_minute", "dashscope"), "tpm:upstream:dashscope"),
        (descriptors.of_budget(12, START), "budget:12:1798761600"),
        (descriptors.of_budget(12, START, "u:1"), "budget:12:1798761600:user:u%3A1"),
    ],
)
def test_names(made: str, expected: str) -> None:
    assert made == expected


def test_no_text_names_another_entry() -> None:
    made = [
        descriptors.of_owner(kind, scope, 7, model=model, user=user)
        for kind, scope, model, user in product(KINDS, SCOPES, (None, *AWKWARD), (None, *AWKWARD))
    ]
    made += [descriptors.of_model(kind, model) for kind, model in product(KINDS, AWKWARD)]
    made += [descriptors.of_upstream(kind, name) for kind, name in product(KINDS, AWKWARD)]
    made += [descriptors.of_budget(7, START, user) for user in AWKWARD]
    assert len(set(made)) == len(made)
