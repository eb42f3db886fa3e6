"""The tables of the file, as the gateway sees them once they have been checked and resolved."""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, Strict

from llmgw.config.families import BOTH_MODES, Family, ThinkingMode, family_of, reasons_inline, thinking_modes

CONFIG_ENV: Final = "LLMGW_CONFIG"
DEFAULT_CONFIG: Final = "llmgw.toml"
DEFAULT_STORE_URL: Final = "sqlite:///llmgw.db"
SQLITE_PREFIX: Final = "sqlite:///"
MULTIPROC_ENV: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The folder in which several workers share their metrics; prometheus_client reads it at its import."""
MAX_DURATION_S: Final = 86_400.0
"""A day: longer than any request, and far from what a timer can't hold."""

MAX_STALE_KEYS_S: Final = 30 * 86_400.0

Dialect = Literal["enable_thinking", "directive", "thinking_object", "native", "chat_template_kwargs"]
Modality = Literal["text", "image", "audio", "video"]
Capability = Literal["streaming", "tools", "vision", "reasoning", "json_mode"]
Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
Strings = Annotated[tuple[str, ...], Strict(strict=False)]
Modes = Annotated[tuple[ThinkingMode, ...], Strict(strict=False), Field(min_length=1)]
Modalities = Annotated[tuple[Modality, ...], Strict(strict=False), Field(min_length=1)]


class Table(BaseModel):
    """What all tables have in common: no unknown keys, no conversions, no changes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class ServerConfig(Table):
    """`[server]`: the listening side."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8000, ge=0, le=65_535)
    """0: any free port."""
    workers: int = Field(default=1, ge=1, le=1024)
    max_body_bytes: int = Field(default=33_554_432, ge=1)
    max_in_flight_requests: int = Field(default=4096, ge=1)
    """Completion requests that a worker serves at once; beyond it they are answered with 503."""
    max_in_flight_bytes: int = Field(default=536_870_912, ge=1)
    """Bytes of their bodies that a worker holds at once; beyond it the same."""
    body_timeout_s: Seconds = 60.0
    """A request body that has not arrived whole by then is answered with 408."""
    client_write_timeout_s: Seconds = 60.0
    """A client that takes nothing of its answer for so long is cut off."""
    heartbeat_s: Seconds = 15.0
    """A comment is sent to the client after so long a silence."""
    drain_timeout_s: Seconds = 30.0
    """At a stop, streams get so long to finish."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class StoreConfig(Table):
    """`[store]`: keys and ledger."""

    url: str = DEFAULT_STORE_URL
    """A SQLite URL. A relative path is taken from the config file's folder, and is absolute once loaded."""
    stale_keys_s: float = Field(default=MAX_DURATION_S, gt=0, le=MAX_STALE_KEYS_S, allow_inf_nan=False)
    """While the database can't be read, the keys known so far stay in force for so long."""


class LedgerConfig(Table):
    """`[ledger]`: what is promised of its rows."""

    durability: Literal["relaxed", "strict"] = "relaxed"
    """`strict`: an answer's row is on disk before the answer ends."""
    journal: str | None = Field(default=None, min_length=1)
    """The folder where rows wait while the database fails, absolute once loaded. None: beside it."""
    journal_max_bytes: int = Field(default=268_435_456, ge=0)
    """For each worker; 0: no journal."""


class CacheConfig(Table):
    """`[cache]`: what is kept for a while, so far the reasoning of tool calls."""

    url: SecretStr | None = None
    """A Redis URL, which may hold a password. None: each worker's own memory."""
    reasoning_ttl_s: Seconds = 21_600.0
    """Kept for so long after its last use."""
    reasoning_max_bytes: int = Field(default=67_108_864, ge=1)
    """Of memory, per worker; Redis has a limit of its own."""


class UpstreamConfig(Table):
    """`[upstreams.NAME]`: one provider endpoint."""

    base_url: str
    """Without a slash at its end, once loaded."""
    api_key: SecretStr | None = None
    """None: no `authorization` is sent (a local server)."""
    connect_timeout_s: Seconds = 5.0
    first_event_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 60.0
    total_timeout_s: Seconds = 900.0
    max_in_flight: int | None = Field(default=None, ge=1)
    """Requests that a worker has there at once; beyond it they are answered with 503. None: no limit."""


class RoutingConfig(Table):
    """`[routing]`: how failed attempts are followed up, and when a target is left alone for a while."""

    max_attempts: int = Field(default=3, ge=1, le=10)
    """Of one request, the first included. 1: a failure goes to the client as it is."""
    retry_ratio: float = Field(default=0.2, ge=0, le=1, allow_inf_nan=False)
    """Attempts beyond the first, of all requests together, in each worker: so many per request of late."""
    min_retries_per_s: int = Field(default=3, ge=0, le=1_000_000)
    """Always allowed, however few requests there are."""
    cool_down_failures: int = Field(default=5, ge=1)
    """After so many in a row, a target cools down."""
    cool_down_s: Seconds = 1.0
    """The first one; each further one is twice as long."""
    max_cool_down_s: Seconds = 60.0
    """Caps what an upstream's `retry-after` asks for, too."""
    max_cooling_share: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Of a model's targets of one priority, as long as one of them is up."""


class TargetConfig(Table):
    """One of a model's `targets`. What is left out is taken from the model; loaded, nothing is left out."""

    upstream: str
    upstream_model: str = Field(default="", min_length=1)
    weight: int = Field(default=1, ge=1, le=1000)
    """Its share of the requests, against the others of its priority."""
    priority: int = Field(default=1, ge=1, le=1000)
    """Lower is better; a higher one is asked where no lower one can be."""
    thinking: Dialect | None = None
    upstream_stream: Literal["auto", "always", "never"] | None = None
    drop: Strings | None = None
    reasoning_tags: Literal["think", "none"] | None = None
    thinking_modes: Modes | None = None
    restore_reasoning: bool | None = None

    @property
    def inline_reasoning(self) -> Literal["think"] | None:
        """How the content marks reasoning inside; None: not at all, as far as is known."""
        if self.reasoning_tags is None:
            return "think" if reasons_inline(self.upstream_model) else None
        return "think" if self.reasoning_tags == "think" else None


_INHERITED: Final = (
    "upstream_model", "thinking", "upstream_stream", "drop", "reasoning_tags", "thinking_modes",
    "restore_reasoning",
)  # fmt: skip
"""What a target takes from its model."""


class ModelConfig(Table):
    """`[[models]]`: one model that clients may name."""

    id: str
    upstream: str | None = None
    """The short form of one target. Loaded, it is the first of `targets` in either case."""
    targets: Annotated[tuple[TargetConfig, ...], Strict(strict=False)] = ()
    """Either this or `upstream` stands in the file. Loaded, there is at least one."""
    upstream_model: str = Field(default="", min_length=1)
    """What the upstream calls it; `id` where the file is silent. Loaded, the first target's."""
    thinking: Dialect | None = None
    """None: the pattern table decides."""
    thinking_modes: Modes | None = None
    """What the switch may ask for. None: by the model's name, where that tells; else both."""
    thinking_fallback: Literal["error", "drop"] = "error"
    """Where the switch asks for a mode that the model lacks: refuse, or send the request without it."""
    restore_reasoning: bool | None = None
    """Keep the reasoning of tool calls and put it back where it is missing. None: DeepSeek and Kimi."""
    upstream_stream: Literal["auto", "always", "never"] = "auto"
    drop: Strings = ()
    """Request fields that this upstream refuses."""
    reasoning_tags: Literal["think", "none"] | None = None
    """`think`: reasoning stands in the content as `<think>…</think>`. None: only for MiniMax M2, M3."""
    owned_by: str | None = Field(default=None, min_length=1)
    input_modalities: Modalities = ("text",)
    output_modalities: Modalities = ("text",)
    context_window: int | None = Field(default=None, ge=1)
    """In tokens."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    capabilities: dict[Capability, bool] = Field(default_factory=dict)
    """Overrides what the catalog says of the family."""

    def model_post_init(self, _context: object, /) -> None:
        """Fill in what the file leaves to a default, before anyone sees the frozen object."""
        inherited = {name: getattr(self, name) for name in _INHERITED}
        inherited["upstream_model"] = self.upstream_model or self.id
        written = [target.model_dump(exclude_unset=True) for target in self.targets]
        if self.upstream is not None:
            written = [{"upstream": self.upstream}]
        targets = tuple(TargetConfig.model_construct(**inherited | target) for target in written)
        if targets:  # else a fault of its own, see _target_faults
            object.__setattr__(self, "upstream", targets[0].upstream)
            object.__setattr__(self, "upstream_model", targets[0].upstream_model)
        object.__setattr__(self, "targets", targets)

    @property
    def family(self) -> Family:
        """By the name at the first target, else by its id."""
        return family_of(self.upstream_model, self.id)

    @property
    def modes(self) -> tuple[ThinkingMode, ...]:
        """The modes that every target has, so that the switch can be honoured whichever one is asked."""
        of_targets = [self.modes_at(target) for target in self.targets]
        return tuple(mode for mode in BOTH_MODES if all(mode in modes for modes in of_targets))

    def modes_at(self, target: TargetConfig) -> tuple[ThinkingMode, ...]:
        """What the switch may ask of a target: as configured, else as its name tells, else both."""
        if target.thinking_modes is not None:
            return tuple(mode for mode in BOTH_MODES if mode in target.thinking_modes)
        return thinking_modes(target.upstream_model, self.id)

    def wants_reasoning_at(self, target: TargetConfig) -> bool:
        """Whether reasoning of tool calls is kept for a target, and put back where it is missing."""
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
    upstreams: dict[str, UpstreamConfig] = Field(min_length=1)
    models: Annotated[tuple[ModelConfig, ...], Strict(strict=False), Field(min_length=1)]
    _source: Path = PrivateAttr(default=Path(DEFAULT_CONFIG))
    _created_s: int = PrivateAttr(default=0)
    _text: str = PrivateAttr(default="")

    @property
    def source(self) -> Path:
        """The file that this was read from."""
        return self._source

    @property
    def journal_folder(self) -> Path:
        """`ledger.journal`, or `NAME.journal` beside the database."""
        return Path(self.ledger.journal or f"{self.store.url.removeprefix(SQLITE_PREFIX)}.journal")

    @property
    def created_s(self) -> int:
        """When the file was last changed, in seconds since the epoch."""
        return self._created_s

    @property
    def text(self) -> str:
        """The file as it was read, secrets and all: never to be shown."""
        return self._text


DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)
"""The known thinking dialects, as `_core.Route` takes them."""
