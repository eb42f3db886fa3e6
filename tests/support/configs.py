"""Config files that tests write, and what is wrong with them."""

from pathlib import Path

import pytest

from llmgw.config import Config, ConfigError, load_config

SECRET = "sk-very-secret"
ENVIRON = {"DASHSCOPE_API_KEY": SECRET, "EMPTY": " ", "SPLIT": "two words", "FORGED": "a\r\nx: y"}


def load(folder: Path, text: str, *, secrets: bool = True) -> Config:
    """The config of this text, as a file in `folder`."""
    file = folder / "llmgw.toml"
    file.write_text(text, "utf-8")
    return load_config(file, ENVIRON, secrets=secrets)


def faults(folder: Path, text: str) -> list[str]:
    """All that is wrong with it; no secret is among the words."""
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    assert SECRET not in str(caught.value)
    return [str(fault) for fault in caught.value.faults]


def with_upstream(line: str) -> str:
    """A config that is right but for `line` in its upstream."""
    base_url = "" if line.startswith("base_url") else 'base_url = "http://127.0.0.1:1/v1"\n'
    return f'[upstreams.local]\n{base_url}{line}\n[[models]]\nid = "m"\nupstream = "local"\n'


def with_model(line: str) -> str:
    """The same for a line in its model."""
    return f"{with_upstream('')}{line}\n"


def with_targets(targets: str) -> str:
    """The same with these targets instead of one upstream."""
    return with_model(f"targets = {targets}").replace('upstream = "local"\n', "")
