"""Model id → what serves it: the upstream, and how requests are rewritten for it."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from llmgw import _core
from llmgw.admission import Slots
from llmgw.config import Config, ModelConfig, UpstreamConfig
from llmgw.errors import ApiError
from llmgw.keys import Key

_SUGGESTIONS: Final = 3
_SHOWN_LENGTH: Final = 128
"""A longer model id is cut before it is compared and shown."""


@dataclass(frozen=True, slots=True)
class Model:
    """One configured model, ready to be used."""

    id: str
    upstream_name: str
    upstream: _core.Upstream
    route: _core.Route
    accepts_images: bool
    slots: Slots
    """Those of the upstream."""


class Upstream(NamedTuple):
    """One configured provider endpoint."""

    table: UpstreamConfig
    client: _core.Upstream
    slots: Slots


class Router:
    """The configured models by id."""

    def __init__(self, config: Config, previous: "Router | None" = None) -> None:
        """Make it in the worker process, after the fork: upstreams have pooled clients and threads.

        `previous`: the one that this one takes over from. What did not change keeps its connections.
        Raises ValueError where the Rust core refuses an upstream or a route; `load_config` checks the same.
        """
        self.upstreams: dict[str, Upstream] = {}
        for name, table in config.upstreams.items():
            old = previous.upstreams.get(name) if previous else None
            client = old.client if old is not None and old.table == table else _client(table)
            # What is under way there counts, whichever config it began under.
            self.upstreams[name] = Upstream(table, client, old.slots if old is not None else Slots(None))
        self._models = {model.id: _model(model, self.upstreams[model.upstream]) for model in config.models}
        for upstream in self.upstreams.values():
            upstream.slots.limit = upstream.table.max_in_flight

    @property
    def models(self) -> Mapping[str, Model]:
        """All models by id, in the order of the config."""
        return self._models

    def resolve(self, model_id: str, key: Key) -> Model:
        """The model that a key asks for. Raises ApiError: `model_not_found`, `model_not_allowed`."""
        model = self._models.get(model_id)
        if model is None:
            raise ApiError("model_not_found", self._not_found(model_id, key), param="model")
        if not key.may_use(model_id):
            message = f"This API key may not use the model {model_id!r}."
            raise ApiError("model_not_allowed", message, param="model")
        return model

    def _not_found(self, model_id: str, key: Key) -> str:
        usable = [known for known in self._models if key.may_use(known)]
        shown = model_id if len(model_id) <= _SHOWN_LENGTH else model_id[:_SHOWN_LENGTH] + "…"
        close = difflib.get_close_matches(shown, usable, n=_SUGGESTIONS)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        return f"The model {shown!r} does not exist.{hint} GET /v1/models lists what this key may use."


def _client(table: UpstreamConfig) -> _core.Upstream:
    return _core.Upstream(
        table.base_url,
        api_key=None if table.api_key is None else table.api_key.get_secret_value(),
        connect_timeout_s=table.connect_timeout_s,
        first_event_timeout_s=table.first_event_timeout_s,
        idle_timeout_s=table.idle_timeout_s,
        total_timeout_s=table.total_timeout_s,
    )


def _model(model: ModelConfig, upstream: Upstream) -> Model:
    route = _core.Route(
        model.upstream_model,
        dialect=model.thinking,
        upstream_stream=model.upstream_stream,
        drop=model.drop,
        reasoning_tags=model.inline_reasoning,
    )
    return Model(
        id=model.id,
        upstream_name=model.upstream,
        upstream=upstream.client,
        route=route,
        accepts_images="image" in model.input_modalities,
        slots=upstream.slots,
    )
