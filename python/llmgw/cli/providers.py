"""The providers that `llmgw init` knows: `providers.toml`, taken apart.

That file is a whole config. A line `#: name: title` begins each provider's tables; what is before the first
one goes into every file.
"""

import re
from collections.abc import Sequence
from importlib import resources
from typing import Final, NamedTuple

_BEGINS: Final = re.compile(r"^#: (\w+): (.+)$", re.MULTILINE)
_KEY_VARIABLE: Final = re.compile(r'"env:(\w+)"')
_RESERVED: Final = ".example"
"""The end of hosts that are placeholders (RFC 2606)."""


class Provider(NamedTuple):
    """A provider, or a server that runs models."""

    name: str
    """Of its `[upstreams.NAME]` table, and for `--provider`."""
    title: str
    tables: str
    """As TOML, with comments."""

    @property
    def key_variables(self) -> list[str]:
        """The environment variables that hold its key."""
        return _KEY_VARIABLE.findall(self.tables)

    @property
    def is_local(self) -> bool:
        """True if its address is for the user to fill in."""
        return _RESERVED in self.tables


def _read() -> tuple[str, dict[str, Provider]]:
    text = resources.files("llmgw.cli").joinpath("providers.toml").read_text("utf-8")
    head, *parts = _BEGINS.split(text)
    names, titles, tables = parts[::3], parts[1::3], parts[2::3]
    providers = map(Provider, names, titles, (each.strip("\n") for each in tables))
    return head, {provider.name: provider for provider in providers}


HEAD, PROVIDERS = _read()


def config_for(providers: Sequence[Provider]) -> str:
    """The text of a config file with these providers."""
    return "\n".join([HEAD.rstrip("\n"), *(f"\n# {each.title}\n{each.tables}" for each in providers), ""])
