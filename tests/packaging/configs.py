"""Configs of llmgw that deploy/ has, read by llmgw's own parser, with the secrets that would be mounted."""

import re
import tomllib
from pathlib import Path
from typing import Final

from llmgw.config import Config, parse_config

SECRETS: Final = {
    "store_url": "postgresql+psycopg://llmgw:password@postgres:5432/llmgw",
    "redis_url": "redis://llmgw:password@valkey:6379/0",
}
"""What the files hold; any other one has a provider's key."""
GIB: Final = 1 << 30
_WORKER_BYTES: Final = GIB // 4
"""What a worker needs besides the bodies of requests: 100 MB idle, and room for streams."""
_MOUNTED: Final = "/run/secrets"


def secrets_of(text: str) -> set[str]:
    """The paths of the secrets that a config names as `file:`."""
    return set(re.findall(r'"file:([^"]+)"', text))


def variables_of(text: str) -> set[str]:
    """The names of the variables that a config names as `env:`."""
    return set(re.findall(r'"env:(\w+)"', text))


def parsed(text: str, folder: Path) -> Config:
    """The config, as if its secrets were mounted; they are made in `folder`. Raises ConfigError."""
    for path in secrets_of(text):
        assert path.startswith(f"{_MOUNTED}/"), path
        file = folder / Path(path).relative_to(_MOUNTED)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(SECRETS.get(file.name, "sk-of-a-provider"), "utf-8")
    here = text.replace(f'"file:{_MOUNTED}/', f'"file:{folder}/')
    environ = dict.fromkeys(variables_of(text), "sk-of-a-provider")
    return parse_config(tomllib.loads(here), Path("/etc/llmgw/llmgw.toml"), environ)


def most_bytes(config: Config) -> int:
    """The memory that a gateway may need: each body is there twice for a moment (docs/operations.md)."""
    server = config.server
    return server.workers * (2 * server.max_in_flight_bytes + _WORKER_BYTES)
