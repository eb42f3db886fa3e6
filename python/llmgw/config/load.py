"""How a file becomes a `Config`, or a list of its faults."""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from llmgw.config.checks import cross_faults, value_faults
from llmgw.config.faults import ConfigError, Fault, fault_of, file_order, is_echo
from llmgw.config.files import FileError, read_file
from llmgw.config.resolve import Resolver
from llmgw.config.tables import CONFIG_ENV, DEFAULT_CONFIG, Config, StoreConfig

MAX_CONFIG_BYTES: Final = 4 << 20
"""Of the file; some thousand models."""
MAX_NESTING: Final = 32
"""Of tables and lists; the deepest that has a meaning is a model's targets."""
MINIMAL_EXAMPLE: Final = """\
[upstreams.dashscope]
base_url = "https://dashscope.aliyuncs.com/compatible-mode/v1"
api_key = "env:DASHSCOPE_API_KEY"

[[models]]
id = "qwen3.6-plus"
upstream = "dashscope"
"""


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
    only the database and may run without access to the secrets. Raises ConfigError with all faults at once.
    """
    try:
        # Notepad begins a file with a byte order mark.
        text = read_file(path, max_bytes=MAX_CONFIG_BYTES).decode("utf-8-sig")
        changed_s = int(path.stat().st_mtime)
    except (FileError, OSError) as error:
        problem = f"can't be read ({error.strerror if isinstance(error, OSError) else error})"
        raise ConfigError(path, [Fault("", problem, "check its path and permissions")]) from error
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start})"
        raise ConfigError(path, [Fault("", problem, "TOML is always UTF-8: convert the file")]) from error
    return parse_text(text, path, environ, changed_s=changed_s, secrets=secrets)


def load_store(path: Path) -> StoreConfig:
    """Only `[store]` of a config file, which may have faults elsewhere, if it is TOML. Raises ConfigError."""
    try:
        data = tomllib.loads(read_file(path, max_bytes=MAX_CONFIG_BYTES).decode("utf-8-sig"))
    except (FileError, OSError, ValueError, RecursionError):
        return load_config(path, secrets=False).store  # which says what is wrong
    store = {"store": data["store"]} if "store" in data else {}
    return parse_config(tomllib.loads(MINIMAL_EXAMPLE) | store, path, secrets=False).store


def parse_text(
    text: str, source: Path, environ: Mapping[str, str] = os.environ, *, changed_s: int, secrets: bool = True
) -> Config:
    """`parse_config` for the text of a file that was last changed at `changed_s`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Fault("", f"is not TOML: {error}", _syntax_remedy(text))]) from error
    except (
        ValueError
    ) as error:  # of Python's own: a number of thousands of digits, a date that does not exist
        problem = "holds a number or a date that can't be read"
        raise ConfigError(
            source, [Fault("", problem, "no value of this file needs so many digits")]
        ) from error
    except RecursionError as error:
        raise ConfigError(source, [_too_deep()]) from error
    config = parse_config(data, source, environ, secrets=secrets)
    config._created_s = changed_s  # noqa: SLF001  (set once, here)
    config._text = text  # noqa: SLF001  (the same)
    return config


_FULL_WIDTH: Final = re.compile(r"[\u2018-\u201d\uff02\uff07\uff0c\uff1a\uff1d\uff3b\uff3d\uff5b\uff5d]")
"""What a Chinese keyboard, or a program for letters, writes for TOML's own signs."""


def _syntax_remedy(text: str) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _FULL_WIDTH.search(line.partition("#")[0]):
            return f'line {number} has {found[0]}, where TOML has plain signs such as " = , [ ]'
    return "correct the syntax there"


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
    if _is_too_deep(data):
        raise ConfigError(source, [_too_deep()])
    faults: list[Fault] = []
    # Checks that pydantic can't express run on the raw tables, so that all faults are reported together.
    resolved = Resolver(source.resolve().parent, environ if secrets else None, faults).resolve(data)
    faults.extend(cross_faults(resolved))
    blamed = {fault.path for fault in faults}
    odd = {fault.path: fault for fault in value_faults(data) if fault.path not in blamed}
    faults.extend(odd.values())
    config = None
    try:
        config = Config.model_validate(resolved)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [fault_of(detail) for detail in details if not is_echo(detail)]
        faults.extend(fault for fault in found if fault.path not in odd)
    if config is None or faults:
        in_order = sorted(set(faults), key=lambda fault: file_order(fault.path))
        raise ConfigError(source, in_order, _names(data))
    config._source = source.resolve()  # noqa: SLF001  (set once, here)
    return config


def _names(data: Mapping[str, Any]) -> dict[str, str]:
    """The models' ids by their paths."""
    models = data.get("models")
    ids = (
        [each.get("id") if isinstance(each, Mapping) else None for each in models]
        if isinstance(models, list)
        else []
    )
    return {f"models[{at}]": id_ for at, id_ in enumerate(ids) if isinstance(id_, str) and id_.isprintable()}


def _is_too_deep(data: Mapping[str, Any]) -> bool:
    """True beyond `MAX_NESTING`. Without recursion: what comes after this may recurse."""
    level: list[object] = [data]
    for _ in range(MAX_NESTING):
        level = [inner for value in level for inner in _inner(value) if isinstance(inner, (Mapping, list))]
    return bool(level)


def _inner(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()


def _too_deep() -> Fault:
    return Fault("", f"has tables or lists inside each other more than {MAX_NESTING} deep", "flatten them")


def secret_faults(config: Config, environ: Mapping[str, str] = os.environ) -> list[Fault]:
    """What would be wrong with the secrets of a checked config if they were read again now."""
    try:
        parse_text(config.text, config.source, environ, changed_s=config.created_s)
    except ConfigError as error:
        return error.faults
    return []


_RELOADABLE_TABLES: Final = frozenset({"routing", "upstreams", "models"})
_NEEDS_RESTART: Final[dict[str, tuple[str, ...]]] = {
    "server": ("host", "port", "workers", "http2", "head_timeout_s"),
    "limits": ("machines",),
    "prices": ("currency", "timezone"),
    "admin": ("enabled", "host", "port"),
}
"""Keys of tables that are reloadable but for these."""


def restart_faults(running: Config, new: Config) -> list[Fault]:
    """The differences between two configs that need a restart."""
    tables = set(Config.model_fields) - _RELOADABLE_TABLES - set(_NEEDS_RESTART)
    changed = [name for name in sorted(tables) if getattr(running, name) != getattr(new, name)]
    changed += [
        f"{table}.{name}"
        for table, names in _NEEDS_RESTART.items()
        for name in names
        if getattr(getattr(running, table), name) != getattr(getattr(new, table), name)
    ]
    problem, remedy = "can't change while the gateway runs", "restart the gateway, or undo this change"
    return [Fault(path, problem, remedy) for path in sorted(changed, key=file_order)]
