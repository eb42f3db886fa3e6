"""The playground: what is shown of an answer, and the code of a request."""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.playground import (
    answers,
    ask,
    body_of,
    completions,
    drop,
    finished,
    further,
    message,
)
from tests.console.support import Console, axe
from tests.support.admin import Admin
from tests.support.chat import mark
from tests.support.scripted import ScriptedUpstream, event_stream, partial_event_stream
from tests.support.simulator import SimulatorProcess

# --- What is shown ---


def scripted_answer(*texts: str) -> bytes:
    """An event stream that says these texts."""
    frames: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts
    ]
    frames.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    return b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in frames) + b"data: [DONE]\n\n"


MARKDOWN: Final = """\
# Title

**Bold**, `code` &amp; <b>tag</b> <script>document.title = "broken"</script>

- [safe](https://example.com/a) and [unsafe](javascript:alert(1))
- ![picture](https://example.com/p.png)

| a | b |
| - | -: |
| 1 | 2 |

```python
print("hi")
```
"""


def test_markdown_is_shown_and_nothing_of_it_is_run(
    console: Console, model_key: str, scripted: ScriptedUpstream
) -> None:
    page = console("playground?model=scripted", key=model_key)
    cut = [MARKDOWN[start : start + 7] for start in range(0, len(MARKDOWN), 7)]
    further(page, script=scripted.script(*event_stream(scripted_answer(*cut))))
    ask(page, "Hello")
    answer = answers(page, "scripted")
    finished(answer)
    text = answer.locator(".markdown")
    expect(text.get_by_role("heading", name="Title")).to_be_visible()
    expect(text.locator("strong")).to_have_text("Bold")
    expect(text).to_contain_text('code & <b>tag</b> <script>document.title = "broken"</script>')
    link = text.get_by_role("link", name="safe", exact=True)
    expect(link).to_have_attribute("rel", "noreferrer")
    expect(link).to_have_attribute("target", "_blank")
    expect(text.get_by_role("link")).to_have_text(["safe", "picture"])
    expect(text.locator("img, script")).to_have_count(0)
    expect(text.get_by_role("cell")).to_have_text(["1", "2"])
    expect(text.get_by_label("python")).to_have_text('print("hi")\n')
    expect(page).not_to_have_title("broken")
    console.settle()
    axe(page)
    page.get_by_label("Plain text").check()
    expect(answer.locator(".plain-text")).to_have_text(MARKDOWN)


def test_a_flood_is_shown_whole(console: Console, model_key: str, scripted: ScriptedUpstream) -> None:
    page = console("playground?model=scripted", key=model_key)
    ends = ("\n\n", *[" "] * 19)
    texts = [f"{number} of many, *so many*.{ends[number % 20]}" for number in range(6000)]
    further(page, script=scripted.script(*event_stream(scripted_answer(*texts))))
    ask(page, "Hello")
    answer = answers(page, "scripted")
    finished(answer)
    expect(answer.locator(".markdown p")).to_have_count(300 + 1)
    page.get_by_label("Plain text").check()
    assert answer.locator(".plain-text").inner_text().strip() == "".join(texts).strip()


def test_a_stream_without_an_end_is_cut(console: Console, model_key: str, scripted: ScriptedUpstream) -> None:
    page = console("playground?model=scripted", key=model_key)
    half = scripted_answer("Half").partition(b'data: {"choices": [{"index": 0, "delta": {}')[0]
    further(page, script=scripted.script(*partial_event_stream(half)))
    ask(page, "Hello")
    answer = answers(page, "scripted")
    expect(answer.get_by_role("alert")).to_contain_text("Connection lost")
    expect(answer).to_contain_text("Half")


# --- Code ---


@contextmanager
def dialog(page: Page, opener: Locator) -> Iterator[Locator]:
    """The dialog that a button opens; it is closed again."""
    opener.click()
    opened = page.get_by_role("dialog")
    expect(opened).to_be_visible()
    yield opened
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_have_count(0)


def copied(page: Page, opened: Locator, tongue: str) -> str:
    """The code that its button copies."""
    opened.get_by_role("group", name="This request as code").get_by_role("button", name=tongue).click()
    opened.get_by_role("button", name="Copy").click()
    return str(page.evaluate("() => navigator.clipboard.readText()"))


def test_the_code_sends_what_was_sent(
    console: Console,
    admin: Admin,
    model_key: str,
    simulator: SimulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = f'it\'s "{mark()}" \\ $HOME `x`\n中文'
    page = console("playground?model=qwen3.6-plus", key=model_key)
    drop(page)
    page.get_by_role("group", name="Thinking").get_by_role("button", name="Off").click()
    page.get_by_label("Temperature").fill("0.1")
    page.get_by_label("Tools", exact=True).fill("[]")
    further(page, made_up={"deep": [None, True, 1e21, {}]})
    message(page).fill(words)
    with dialog(page, page.get_by_role("button", name="Code", exact=True)) as opened:
        before = copied(page, opened, "curl")
    asked = completions(page)
    page.get_by_role("button", name="Send", exact=True).click()
    answer = answers(page, "qwen3.6-plus")
    finished(answer)
    sent = body_of(asked[0])
    with dialog(page, answer.get_by_role("button", name="Show as code")) as opened:
        codes = {tongue: copied(page, opened, tongue) for tongue in ("curl", "Python", "Node")}
        console.settle()
        axe(page)
    assert codes["curl"] == before
    assert not any(model_key in code for code in codes.values())
    program, *arguments = shlex.split(codes["curl"].replace("\\\n", ""))
    assert (program, arguments[-2]) == ("curl", "--data-raw")
    assert f"{admin.url}/v1/chat/completions" in arguments
    assert "Authorization: Bearer $LLMGW_API_KEY" in arguments
    assert json.loads(arguments[-1]) == sent
    inside = re.search(r"completions\.create\((.*?)\);\nfor await", codes["Node"], re.DOTALL)
    assert inside is not None
    assert json.loads(inside[1]) == sent
    # Python's is run, with OpenAI's SDK.
    monkeypatch.setenv("LLMGW_API_KEY", model_key)
    monkeypatch.setenv("NO_PROXY", "*")
    exec(compile(codes["Python"], "snippet", "exec"), {})  # noqa: S102 - it is what the test is about
    assert "llmgw" in capsys.readouterr().out
    first, second = simulator.requests(json.dumps(words, ensure_ascii=False)[1:-1])
    assert json.loads(first.body) == json.loads(second.body)
