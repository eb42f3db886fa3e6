"""Arrays as text: PostgreSQL reads from them what was written, whatever it is."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmgw.store import LedgerRow, UsageHour
from llmgw.store.arrays import array_text, insertion_of_arrays
from tests.support.postgres import PostgresServer

TEXTS = st.lists(
    st.none()
    | st.text()
    | st.sampled_from(("null", "NULL", "", " ", '"', "\\", "{}", ",", "\\n", "\x01\x7f"))
)
KINDS: dict[str, st.SearchStrategy[list[Any]]] = {
    "TEXT": TEXTS,
    "BIGINT": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    "FLOAT": st.lists(st.none() | st.floats(allow_nan=False)),
    "BOOLEAN": st.lists(st.none() | st.booleans()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_postgresql_reads_what_was_written(postgres: PostgresServer, kind: str) -> None:
    with postgres.connect("postgres") as connection:

        @settings(deadline=None, suppress_health_check=list(HealthCheck))
        @given(KINDS[kind])
        def check(values: list[Any]) -> None:
            [(found,)] = connection.execute(f"SELECT %s::{kind}[]".encode(), (array_text(values),))
            expected = [each.replace("\0", "\ufffd") if isinstance(each, str) else each for each in values]
            assert found == expected

        check()


@pytest.mark.parametrize("value", [b"x", object(), {1}])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        array_text([value])


def test_types_are_those_of_the_columns() -> None:
    sql = insertion_of_arrays(LedgerRow, ("time", "request_id", "user", "prompt_tokens", "total_s", "stream"))
    assert sql == (
        'INSERT INTO ledger (time, request_id, "user", prompt_tokens, total_s, stream) SELECT * FROM unnest('
        "%s::TIMESTAMP WITHOUT TIME ZONE[], %s::TEXT[], %s::VARCHAR(128)[], %s::BIGINT[], %s::FLOAT[], "
        "%s::BOOLEAN[])"
    )
    assert insertion_of_arrays(UsageHour, ("hour", "cost")) == (
        "INSERT INTO usage_hours (hour, cost) SELECT * FROM unnest("
        "%s::TIMESTAMP WITHOUT TIME ZONE[], %s::BIGINT[])"
    )
