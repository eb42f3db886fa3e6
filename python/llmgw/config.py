"""The configuration: one TOML file, checked as a whole.

`load_config` either returns a `Config` that the gateway can run with, or raises one `ConfigError` that
lists every fault with its path in the file and what would be right. Secrets are resolved here (`env:NAME`,
`file:PATH` or the secret itself) and kept as `SecretStr`, so that no repr, log line or error shows them.

Durations are in seconds and say so in their names. This module uses no other module of the package.
"""

import difflib
import importlib.util
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, Strict, ValidationError
from pydantic_core import ErrorDetails

CONFIG_ENV: Final = "LLMGW_CONFIG"
DEFAULT_CONFIG: Final = "llmgw.toml"
_REDIS_SCHEMES: Final = frozenset({"redis", "rediss"})
DEFAULT_STORE_URL: Final = "sqlite:///llmgw.db"
SQLITE_PREFIX: Final = "sqlite:///"
MAX_DURATION_S: Final = 86_400.0
"""A day: longer than any request, and far from what a timer can't hold."""

MAX_STALE_KEYS_S: Final = 30 * 86_400.0

MINIMAL_EXAMPLE: Final = """\
[upstreams.dashscope]
base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1"
api_key = "env:DASHSCOPE_API_KEY"

[[models]]
id = "qwen3.6-plus"
upstream = "dashscope"
"""

_INLINE_REASONING: Final = re.compile(r"minimax-m[23](?!\d)", re.IGNORECASE)
"""MiniMax's models write their reasoning into the content unless `reasoning_split` is sent."""
Dialect = Literal["enable_thinking", "directive", "thinking_object", "native", "chat_template_kwargs"]
Modality = Literal["text", "image", "audio", "video"]
ThinkingMode = Literal["on", "off"]
Capability = Literal["streaming", "tools", "vision", "reasoning", "json_mode"]
Seconds = Annotated[float, Field(gt=0, le=MAX_DURATION_S, allow_inf_nan=False)]
Strings = Annotated[tuple[str, ...], Strict(strict=False)]
Modes = Annotated[tuple[ThinkingMode, ...], Strict(strict=False), Field(min_length=1)]
Modalities = Annotated[tuple[Modality, ...], Strict(strict=False), Field(min_length=1)]


class Fault(NamedTuple):
    """One thing wrong with the configuration."""

    path: str
    """Where in the file, such as `models[3].upstream`; empty for the file as a whole."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        """`path: what is wrong; what would be right`."""
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.problem}; {self.remedy}"


class ConfigError(Exception):
    """The configuration can't be used. `faults` lists everything that is wrong with it."""

    def __init__(self, source: Path, faults: list[Fault]) -> None:
        """`faults` must not be empty."""
        self.source = source
        self.faults = faults
        noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{source}: {noun}", *(f"  {fault}" for fault in faults)]))


class _Table(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class ServerConfig(_Table):
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


class StoreConfig(_Table):
    """`[store]`: keys and ledger."""

    url: str = DEFAULT_STORE_URL
    """A SQLite URL. A relative path is taken from the config file's folder, and is absolute once loaded."""
    stale_keys_s: float = Field(default=MAX_DURATION_S, gt=0, le=MAX_STALE_KEYS_S, allow_inf_nan=False)
    """While the database can't be read, the keys known so far stay in force for so long."""


class LedgerConfig(_Table):
    """`[ledger]`: what is promised of its rows."""

    durability: Literal["relaxed", "strict"] = "relaxed"
    """`strict`: an answer's row is on disk before the answer ends."""
    journal: str | None = Field(default=None, min_length=1)
    """The folder where rows wait while the database fails, absolute once loaded. None: beside it."""
    journal_max_bytes: int = Field(default=268_435_456, ge=0)
    """For each worker; 0: no journal."""


class CacheConfig(_Table):
    """`[cache]`: what is kept for a while, so far the reasoning of tool calls."""

    url: SecretStr | None = None
    """A Redis URL, which may hold a password. None: each worker's own memory."""
    reasoning_ttl_s: Seconds = 21_600.0
    """Kept for so long after its last use."""
    reasoning_max_bytes: int = Field(default=67_108_864, ge=1)
    """Of memory, per worker; Redis has a limit of its own."""


class UpstreamConfig(_Table):
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


class RoutingConfig(_Table):
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


class TargetConfig(_Table):
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
            return "think" if _INLINE_REASONING.match(self.upstream_model) else None
        return "think" if self.reasoning_tags == "think" else None


_INHERITED: Final = (
    "upstream_model", "thinking", "upstream_stream", "drop", "reasoning_tags", "thinking_modes",
    "restore_reasoning",
)  # fmt: skip
"""What a target takes from its model."""


class ModelConfig(_Table):
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


class Config(_Table):
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


def find_config(option: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The config file to use: `--config`, else `$LLMGW_CONFIG`, else `./llmgw.toml`.

    Raises ConfigError, with a minimal example, if there is no such file.
    """
    named = option or environ.get(CONFIG_ENV)
    path = Path(named or DEFAULT_CONFIG)
    if path.is_file():
        return path.resolve()
    origin = "named by --config" if option else f"named by ${CONFIG_ENV}" if named else "the default"
    example = "\n".join(f"      {line}" if line else "" for line in MINIMAL_EXAMPLE.splitlines())
    remedy = f"name one with --config or ${CONFIG_ENV}, or write this into {path}:\n\n{example}\n"
    raise ConfigError(path, [Fault("", f"there is no such config file ({origin})", remedy)])


def load_config(path: Path, environ: Mapping[str, str] = os.environ, *, secrets: bool = True) -> Config:
    """Read and check a config file.

    `secrets` False leaves `env:` and `file:` unresolved (every `api_key` is None), for commands that need
    only the database and may run where the secrets are not. Raises ConfigError with all faults at once.
    """
    try:
        text = path.read_bytes().decode("utf-8")
        changed_s = int(path.stat().st_mtime)
    except OSError as error:
        problem = f"can't be read ({error.strerror})"
        raise ConfigError(path, [Fault("", problem, "check its path and permissions")]) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start})"
        raise ConfigError(path, [Fault("", problem, "TOML is always UTF-8: convert the file")]) from error
    return parse_text(text, path, environ, changed_s=changed_s, secrets=secrets)


def parse_text(
    text: str, source: Path, environ: Mapping[str, str] = os.environ, *, changed_s: int, secrets: bool = True
) -> Config:
    """Check the text of a config file that was last changed at `changed_s`. Else as `parse_config`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Fault("", f"is not TOML: {error}", "mend the syntax there")]) from error
    config = parse_config(data, source, environ, secrets=secrets)
    config._created_s = changed_s  # noqa: SLF001  (set once, here)
    config._text = text  # noqa: SLF001  (the same)
    return config


def parse_config(
    data: Mapping[str, Any],
    source: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    secrets: bool = True,
) -> Config:
    """Check a parsed config file. Relative paths in it are taken from the folder of `source`.

    `secrets` as for `load_config`. Raises ConfigError with all faults at once.
    """
    faults: list[Fault] = []
    # The checks that pydantic can't express run on the raw tables, so that they are reported beside its own.
    resolved = _Resolver(source.resolve().parent, environ if secrets else None, faults).resolve(data)
    faults.extend(_cross_faults(resolved))
    blamed = {fault.path for fault in faults}
    faults.extend(fault for fault in _unprintable(data) if fault.path not in blamed)
    config = None
    try:
        config = Config.model_validate(resolved)
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults.extend(_fault_of(detail) for detail in details if not _is_echo(detail))
    if config is None or faults:
        raise ConfigError(source, sorted(set(faults), key=lambda fault: _file_order(fault.path)))
    config._source = source.resolve()  # noqa: SLF001  (set once, here)
    return config


_RELOADABLE_TABLES: Final = frozenset({"routing", "upstreams", "models"})
_NEEDS_RESTART: Final = frozenset({"host", "port", "workers"})
"""Of `[server]`."""


def restart_faults(running: Config, new: Config) -> list[Fault]:
    """What differs between two configs and can't be taken over by a gateway that runs."""
    tables = set(Config.model_fields) - _RELOADABLE_TABLES - {"server"}
    changed = [name for name in sorted(tables) if getattr(running, name) != getattr(new, name)]
    changed += [
        f"server.{name}"
        for name in sorted(_NEEDS_RESTART)
        if getattr(running.server, name) != getattr(new.server, name)
    ]
    problem, remedy = "can't change while the gateway runs", "restart the gateway, or undo this change"
    return [Fault(path, problem, remedy) for path in sorted(changed, key=_file_order)]


class _Resolver:
    """Replaces secrets, URLs and paths by what they stand for, and notes what can't be resolved.

    What has the wrong type is left as it is: pydantic reports it.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None, faults: list[Fault]) -> None:
        self._folder = folder
        self._environ = environ
        self._faults = faults

    def resolve(self, data: Mapping[str, Any]) -> dict[str, Any]:
        resolved = dict(data)
        store = resolved.get("store", {})
        if isinstance(store, dict) and isinstance(url := store.get("url", DEFAULT_STORE_URL), str):
            resolved["store"] = store | {"url": self._store_url(url)}
        ledger = resolved.get("ledger")
        if isinstance(ledger, dict) and isinstance(journal := ledger.get("journal"), str) and journal:
            resolved["ledger"] = ledger | {"journal": str(self._folder / Path(journal).expanduser())}
        cache = resolved.get("cache")
        if isinstance(cache, dict) and isinstance(url := cache.get("url"), str):
            resolved["cache"] = cache | {"url": self._cache_url(url)}
        upstreams = resolved.get("upstreams")
        if isinstance(upstreams, dict):
            resolved["upstreams"] = {
                name: self._upstream(f"upstreams.{name}", table) if isinstance(table, dict) else table
                for name, table in upstreams.items()
            }
        return resolved

    def _fault(self, path: str, problem: str, remedy: str) -> None:
        self._faults.append(Fault(path, problem, remedy))

    def _store_url(self, url: str) -> str:
        path = url.removeprefix(SQLITE_PREFIX)
        if path == url or not path or path == ":memory:" or "?" in path:
            right = f'write "{DEFAULT_STORE_URL}" (beside this file) or "sqlite:////absolute/path.db"'
            self._fault("store.url", "is not the URL of a SQLite file", right)
            return url
        return SQLITE_PREFIX + str(self._folder / path)

    def _cache_url(self, reference: str) -> SecretStr | None:
        path = "cache.url"
        if importlib.util.find_spec("redis") is None:
            problem = "the package redis is not installed"
            self._fault(path, problem, "install llmgw[redis], or leave the line out")
        if self._environ is None:
            return None
        url = self._referred(path, reference, self._environ)
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            usable = parts.scheme in _REDIS_SCHEMES and bool(parts.hostname) and parts.port != 0
            usable = usable and url.isascii() and url.isprintable() and " " not in url
        except ValueError:  # a bad port or a bad IPv6 address
            usable = False
        if not usable:
            right = 'write it like "redis://127.0.0.1:6379/0" (rediss:// with TLS), or "env:NAME"'
            self._fault(path, "is not the URL of a Redis server", right)
        return SecretStr(url)

    def _upstream(self, path: str, table: dict[str, Any]) -> dict[str, Any]:
        resolved = dict(table)
        if isinstance(url := table.get("base_url"), str):
            resolved["base_url"] = self._base_url(f"{path}.base_url", url)
        if isinstance(reference := table.get("api_key"), str):
            secret = None
            if self._environ is not None:
                secret = self._secret(f"{path}.api_key", reference, self._environ)
            resolved["api_key"] = SecretStr(secret) if secret is not None else None
        return resolved

    def _base_url(self, path: str, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a bad port or a bad IPv6 address
            usable = False
            parts = urlsplit("")
        right = 'write it like "https://host/v1"'
        if not usable or any(character.isspace() for character in url):
            self._fault(path, "is not an http or https URL", right)
        elif parts.username is not None or parts.password is not None:
            self._fault(path, "carries credentials", f"put the secret into api_key and {right}")
        elif parts.query or parts.fragment:
            self._fault(path, "has a query or a fragment", right)
        elif parts.path.rstrip("/").endswith("/chat/completions"):
            self._fault(path, "names an endpoint", "leave out /chat/completions: the gateway adds it")
        return url.rstrip("/")

    def _secret(self, path: str, reference: str, environ: Mapping[str, str]) -> str | None:
        secret = self._referred(path, reference, environ)
        if secret is not None and not (secret.isascii() and secret.isprintable() and " " not in secret):
            self._fault(path, "can't stand in a header", "a key is one word of visible ASCII characters")
            return None
        return secret

    def _referred(self, path: str, reference: str, environ: Mapping[str, str]) -> str | None:
        kind, _, name = reference.partition(":")
        if kind == "env":
            secret = environ.get(name, "").strip()
            if not secret:
                state = "empty" if name in environ else "not set"
                self._fault(path, f"the environment variable {name!r} is {state}", "set it before the start")
                return None
        elif kind == "file":
            try:
                secret = (self._folder / Path(name).expanduser()).read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
                problem = f"the file {name!r} can't be read ({reason})"
                self._fault(path, problem, "check its path and permissions")
                return None
            if not secret:
                self._fault(path, f"the file {name!r} is empty", "put the key into it")
                return None
        else:
            secret = reference.strip()
            if not secret:
                self._fault(path, "is empty", 'write "env:NAME", "file:PATH" or the key, or leave it out')
                return None
        return secret


def _unprintable(value: object, *location: int | str) -> Iterator[Fault]:
    """Names and strings with line breaks and the like, which could forge a header or a line of the log."""
    match value:
        case str() if not value.isprintable():
            problem = "holds a line break or another character that can't be seen"
            yield Fault(_path(location), problem, "write one line of visible characters")
        case Mapping():
            for name, inner in value.items():
                yield from _unprintable(name, *location, name)
                yield from _unprintable(inner, *location, name)
        case list():
            for index, inner in enumerate(value):
                yield from _unprintable(inner, *location, index)


_INDISPENSABLE: Final = ("messages", "model", "stream")


def _cross_faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults that concern more than one value, found without relying on the types of anything."""
    yield from _server_faults(data.get("server"))
    upstreams = data.get("upstreams")
    names = list(upstreams) if isinstance(upstreams, dict) else []
    models = data.get("models")
    first_at: dict[str, int] = {}
    for index, model in enumerate(models if isinstance(models, list) else []):
        if not isinstance(model, dict):
            continue
        path = f"models[{index}]"
        yield from _target_faults(path, model, names)
        model_id = model.get("id")
        if isinstance(model_id, str):
            if not model_id or any(c.isspace() or not c.isprintable() for c in model_id):
                yield Fault(f"{path}.id", "is empty or holds spaces", "write one word, such as qwen3.6-plus")
            first = first_at.setdefault(model_id, index)
            if first != index:
                problem = f"{model_id!r} is taken by models[{first}]"
                yield Fault(f"{path}.id", problem, "give each model its own id")
        yield from _drop_faults(path, model)


def _target_faults(path: str, model: Mapping[str, Any], names: list[str]) -> Iterator[Fault]:
    """Faults of `upstream` and `targets`, of which a model has one."""
    name, targets = model.get("upstream"), model.get("targets")
    if isinstance(name, str) and name not in names:
        yield Fault(f"{path}.upstream", f"there is no upstream {name!r}", _one_of(name, names))
    if name is None and targets is None:
        yield Fault(f"{path}.upstream", "is missing", _EXAMPLES["upstream"])
    if name is not None and targets is not None:
        yield Fault(f"{path}.targets", "stands beside upstream", "keep one of the two")
    if targets == []:
        yield Fault(f"{path}.targets", "is empty", "name at least one upstream, or write upstream instead")
    first_at: dict[tuple[str, str], int] = {}
    for index, target in enumerate(targets if isinstance(targets, list) else []):
        if not isinstance(target, dict):
            continue
        name = target.get("upstream")
        called = target.get("upstream_model", model.get("upstream_model", model.get("id")))
        yield from _drop_faults(f"{path}.targets[{index}]", target)
        if not isinstance(name, str) or not isinstance(called, str):
            continue
        if name not in names:
            problem = f"there is no upstream {name!r}"
            yield Fault(f"{path}.targets[{index}].upstream", problem, _one_of(name, names))
        first = first_at.setdefault((name, called), index)
        if first != index:
            problem = f"asks the same upstream for the same model as targets[{first}]"
            yield Fault(f"{path}.targets[{index}]", problem, "keep one of them, with a higher weight")


def _drop_faults(path: str, table: Mapping[str, Any]) -> Iterator[Fault]:
    dropped = table.get("drop")
    for field in dropped if isinstance(dropped, list) else []:
        if field in _INDISPENSABLE:
            problem = f"no request works without {field!r}"
            yield Fault(f"{path}.drop", problem, "name optional fields only")


def _server_faults(server: object) -> Iterator[Fault]:
    if not isinstance(server, dict):
        return
    fields = ServerConfig.model_fields
    one, all_ = (server.get(name, fields[name].default) for name in ("max_body_bytes", "max_in_flight_bytes"))
    if isinstance(one, int) and isinstance(all_, int) and 0 < all_ < one:
        problem = f"is less than max_body_bytes ({one}), so that the largest bodies could never be taken"
        yield Fault("server.max_in_flight_bytes", problem, "raise it, or lower max_body_bytes")


def _one_of(wrong: str, right: list[str]) -> str:
    close = difflib.get_close_matches(wrong, right, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"it must be one of {', '.join(map(repr, right))}" if right else "add its [upstreams.NAME] table"


_TABLES: Final[dict[str, type[_Table]]] = {
    "server": ServerConfig,
    "store": StoreConfig,
    "ledger": LedgerConfig,
    "routing": RoutingConfig,
    "cache": CacheConfig,
    "upstreams": UpstreamConfig,
    "models": ModelConfig,
}


def _is_echo(details: ErrorDetails) -> bool:
    """True for "too short" of a list with items: pydantic counts the good ones and reports the bad ones."""
    return details["type"] == "too_short" and bool(details["input"])


def _fault_of(details: ErrorDetails) -> Fault:  # noqa: PLR0911  (one return for each kind of error)
    """A pydantic error in the words of this file. Never shows the input, which may be a secret."""
    location = details["loc"]
    path = _path(location)
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            table = _TABLES.get(str(location[0]), Config) if len(location) > 1 else Config
            if location[0] == "models" and "targets" in location[:-1]:
                table = TargetConfig
            return Fault(path, "is not a known key", _one_of(str(location[-1]), list(table.model_fields)))
        case "missing":
            return Fault(path, "is missing", _EXAMPLES.get(str(location[-1]), "add it"))
        case "too_short" if path in _EXAMPLES:
            return Fault(path, "is empty", _EXAMPLES[path])
        case "literal_error":
            expected = str(context["expected"]).replace(" or ", ", ")
            return Fault(path, "is not a known value", f"it must be one of {expected}")
        case "too_short" | "string_too_short":
            return Fault(path, "is empty", "write at least one value or leave the line out")
        case kind if kind in _WRONG_TYPE:
            return Fault(path, "has the wrong type", _WRONG_TYPE[kind])
        case _:
            message = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            return Fault(path, "is out of range", f"it must be {message}")


_WRONG_TYPE: Final = {
    "string_type": "it must be a string in quotes",
    "string_sub_type": "it must be a string in quotes",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number (of seconds)",
    "bool_type": "it must be true or false",
    "dict_type": "it must be a table",
    "model_type": "it must be a table",
    "model_attributes_type": "it must be a table",
    "tuple_type": "it must be a list in brackets",
    "list_type": "it must be a list in brackets",
}
_EXAMPLES: Final = {
    "upstreams": "add at least one [upstreams.NAME] table with a base_url",
    "models": "add at least one [[models]] table with an id and an upstream",
    "base_url": 'write it like "https://host/v1"',
    "id": "write the name that clients use",
    "upstream": "name one of the [upstreams.NAME] tables",
}


def _path(location: tuple[int | str, ...]) -> str:
    """`("models", 3, "upstream")` → `models[3].upstream`."""
    path = ""
    for part in location:
        if part == "[key]":  # pydantic's mark for a bad key of a dict, whose name is the part before it
            continue
        shown = part if isinstance(part, int) or part.isprintable() else repr(part)
        path += f"[{shown}]" if isinstance(part, int) else f".{shown}" if path else str(shown)
    return path


def _file_order(path: str) -> tuple[int, str, int, str]:
    """Sort key: the order of the contract's tables, models by number."""
    head, _, rest = path.partition(".")
    name, _, index = head.partition("[")
    rank = list(_TABLES).index(name) if name in _TABLES else -1
    return rank, name, int(index.rstrip("]") or 0) if index else 0, rest


BOTH_MODES: Final[tuple[ThinkingMode, ...]] = get_args(ThinkingMode)
"""What a thinking switch may ask for."""
DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)
"""The known thinking dialects, as `_core.Route` takes them."""
