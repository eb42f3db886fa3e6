"""Which targets serve a model id, and how is a request rewritten for each of them?"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from llmgw import _core
from llmgw._core import LimitTable
from llmgw.access.key import Key
from llmgw.config import (
    BOTH_MODES,
    NATIVE,
    Config,
    Modality,
    ModelConfig,
    ModelKind,
    PriceConfig,
    TargetConfig,
    ThinkingMode,
)
from llmgw.errors import ApiError
from llmgw.limits.rules import NO_LIMITS, Limits
from llmgw.prices.price import Price
from llmgw.routing.accounts import OpenUpstream, account_name, open_upstream, rates_of
from llmgw.routing.affinity import identity_of
from llmgw.routing.health import CoolDown, Health, Observe
from llmgw.routing.providers import ProviderModel, provider_of, servers_of
from llmgw.routing.suggest import SHOWN_LENGTH, Suggestions
from llmgw.routing.targets import Target, Targets

_USES: Final[dict[ModelKind, tuple[str, str]]] = {
    "chat": ("a chat model", "POST /v1/chat/completions"),
    "embedding": ("an embedding model", "POST /v1/embeddings"),
    "rerank": ("a rerank model", "POST /v1/rerank"),
}
_At: TypeAlias = tuple[str, int | None, str]
"""An upstream, its account, a model there."""
_NAMES: Final = {"image": "images", "video": "videos", "audio": "audio", "file": "files"}


@dataclass(frozen=True, slots=True)
class Model:
    """A configured model with its targets."""

    id: str
    targets: Targets
    modalities: frozenset[Modality]
    """What messages may hold, `text` among it."""
    thinking_modes: tuple[ThinkingMode, ...] = BOTH_MODES
    """What may be asked of targets whose dialect has a switch; other values are refused."""

    wants_reasoning: bool = False
    """True if any target needs the reasoning of earlier tool calls in the request."""

    kind: ModelKind = "chat"
    limits: Limits = NO_LIMITS
    """Of all keys together."""
    max_output_tokens: int | None = None
    """What it can answer at most, as far as the config says."""

    @property
    def writes(self) -> bool:
        """False for embeddings and rerank: their answers have no tokens."""
        return self.kind == "chat"

    @property
    def prices(self) -> Collection[Price | None]:
        """Those of its targets, each once; None: at least one has no price."""
        return {target.price for target in self.targets.all}

    @property
    def routes(self) -> list[_core.Route]:
        """The routes of all targets."""
        return [target.route for target in self.targets.all]

    def check_kind(self, wanted: ModelKind) -> None:
        """Raises ApiError, `wrong_api`, if the model is not of the kind that the request's path is for."""
        if self.kind != wanted:
            what, path = _USES[self.kind]
            message = f"The model {self.id!r} is {what}: use {path} for it, or choose another model."
            raise ApiError("wrong_api", message, param="model")

    def check_media(self, request: _core.ChatRequest) -> None:
        """Raises ApiError, `unsupported_modality`, if a message holds what the model does not take."""
        for modality, param in request.media:
            if modality not in self.modalities:
                message = (
                    f"The model {self.id!r} takes no {_NAMES[modality]}. "
                    "GET /v1/model-catalog tells which models do."
                )
                raise ApiError("unsupported_modality", message, param=param)

    def check_thinking(self, request: _core.ChatRequest) -> None:
        """Raises ApiError, `unsupported_thinking_mode`, if the model lacks the mode that is asked for."""
        asked = request.thinking
        if asked is None or ("on" if asked else "off") in self.thinking_modes:
            return
        does = "always thinks" if asked is False else "never thinks"
        modes = ", ".join(self.thinking_modes)
        message = (
            f"The model {self.id!r} {does} (thinking modes: {modes}). Leave {request.thinking_field} out, "
            "or choose another model: thinking.modes in GET /v1/model-catalog tells what each can do."
        )
        raise ApiError("unsupported_thinking_mode", message, param=request.thinking_field)


def _modes_to_ask_for(
    model: ModelConfig, targets: Iterable[tuple[TargetConfig, Target]]
) -> tuple[ThinkingMode, ...]:
    if model.thinking_fallback == "drop":
        return BOTH_MODES  # the rewrite removes a switch that a target does not have
    # Where the dialect has no switch, the boolean has no effect, whatever it says: nothing to refuse.
    switched = [at for at, target in targets if target.route.dialect != NATIVE]
    return model.modes_of(switched)


class Router:
    """The configured models by id."""

    def __init__(
        self,
        config: Config,
        previous: "Router | None" = None,
        *,
        observe: Observe | None = None,
        limit_table: LimitTable | None = None,
    ) -> None:
        """Make it in the worker process, after the fork: upstreams have pooled clients and threads.

        `previous` is the router to be replaced: an account that did not change keeps its connections, and
        a target its health. Until `take_effect` is called nothing of it is changed. `observe` is told of each
        target that may cool down, and of every change of that, as in `Health`. `limit_table`: where the rates
        of upstreams are counted; None: nowhere.

        Raises ValueError where the Rust core refuses an upstream or a route; `load_config` checks the same.
        """
        self._limit_table = limit_table
        self._config = config
        self._previous = previous
        self._observe = observe
        self._health: dict[_At, Health] = {}
        self._with_alternative: list[Health] = []
        self._prices: dict[PriceConfig, Price] = {}
        known = previous.upstreams if previous else {}
        self.upstreams: dict[str, OpenUpstream] = {
            name: open_upstream(table, known.get(name)) for name, table in config.upstreams.items()
        }
        self._models = {model.id: self._model(model) for model in config.models}
        self.keep_cache_control_of = tuple(m.id for m in config.models if m.cache_control == "keep")
        """The models whose upstreams know the `cache_control` marks of Messages bodies."""
        self._suggestions = Suggestions(self._models)
        self._previous = None

    def take_effect(self) -> None:
        """Apply the config to the health and places that are shared with the previous router.

        Call it once, on the event loop, when nothing can fail any more.
        """
        machines = self._config.limits.machines
        for name, (table, accounts) in self.upstreams.items():
            for number, account in accounts.items():
                places, called = account.places, account_name(name, number)
                places.limit = table.max_in_flight
                places.wait_s = table.wait_s
                places.rates = rates_of(called, table, limit_table=self._limit_table, machines=machines)
                places.serve()
        moved = [(health, at[1]) for at, health in self._health.items() if health.account != at[1]]
        for health, number in moved:
            health.renumber(number)
        for health, _ in moved:
            health.remind()
        for health in set(self._health.values()).difference(self._with_alternative):
            health.stand_alone()
        for health in self._with_alternative:
            health.begin_to_cool()

    @property
    def health(self) -> list[Health]:
        """The health of each model at each account, in the order of the config."""
        return list(self._health.values())

    def retire_for(self, successor: "Router") -> None:
        """Another router takes over: retire the health that it does not share, before that takes effect."""
        for health in set(self._health.values()).difference(successor.health):
            health.retire()

    @property
    def models(self) -> Mapping[str, Model]:
        """All models by id, in the order of the config."""
        return self._models

    @property
    def prices(self) -> Collection[Price]:
        """The prices of all targets that have one."""
        return self._prices.values()

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
        shown = model_id if len(model_id) <= SHOWN_LENGTH else model_id[:SHOWN_LENGTH] + "…"
        close = self._suggestions.for_(shown, key)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        return f"The model {shown!r} does not exist.{hint} GET /v1/models lists what this key may use."

    def _model(self, model: ModelConfig) -> Model:
        pairs = [(at, target) for at in model.targets for target in self._targets(model, at)]
        targets = [target for _, target in pairs]
        if len(targets) > 1:
            self._with_alternative += [target.health for target in targets]
        routing = self._config.routing
        return Model(
            id=model.id,
            targets=Targets(targets, affinity=routing.affinity, max_cooling_share=routing.max_cooling_share),
            modalities=frozenset(model.input_modalities),
            kind=model.kind,
            thinking_modes=_modes_to_ask_for(model, pairs),
            wants_reasoning=any(target.route.restore_reasoning for target in targets),
            limits=Limits(model.requests_per_minute, model.tokens_per_minute, model.concurrent_requests),
            max_output_tokens=model.max_output_tokens,
        )

    def _targets(self, model: ModelConfig, target: TargetConfig) -> Iterator[Target]:
        """One for each account of the target's upstream."""
        upstream = self.upstreams[target.upstream]
        modes = model.modes_at(target)
        route = _core.Route(
            target.upstream_model,
            dialect=target.thinking,
            upstream_stream=target.upstream_stream or "auto",
            drop=target.drop or (),
            reasoning_tags=target.inline_reasoning,
            thinking_on="on" in modes,
            thinking_off="off" in modes,
            restore_reasoning=model.wants_reasoning_at(target),
            refuses=sorted(model.refused_at(target)),
            provider=upstream.table.base_url,
            speaks=upstream.table.native_at(target),
        )
        provider = provider_of(upstream.table.base_url, target.upstream)
        servers = servers_of(upstream.table)
        for number, account in upstream.accounts.items():
            yield Target(
                upstream=account.client,
                route=route,
                health=self._health_at(target, number),
                places=account.places,
                identity=identity_of(target.upstream, number, target.upstream_model),
                weight=target.weight,
                priority=target.priority,
                total_timeout_s=upstream.table.total_timeout_s,
                price=None if target.price is None else self._price(target.price),
                provider_model=ProviderModel(provider, target.upstream_model),
                servers=servers,
            )

    def _health_at(self, target: TargetConfig, account: int | None) -> Health:
        at = (target.upstream, account, target.upstream_model)
        if at not in self._health:
            new = Health(
                target.upstream,
                target.upstream_model,
                account=account,
                cool_down=_cool_down(self._config),
                observe=self._observe,
            )
            self._health[at] = self._known_health(target, account) or new
        return self._health[at]

    def _price(self, table: PriceConfig) -> Price:
        """Targets with the same price share it."""
        if table not in self._prices:
            self._prices[table] = Price(table, self._config.prices)
        return self._prices[table]

    def _known_health(self, target: TargetConfig, account: int | None) -> Health | None:
        """The previous router's health of a target, if account, upstream and cool-downs did not change."""
        previous, name = self._previous, target.upstream
        if previous is None or _cool_down(previous._config) != _cool_down(self._config):  # noqa: SLF001
            return None
        new, old = self.upstreams[name], previous.upstreams.get(name)
        if old is None or not old.is_like(new.table):
            return None
        try:
            before = old.number_of(new.accounts[account].key)
        except KeyError:
            return None
        return previous._health.get((name, before, target.upstream_model))  # noqa: SLF001  (of the same class)


def _cool_down(config: Config) -> CoolDown:
    table = config.routing
    return CoolDown(table.cool_down_failures, table.cool_down_s, table.max_cool_down_s)
