"""What each model is and can do, for `/v1/models` and `/v1/model-catalog`.

Facts come from the model's name (`families`) and are overridden by the config. Where neither knows, the
catalog says null. Every object is rendered once, at the start.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from llmgw.access.key import Key
from llmgw.config import NATIVE, Config, ModelConfig, ModelKind

_CONTEXT_NAMES: Final = ("context_length", "context_window", "max_context_length", "max_model_len")
"""As OpenRouter, Groq, LM Studio and vLLM call it: each client knows some of these."""
_OUTPUTS: Final[dict[ModelKind, tuple[str, ...]]] = {"embedding": ("embeddings",), "rerank": ("rerank",)}
_OUTPUT_NAMES: Final = ("max_output_tokens", "max_completion_tokens")


class Catalog:
    """The answers to `/v1/models` and `/v1/model-catalog`, as JSON bytes."""

    def __init__(self, config: Config, dialects: Mapping[str, str]) -> None:
        """`dialects`: the thinking dialect of each model id, as `_core.Route.dialect` says."""
        self._models: dict[str, bytes] = {}
        self._anthropic: dict[str, bytes] = {}
        self._entries: dict[str, bytes] = {}
        for model in config.models:
            self._models[model.id] = _json(_model_object(model, config.created_s))
            self._anthropic[model.id] = _json(_anthropic_object(model, config.created_s))
            self._entries[model.id] = _json(entry_of(model, dialects[model.id]))
        self._ids = tuple(self._models)
        self._all_models = _list(self._models.values())
        self._all_entries = _list(self._entries.values())

    def models(self, key: Key) -> bytes:
        """OpenAI's list of the models that the key may use."""
        if key.models is None:
            return self._all_models
        return _list(body for model_id, body in self._models.items() if key.may_use(model_id))

    def model(self, model_id: str) -> bytes:
        """OpenAI's model object. Raises KeyError: ask the router first."""
        return self._models[model_id]

    def ids(self, key: Key) -> Sequence[str]:
        """The models that the key may use, in their order."""
        return self._ids if key.models is None else tuple(filter(key.may_use, self._ids))

    def anthropic_models(self, ids: Sequence[str], has_more: bool) -> bytes:  # noqa: FBT001  (see Page)
        """A page of Anthropic's list."""
        first_id, last_id = (ids[0], ids[-1]) if ids else (None, None)
        data = b",".join(self._anthropic[model_id] for model_id in ids)
        about = _json({"has_more": has_more, "first_id": first_id, "last_id": last_id})
        return b'{"data":[%b],%b' % (data, about[1:])

    def anthropic_model(self, model_id: str) -> bytes:
        """Anthropic's model object. Raises KeyError: ask the router first."""
        return self._anthropic[model_id]

    def entries(self, key: Key) -> bytes:
        """The catalog entries of the models that the key may use."""
        if key.models is None:
            return self._all_entries
        return _list(body for model_id, body in self._entries.items() if key.may_use(model_id))

    def entry(self, model_id: str) -> bytes:
        """One catalog entry. Raises KeyError: ask the router first."""
        return self._entries[model_id]


def _model_object(model: ModelConfig, created_s: int) -> dict[str, Any]:
    """OpenAI's four members, and what else clients look for there, where the config knows it."""
    owned_by = model.owned_by or model.family.owned_by
    facts: dict[str, Any] = {"id": model.id, "object": "model", "created": created_s, "owned_by": owned_by}
    if model.context_window is not None:
        facts |= dict.fromkeys(_CONTEXT_NAMES, model.context_window)
    if model.max_output_tokens is not None:
        facts |= dict.fromkeys(_OUTPUT_NAMES, model.max_output_tokens)
    taken, given = model.input_modalities, _outputs(model)
    facts["kind"] = model.kind
    facts["modalities"] = {"input": taken, "output": given}
    facts["architecture"] = {"input_modalities": taken, "output_modalities": given}
    return facts


def _anthropic_object(model: ModelConfig, created_s: int) -> dict[str, Any]:
    """What Anthropic says of a model, as far as the config knows it; its capabilities are not told."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output_tokens,
        "capabilities": None,
    }


def entry_of(model: ModelConfig, dialect: str) -> dict[str, Any]:
    """What the catalog says of a model."""
    family = model.family
    modes = model.modes
    reasons = family.always_reasons is not None and family.always_reasons.search(model.upstream_model)
    capabilities: dict[str, bool | None] = {
        "streaming": True,  # the gateway streams from every upstream
        "tools": None,
        "vision": "image" in model.input_modalities,
        "reasoning": True if reasons else None,
        "json_mode": None,
    }
    if model.kind != "chat":
        dialect, modes = NATIVE, ("off",)
        capabilities = {name: name == "vision" and known for name, known in capabilities.items()}
    return {
        "id": model.id,
        "object": "model_catalog_entry",
        "kind": model.kind,
        "family": family.name,
        "owned_by": model.owned_by or family.owned_by,
        "modalities": {"input": model.input_modalities, "output": _outputs(model)},
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": capabilities | model.capabilities,
        "thinking": {
            "dialect": dialect,
            "switch_effective": dialect != NATIVE and len(modes) > 1,
            "modes": modes,
        },
    }


def _outputs(model: ModelConfig) -> tuple[str, ...]:
    """What comes out, in OpenRouter's words: clients offer what gives `text` for chats."""
    return _OUTPUTS.get(model.kind, model.output_modalities)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _list(bodies: Iterable[bytes]) -> bytes:
    return b'{"object":"list","data":[%b]}' % b",".join(bodies)
