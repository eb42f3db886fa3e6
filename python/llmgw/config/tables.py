"""Which tables and keys the config file has, with types, limits and defaults."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, PrivateAttr, SecretStr, Strict

from llmgw.config.families import (
    BOTH_MODES,
    Family,
    Refused,
    ThinkingMode,
    family_of,
    reasons_inline,
    thinking_modes,
)
from llmgw.config.otel import OtelConfig
from llmgw.config.prices import PriceConfig, PricesConfig
from llmgw.config.table import Table

CONFIG_ENV: Final = "LLMGW_CONFIG"
DEFAULT_CONFIG: Final = "llmgw.toml"
DEFAULT_STORE_URL: Final = "sqlite:///llmgw.db"
SQLITE_PREFIX: Final = "sqlite:///"
POSTGRESQL_PREFIX: Final = "postgresql+psycopg://"
MULTIPROC_ENV: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The folder in which workers share their metrics; prometheus_client reads the variable at its import."""
MAX_DURATION_S: Final = 86_400.0
"""A day: longer than any request, and safely within the range of timers."""

MAX_WORKERS: Final = 1024
MAX_ACCOUNTS: Final = 64
"""Of an upstream. Each has connections of its own, and is a target of its own."""
MAX_PER_MINUTE: Final = 1_000_000_000_000
"""Of a limit."""
MAX_STALE_KEYS_S: Final = 30 * 86_400.0
MIN_ANSWER_BYTES: Final = 65_536
"""Below, answers that are nothing special would fail."""
MAX_ANSWER_BYTES: Final = 1 << 30
"""For `max_event_bytes` and `max_answer_bytes`; a worker may need a few times as much memory."""

Dialect = Literal["enable_thinking", "directive", "thinking_object", "native", "chat_template_kwargs"]
DeveloperRole = Literal["keep", "system"]
ModelKind = Literal["chat", "embedding", "rerank"]
Protocol = Literal["chat", "messages", "responses"]
NativeProtocol = Literal["messages", "responses"]
Modality = Literal["text", "image", "audio", "video", "file"]
Capability = Literal["streaming", "tools", "vision", "reasoning", "json_mode"]
Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
Strings = Annotated[tuple[str, ...], Strict(strict=False)]
Secrets = Annotated[tuple[SecretStr | None, ...], Strict(strict=False), Field(min_length=1)]
Modes = Annotated[tuple[ThinkingMode, ...], Strict(strict=False), Field(min_length=1)]
Refusals = Annotated[tuple[Refused, ...], Strict(strict=False)]
Protocols = Annotated[tuple[Protocol, ...], Strict(strict=False), Field(min_length=1)]
Modalities = Annotated[tuple[Modality, ...], Strict(strict=False), Field(min_length=1)]


class ServerConfig(Table):
    """`[server]`: the listening side."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    """0: any free port."""
    workers: int = Field(default=1, ge=1, le=MAX_WORKERS)
    max_body_bytes: int = Field(default=33_554_432, ge=1)
    max_in_flight_requests: int = Field(default=4096, ge=1)
    """Completion requests that a worker serves at once; further ones get 503."""
    max_in_flight_bytes: int = Field(default=536_870_912, ge=1)
    """Bytes of request bodies that a worker holds at once; further requests get 503."""
    http2: bool = False
    """Also speak HTTP/2, with clients that begin with it."""
    head_timeout_s: Seconds = 30.0
    """A connection that brings no whole head in this time, at first or after an answer, is closed."""
    body_timeout_s: Seconds = 60.0
    """A request whose body is not complete by then gets 408."""
    client_write_timeout_s: Seconds = 60.0
    """A client that reads nothing of its answer for this long is disconnected."""
    heartbeat_s: Seconds = 15.0
    """After this long without data, the client gets a comment."""
    stop_delay_s: float = Field(default=0.0, ge=0, le=MAX_DURATION_S, allow_inf_nan=False)
    """After SIGTERM, go on serving for this long with `/readyz` at 503, so that balancers find out."""
    drain_timeout_s: Seconds = 30.0
    """At a stop, streams get this long to finish."""
    cors_origins: Strings = ()
    """Origins whose pages may use the gateway from a browser; `*`: any."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class StoreConfig(Table):
    """`[store]`: keys and ledger."""

    url: str = Field(default=DEFAULT_STORE_URL, repr=False)
    """A SQLite URL. A relative path starts at the config file's folder; it is absolute once loaded.

    Or a PostgreSQL URL, which may have a password: `store.facts.shown_url` is what may be told.
    """
    stale_keys_s: float = Field(default=MAX_DURATION_S, gt=0, le=MAX_STALE_KEYS_S, allow_inf_nan=False)
    """How long the last known keys stay in force while the database can't be read."""


class LedgerConfig(Table):
    """`[ledger]`: how durable its rows are."""

    durability: Literal["relaxed", "strict"] = "relaxed"
    """`strict`: the row is on disk before the answer ends."""
    journal: str | None = Field(default=None, min_length=1)
    """Folder where rows wait while the database fails; absolute once loaded. None: next to the database."""
    journal_max_bytes: int = Field(default=268_435_456, ge=0)
    """For each worker; 0: no journal."""
    keep_days: int | None = Field(default=None, ge=1, le=36_500)
    """Older rows are deleted; their sums stay. None: all rows are kept."""


class LimitsConfig(Table):
    """`[limits]`: of every key that has no others. None: no limit."""

    requests_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    tokens_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    concurrent_requests: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    machines: int = Field(default=1, ge=1, le=10_000)
    """How many machines share the limits, by the Redis of `[cache] url`; 1: this one alone, without Redis."""


class AdminConfig(Table):
    """`[admin]`: the admin API."""

    enabled: bool = False
    host: str | None = Field(default=None, min_length=1)
    """None: as `server.host`."""
    port: int | None = Field(default=None, ge=0, le=65_535)
    """Its own listener, in a process of its own; 0: any free port. None: on the gateway's port."""
    capture: bool = False
    """Whether an admin may have a key's requests kept with their bodies, for a while."""


class AlertsConfig(Table):
    """`[alerts]`: who is told that a budget nears its end."""

    url: SecretStr | None = None
    """A webhook, which gets JSON by POST. None: nobody is told."""
    secret: SecretStr | None = None
    """Signs the body (HMAC-SHA256)."""
    timeout_s: Seconds = 10.0
    """Of one attempt to deliver."""


class CacheConfig(Table):
    """`[cache]`: where the reasoning of earlier turns is kept for a while."""

    url: SecretStr | None = None
    """A Redis URL, which may contain a password. None: each worker's own memory."""
    reasoning_ttl_s: Seconds = 21_600.0
    """How long an entry is kept after its last use."""
    reasoning_max_bytes: int = Field(default=67_108_864, ge=1)
    """Per worker, in memory; Redis has its own limit."""


class ResponsesConfig(Table):
    """`[responses]`: conversations of `POST /v1/responses` that are kept, where `[cache]` says."""

    keep_s: Seconds | None = None
    """How long one is kept after its last use. None: `previous_response_id` is refused."""
    max_bytes: int = Field(default=67_108_864, ge=1)
    """Per worker, of all conversations together."""


class UpstreamConfig(Table):
    """`[upstreams.NAME]`: an endpoint of a provider."""

    base_url: str
    """Once loaded, without a slash at the end."""
    rerank_url: str | None = None
    """Where rerank is, on the same host. None: at `base_url` + `/rerank`."""
    messages_url: str | None = None
    """The whole URL at which it speaks Anthropic's Messages. None: it does not."""
    responses_url: str | None = None
    """The same for OpenAI's Responses."""
    api_key: SecretStr | None = None
    """None: no `authorization` header is sent (local servers)."""
    api_keys: Secrets | None = None
    """Of several accounts there, instead of `api_key`. Without secrets (see `load_config`) each is None."""
    connect_timeout_s: Seconds = 5.0
    first_event_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 60.0
    total_timeout_s: Seconds = 900.0
    max_event_bytes: int = Field(default=16_777_216, ge=MIN_ANSWER_BYTES, le=MAX_ANSWER_BYTES)
    """Of one event of a stream. A larger one ends the answer with an error."""
    max_answer_bytes: int = Field(default=67_108_864, ge=MIN_ANSWER_BYTES, le=MAX_ANSWER_BYTES)
    """Of an answer that is read as a whole: plain, or to be merged."""
    max_in_flight: int | None = Field(default=None, ge=1)
    """Requests that a worker has there at once, by each account; further ones get 503. None: no limit."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    """What the provider grants each account, over all workers: no more is asked. None: no limit."""
    tokens_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    wait_s: float = Field(default=0.0, ge=0, le=MAX_DURATION_S, allow_inf_nan=False)
    """So long a request waits for a place there, if no other target has one, before it is refused."""

    @property
    def accounts(self) -> dict[int | None, SecretStr | None]:
        """The key of each account by its number, from 1 in the order of `api_keys`; the only one has none."""
        if self.api_keys is None or len(self.api_keys) == 1:
            return {None: self.api_key if self.api_keys is None else self.api_keys[0]}
        return dict(enumerate(self.api_keys, start=1))

    @property
    def native(self) -> tuple[NativeProtocol, ...]:
        """The APIs that it has a URL for, beside chat."""
        urls: dict[NativeProtocol, str | None] = {
            "messages": self.messages_url,
            "responses": self.responses_url,
        }
        return tuple(protocol for protocol, url in urls.items() if url is not None)

    def native_at(self, target: "TargetConfig") -> tuple[NativeProtocol, ...]:
        """Those of them that a target is asked in."""
        wanted = target.protocols
        return self.native if wanted is None else tuple(each for each in self.native if each in wanted)


class RoutingConfig(Table):
    """`[routing]`: when failed attempts are retried, and when targets cool down."""

    max_attempts: int = Field(default=3, ge=1, le=10)
    """Per request, including the first. 1: no retries."""
    retry_ratio: float = Field(default=0.2, ge=0, le=1, allow_inf_nan=False)
    """Retries per request, over all recent requests of a worker."""
    min_retries_per_s: int = Field(default=3, ge=0, le=1_000_000)
    """Retries that are always allowed, however few requests there are."""
    cool_down_failures: int = Field(default=5, ge=1)
    """Consecutive failures after which a target cools down."""
    cool_down_s: Seconds = 1.0
    """The first one; each further one is twice as long."""
    max_cool_down_s: Seconds = 60.0
    """Also the longest `retry-after` of an upstream that is followed."""
    max_cooling_share: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """The share of a model's targets of one priority that may be out of use while another is up."""
    affinity: bool = True
    """Whether a conversation stays with one target, as long as that is healthy and has a place."""


class TargetConfig(Table):
    """One of a model's `targets`. Missing values come from the model and are filled in once loaded."""

    upstream: str
    upstream_model: str = Field(default="", min_length=1)
    weight: int = Field(default=1, ge=1, le=1000)
    """Its share of the requests, relative to the other targets of its priority; that of each account."""
    priority: int = Field(default=1, ge=1, le=1000)
    """Lower is better; a higher one is used only if no lower one can be."""
    thinking: Dialect | None = None
    upstream_stream: Literal["auto", "always", "never"] | None = None
    drop: Strings | None = None
    reasoning_tags: Literal["think", "none"] | None = None
    thinking_modes: Modes | None = None
    restore_reasoning: bool | None = None
    refuses: Refusals | None = None
    developer_role: DeveloperRole | None = None
    protocols: Protocols | None = None
    price: PriceConfig | None = None

    @property
    def inline_reasoning(self) -> Literal["think"] | None:
        """The tags that mark reasoning in the content; None: there are none, as far as is known."""
        if self.reasoning_tags is None:
            return "think" if reasons_inline(self.upstream_model) else None
        return "think" if self.reasoning_tags == "think" else None


_INHERITED: Final = (
    "upstream_model", "thinking", "upstream_stream", "drop", "reasoning_tags", "thinking_modes",
    "restore_reasoning", "refuses", "developer_role", "protocols", "price",
)  # fmt: skip
"""The values that a target takes from its model."""


class ModelConfig(Table):
    """`[[models]]`: a model that clients may request."""

    id: str
    kind: ModelKind = "chat"
    """What it is asked for: completions, embeddings or rerank."""
    upstream: str | None = None
    """Short for a single target. Once loaded, always the upstream of the first target."""
    targets: Annotated[tuple[TargetConfig, ...], Strict(strict=False)] = ()
    """The file has either this or `upstream`. Once loaded, there is at least one."""
    upstream_model: str = Field(default="", min_length=1)
    """The upstream's name for the model; default `id`. Once loaded, the name at the first target."""
    thinking: Dialect | None = None
    """None: decided by the model's name."""
    thinking_modes: Modes | None = None
    """The modes that the switch may ask for. None: those that the model's name implies, else both."""
    thinking_fallback: Literal["error", "drop"] = "error"
    """What to do if the model lacks the mode that is asked for: refuse, or send no switch."""
    restore_reasoning: bool | None = None
    """Keep the reasoning of earlier turns and restore it where it is missing. None: DeepSeek and Kimi."""
    refuses: Refusals | None = None
    """What the provider gets in other words. None: what the family is known to refuse."""
    developer_role: DeveloperRole | None = None
    """What becomes of messages of role `developer`, whatever `refuses` says. None: as `refuses` says."""
    protocols: Protocols | None = None
    """In which APIs the upstream is asked. None: in chat, and in each that it has a URL for."""
    upstream_stream: Literal["auto", "always", "never"] = "auto"
    drop: Strings = ()
    """Request fields that are removed, because the upstream refuses them."""
    reasoning_tags: Literal["think", "none"] | None = None
    """`think`: the content has reasoning in `<think>…</think>`. None: only for MiniMax M2 and M3."""
    cache_control: Literal["keep", "remove"] = "remove"
    """What becomes of the marks in Messages bodies. Keep: every upstream of the model knows them."""
    owned_by: str | None = Field(default=None, min_length=1)
    input_modalities: Modalities = ("text",)
    output_modalities: Modalities = ("text",)
    context_window: int | None = Field(default=None, ge=1)
    """In tokens."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    capabilities: dict[Capability, bool] = Field(default_factory=dict)
    """Overrides the catalog's defaults for the family."""
    requests_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    """Of all keys together. None: no limit."""
    tokens_per_minute: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    concurrent_requests: int | None = Field(default=None, ge=1, le=MAX_PER_MINUTE)
    price: PriceConfig | None = None
    """None: its requests have no cost that is known."""

    def model_post_init(self, _context: object, /) -> None:
        """Fill in defaults before the frozen object is used."""
        inherited = {name: getattr(self, name) for name in _INHERITED}
        inherited["upstream_model"] = self.upstream_model or self.id
        written = [{name: getattr(each, name) for name in each.model_fields_set} for each in self.targets]
        if self.upstream is not None:
            written = [{"upstream": self.upstream}]
        targets = tuple(TargetConfig.model_construct(**inherited | target) for target in written)
        if targets:  # else `_target_faults` has reported it
            object.__setattr__(self, "upstream", targets[0].upstream)
            object.__setattr__(self, "upstream_model", targets[0].upstream_model)
        object.__setattr__(self, "targets", targets)

    @property
    def family(self) -> Family:
        """Decided by the name at the first target, else by the id."""
        return family_of(self.upstream_model, self.id)

    @property
    def modes(self) -> tuple[ThinkingMode, ...]:
        """The modes that every target has, so that the switch works at each of them."""
        return self.modes_of(self.targets)

    def modes_of(self, targets: Iterable[TargetConfig]) -> tuple[ThinkingMode, ...]:
        """The modes that each of these targets has."""
        of_targets = [self.modes_at(target) for target in targets]
        return tuple(mode for mode in BOTH_MODES if all(mode in modes for modes in of_targets))

    def modes_at(self, target: TargetConfig) -> tuple[ThinkingMode, ...]:
        """The modes of a target: as configured, else as its name implies, else both."""
        if target.thinking_modes is not None:
            return tuple(mode for mode in BOTH_MODES if mode in target.thinking_modes)
        return thinking_modes(target.upstream_model, self.id)

    def refused_at(self, target: TargetConfig) -> frozenset[Refused]:
        """What a target gets in other words: as configured, else what its family is known to refuse."""
        refused = frozenset(target.refuses or ())
        if target.refuses is None:
            refused = family_of(target.upstream_model, self.id).refuses
        if target.developer_role is None:
            return refused
        role: frozenset[Refused] = frozenset({"developer_role"})
        return refused | role if target.developer_role == "system" else refused - role

    def wants_reasoning_at(self, target: TargetConfig) -> bool:
        """True if the reasoning of tool calls is kept for a target and restored where it is missing."""
        if target.restore_reasoning is not None:
            return target.restore_reasoning
        return family_of(target.upstream_model, self.id).wants_reasoning


class Config(Table):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    ledger: LedgerConfig = LedgerConfig()
    routing: RoutingConfig = RoutingConfig()
    cache: CacheConfig = CacheConfig()
    responses: ResponsesConfig = ResponsesConfig()
    limits: LimitsConfig = LimitsConfig()
    prices: PricesConfig = PricesConfig()
    admin: AdminConfig = AdminConfig()
    alerts: AlertsConfig = AlertsConfig()
    otel: OtelConfig = OtelConfig()
    upstreams: dict[str, UpstreamConfig] = Field(min_length=1)
    models: Annotated[tuple[ModelConfig, ...], Strict(strict=False), Field(min_length=1)]
    _source: Path = PrivateAttr(default=Path(DEFAULT_CONFIG))
    _created_s: int = PrivateAttr(default=0)
    _text: str = PrivateAttr(default="")

    @property
    def source(self) -> Path:
        """The file that the config was read from."""
        return self._source

    @property
    def journal_folder(self) -> Path:
        """`ledger.journal`, or `NAME.journal` next to the database."""
        return Path(self.ledger.journal) if self.ledger.journal else self._beside("journal")

    @property
    def limits_folder(self) -> Path:
        """`NAME.limits` next to the database: what the workers of this machine share."""
        return self._beside("limits")

    @property
    def run_folder(self) -> Path:
        """`NAME.run` next to the database: where the gateways of this machine are found (`RunFolder`)."""
        return self._beside("run")

    def _beside(self, name: str) -> Path:
        """A path for what this machine has of its own: next to the database, if that is a file.

        Else next to `ledger.journal`, or without that next to the config file, and named like that one: what
        is kept there is of one database, and another config may name another.
        """
        if self.store.url.startswith(SQLITE_PREFIX):
            return Path(f"{self.store.url.removeprefix(SQLITE_PREFIX)}.{name}")
        neighbour = Path(self.ledger.journal) if self.ledger.journal else self._source
        return neighbour.parent / f"{self._source.stem}-{name}"

    @property
    def created_s(self) -> int:
        """When the file was last changed, in seconds since the epoch."""
        return self._created_s

    @property
    def text(self) -> str:
        """The text of the file. It may contain secrets and must never be shown."""
        return self._text


DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)
"""The known thinking dialects, as `_core.Route` takes them."""
NATIVE: Final[Dialect] = "native"
"""The only dialect in which the gateway's thinking switch has no effect."""
