"""Tables of the command line: columns as a terminal shows them, and nothing that steers it."""

import json

import pytest

from llmgw.cli.table import display_width, print_json, print_table


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("团队", 4),
        ("ＡＢ", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("ｱ", 1),
        ("🙂", 2),
        ("한국", 4),
    ],
)
def test_width(text: str, width: int) -> None:
    assert display_width(text) == width


def test_columns_line_up_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(
        ("ID", "NAME", "STATE"), [("1", "CI runner 团队", "active"), ("22", "me", "expired")], right=(0,)
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ID  NAME            STATE", " 1  CI runner 团队  active", "22  me              expired"]
    assert {display_width(line[: line.rindex("  ")]) for line in lines[1:2]} == {18}


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\rb\nc", r"a\rb\nc"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
    ],
)
def test_no_cell_steers_the_terminal(cell: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [(cell,)])
    assert capsys.readouterr().out == f"NAME\n{shown}\n"


def test_json_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "团队\x1b\x7f\x9b\u202e\U000e0001"}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert all(line.isprintable() for line in out.split("\n"))
    assert "团队" in out
