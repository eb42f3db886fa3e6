"""`llmgw init`: it writes a config, with what docs/providers.md says, and never over the user's own."""

import builtins
import re
import sys
import tomllib
from pathlib import Path

import pytest

from llmgw.cli.providers import PROVIDERS
from llmgw.config import load_config
from tests.support.cli import Run
from tests.support.pages import blocks


def secrets() -> dict[str, str]:
    return {name: "sk-1" for provider in PROVIDERS.values() for name in provider.key_variables}


@pytest.mark.parametrize("name", PROVIDERS)
def test_each_provider_alone_is_a_config(run: Run, tmp_path: Path, name: str) -> None:
    status, out, err = run("init", "--provider", name)
    assert (status, err) == (0, "")
    config = load_config(tmp_path / "llmgw.toml", secrets())
    assert list(config.upstreams) == [name]
    assert config.models
    assert [f"export {variable}=..." in out for variable in PROVIDERS[name].key_variables] in ([True], [])
    assert out.endswith("  llmgw check --try\n  llmgw keys create --name me\n  llmgw serve\n")


def test_all_providers_together_are_a_config(run: Run, tmp_path: Path) -> None:
    options = [word for name in PROVIDERS for word in ("--provider", name)]
    assert run("init", *options, "--output", "all.toml").status == 0
    file = tmp_path / "all.toml"
    assert list(load_config(file, secrets()).upstreams) == list(PROVIDERS)
    assert file.stat().st_mode & 0o077 == 0
    assert "#:" not in file.read_text("utf-8")


def test_they_are_those_of_the_page() -> None:
    examples = [block.text for block in blocks("docs/providers.md") if block.language == "toml"]
    page = [table for example in examples for table in tomllib.loads(example)["upstreams"].items()]
    own = [tomllib.loads(provider.tables)["upstreams"] for provider in PROVIDERS.values()]
    assert [table for tables in own for table in tables.items()] == page


def test_an_existing_file_is_kept(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "llmgw.toml"
    file.write_text("mine", "utf-8")
    status, _, err = run("init", "--provider", "deepseek")
    assert (status, file.read_text("utf-8")) == (1, "mine")
    assert "--force replaces it" in err
    assert run("init", "--provider", "deepseek", "--force").status == 0
    assert "deepseek" in file.read_text("utf-8")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody at the terminal types; then they press Ctrl-D."""
    typed: list[str] = []

    def read(_prompt: str) -> str:
        if not typed:
            raise EOFError
        return typed.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", read)
    return typed


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        (["1 2"], ["dashscope", "deepseek"]),
        (["deepseek,  1, deepseek"], ["deepseek", "dashscope"]),
        (["", "99", "nobody", "²", "glm", "zhipu"], ["zhipu"]),
    ],
)
def test_it_asks(run: Run, tmp_path: Path, answers: list[str], typed: list[str], chosen: list[str]) -> None:
    answers += typed
    status, out, _ = run("init")
    assert status == 0
    assert list(load_config(tmp_path / "llmgw.toml", secrets()).upstreams) == chosen
    assert re.search(r"^  1  dashscope +Alibaba", out, re.MULTILINE)


@pytest.mark.usefixtures("answers")
def test_nobody_chooses(run: Run, tmp_path: Path) -> None:
    assert run("init") == (1, run("init").out, "llmgw: no provider was chosen\n")
    assert not (tmp_path / "llmgw.toml").exists()


def test_without_a_terminal_it_says_what_to_write(run: Run) -> None:
    status, out, err = run("init")
    assert (status, out) == (1, "")
    assert "llmgw init --provider dashscope --provider deepseek" in err


def test_a_folder_that_is_not_there(run: Run) -> None:
    status, _, err = run("init", "--provider", "glm")
    assert status == 2
    assert "invalid choice: 'glm'" in err
    status, _, err = run("init", "--provider", "zhipu", "--output", "none/llmgw.toml")
    assert (status, err) == (1, "llmgw: none/llmgw.toml can't be written: No such file or directory\n")
