"""docs/admin-openapi.json is what the code says, and says what a client's author needs."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from llmgw.admin.api import openapi
from llmgw.errors import ERRORS
from tests.support.processes import ROOT

DOCUMENT: dict[str, Any] = json.loads(openapi())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
METHODS = {"get", "post", "put", "patch", "delete"}
REFUSALS = {"400", "401", "403", "500", "503"}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(operations())
each_operation = pytest.mark.parametrize("name", OPERATIONS)


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON body that it names, by its status; the request's is `request`."""
    if "requestBody" in operation:
        yield "request", operation["requestBody"]["content"]["application/json"]
    for status, response in operation["responses"].items():
        if "content" in response:
            yield status, response["content"]["application/json"]


def examples(content: dict[str, Any]) -> list[Any]:
    """All examples of a body."""
    return (
        [content["example"]] if "example" in content else [e["value"] for e in content["examples"].values()]
    )


def test_the_committed_document_is_the_codes_own() -> None:
    committed = (ROOT / "docs/admin-openapi.json").read_text("utf-8")
    assert committed == openapi(), "llmgw admin openapi > docs/admin-openapi.json writes it anew"


@each_operation
def test_each_operation_says_what_it_does(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"][0].isupper()
    assert operation["tags"]


@each_operation
def test_each_operation_says_how_it_may_be_refused(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    assert set(responses) >= REFUSALS
    assert "422" not in responses
    assert "content" not in responses["414"], "the server's own"
    for status in set(responses) - {"200", "201", "414"}:
        content = responses[status]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
        error = content["example"]["error"]
        assert ERRORS[error["code"]].status == int(status)
        assert ERRORS[error["code"]].type == error["type"]


@each_operation
def test_each_body_has_an_example_that_fits_its_schema(name: str) -> None:
    for status, content in contents(OPERATIONS[name]):
        assert examples(content), status
        for example in examples(content):
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(example)


UNITLESS = {
    "id", "account", "status", "attempts", "worker", "weight", "priority",
    "generation", "limit", "consecutive_failures", "in_flight", "requests", "max_in_flight",
    "captured_in", "remaining", "tokens", "windows", "hours", "warn_at", "errors", "unpriced", "waiting",
    "count", "keys", "rows", "ledger_rows_estimate",
}  # fmt: skip
"""Counts and names: what they count is their name."""
OPENAIS = {"CostAmount", "CostsBucket", "UsageBucket", "CompletionsResult"}
"""Whose names are OpenAI's."""
UNITS = (
    "_id", "_s", "_bytes", "_tokens", "_requests", "_per_minute", "_nano", "_rows", "_files", "_ratio",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(SCHEMAS.keys() - OPENAIS))
def test_each_number_has_its_unit_in_its_name(name: str) -> None:
    for member, schema in SCHEMAS[name].get("properties", {}).items():
        types = {schema.get("type"), *(each.get("type") for each in schema.get("anyOf", []))}
        if types & {"integer", "number"}:
            assert member in UNITLESS or member.endswith(UNITS), member
