"""The playground, against the gateway and its simulated providers."""

import base64
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.console.gateways import SLOW
from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import Admin
from tests.support.chat import PNG, mark
from tests.support.scripted import ScriptedUpstream, event_stream, partial_event_stream
from tests.support.simulator import SimulatorProcess

SLOW_MS: Final = 30_000.0
"""Within which an answer at a human pace is complete."""
WORDS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "message": "Message",
        "send": "Send",
        "tool": "A tool call",
        "reasons": "Reasoning…",
        "reasoning": "Reasoning",
        "result": "Result of the tool",
        "go on": "Send the result",
        "answered": "The tool answered: 18 degrees",
        "answer of": "Answer of",
        "gate": "The playground asks with a model key",
        "make": "Make one for me",
        "asks with": "Asks with the key “console playground”",
        "another": "Use another key",
        "images": "Drop or paste images",
        "no images": "qwen3-max takes no images.",
    },
    "zh": {
        "message": "消息",
        "send": "发送",
        "tool": "调用工具",
        "reasons": "思考中…",
        "reasoning": "思考过程",
        "result": "工具的返回",
        "go on": "发送返回结果",
        "answered": "工具返回：18 degrees",
        "answer of": "的回答",
        "gate": "试玩台需要一个模型密钥",
        "make": "给我建一个",
        "asks with": "正在使用密钥“console playground”",
        "another": "换一个密钥",
        "images": "图片可以直接拖进来或粘贴",
        "no images": "qwen3-max 不支持图片。",
    },
}
_DROP: Final = """
([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}
"""
_PASTE: Final = """
(element, transfer) => element.dispatchEvent(
  new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
)
"""


def message(page: Page, language: Language = "en") -> Locator:
    """Where the next message is written."""
    return page.get_by_label(WORDS[language]["message"], exact=True)


def ask(page: Page, text: str) -> None:
    """Send a message."""
    message(page).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def answers(page: Page, model: str) -> Locator:
    """The answers of a model."""
    return page.get_by_role("article", name=f"Answer of {model}", exact=True)


def completions(page: Page) -> list[Request]:
    """Takes the requests for completions that the page makes from now on."""
    made: list[Request] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/chat/completions"):
            made.append(request)

    page.on("request", note)
    return made


def body_of(request: Request) -> dict[str, Any]:
    """The JSON that was sent."""
    assert isinstance(request.post_data_json, dict)
    return request.post_data_json


def further(page: Page, **members: Any) -> None:  # noqa: ANN401 - JSON values
    """Members of the next requests that the page has no field for."""
    page.get_by_label("Further fields").fill(json.dumps(members))


def finished(answer: Locator, reason: str = "stop") -> None:
    """Wait until the answer has its finish reason, and the figures that come with it."""
    expect(answer.get_by_text("Finish", exact=True)).to_be_visible(timeout=SLOW_MS)
    expect(answer.locator("dd").filter(has_text=re.compile(f"^{reason}$"))).to_be_visible(timeout=SLOW_MS)


def request_id_of(answer: Locator) -> str:
    """As the answer tells it."""
    return answer.locator(".request .mono").inner_text()


# --- Keys ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_admin_makes_a_key(console: Console, admin: Admin, language: Language) -> None:
    words = WORDS[language]
    before = {key["id"] for key in admin.all_of("/admin/v1/keys")}
    page = console("playground", language=language)
    expect(page.get_by_role("heading", name=words["gate"])).to_be_visible()
    console.settle(page)
    axe(page)
    page.get_by_role("button", name=words["make"]).click()
    expect(page.get_by_text(words["asks with"])).to_be_visible()
    [made] = [key for key in admin.all_of("/admin/v1/keys") if key["id"] not in before]
    assert (made["name"], made["kind"]) == ("console playground", "model")
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=7) < left <= timedelta(hours=8)
    kept = page.evaluate("() => sessionStorage.getItem('llmgw.model_key')")
    assert kept.startswith(made["prefix"])
    assert kept not in page.url
    page.reload()
    expect(page.get_by_text(words["asks with"])).to_be_visible()
    page.get_by_role("button", name=words["another"]).click()
    expect(page.get_by_role("heading", name=words["gate"])).to_be_visible()
    assert page.evaluate("() => sessionStorage.getItem('llmgw.model_key')") is None


def test_an_admin_who_only_looks_gives_a_key(
    console: Console, read_key: str, admin_key: str, model_key: str
) -> None:
    console.expect("status of 403")
    page = console("playground", key=read_key)
    field = page.get_by_label("Model key")
    field.wait_for()
    expect(page.get_by_role("button", name="Make one for me")).to_have_count(0)
    field.fill(admin_key)
    field.press("Enter")
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("admin key")
    expect(refusal).to_contain_text("req_")
    field.fill(model_key)
    field.press("Enter")
    expect(message(page)).to_be_visible()
    expect(page.get_by_text("Asks with the key “test”")).to_be_visible()


def test_a_key_that_ends_meanwhile(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    key = admin.gateway.new_key()
    page = console("playground", key=key)
    ask(page, "Hello")
    finished(answers(page, "qwen3.6-plus"))
    admin.gateway.revoke(key)
    # It is known everywhere within a second; until then the key is still served.
    for _ in range(100):
        ask(page, "Hello again")
        last = answers(page, "qwen3.6-plus").last
        if (
            last.get_by_role("alert").or_(last.get_by_text("Finish", exact=True)).first.inner_text()
            != "Finish"
        ):
            break
    expect(last.get_by_role("alert")).to_contain_text("req_")
    expect(answers(page, "qwen3.6-plus").first).to_contain_text("simulator")  # the conversation stays
    last.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to llmgw")).to_be_visible()


# --- Answers ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_reasoning_and_a_tool_call(console: Console, model_key: str, language: Language) -> None:
    words = WORDS[language]
    page = console(f"playground?model={SLOW}", key=model_key, language=language)
    page.get_by_role("button", name=words["tool"]).click()
    message(page, language).press("Control+Enter")
    answer = page.get_by_role("article").filter(has=page.locator("header", has_text=SLOW)).first
    fold = answer.get_by_role("button", name=words["reasons"])
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(answer.locator(".reasoning section")).not_to_be_empty()
    # The answer begins: the reasoning is folded.
    expect(answer.get_by_role("button", name=words["reasoning"], exact=True)).to_have_attribute(
        "aria-expanded", "false", timeout=SLOW_MS
    )
    call = answer.locator(".call")
    expect(call).to_contain_text("get_weather")
    expect(call.locator("pre")).to_have_text(re.compile(r'{\s*"city": ".+"\s*}', re.DOTALL), timeout=SLOW_MS)
    call.get_by_label(words["result"]).fill("18 degrees, light rain")
    asked = completions(page)
    answer.get_by_role("button", name=words["go on"]).click()
    last = page.get_by_role("article").filter(has=page.locator("header", has_text=SLOW)).nth(1)
    expect(last).to_contain_text(words["answered"], timeout=SLOW_MS)
    _, made, result = body_of(asked[0])["messages"]
    [told] = made["tool_calls"]
    assert (told["type"], told["function"]["name"]) == ("function", "get_weather")
    assert result == {"role": "tool", "tool_call_id": told["id"], "content": "18 degrees, light rain"}


def test_the_figures_are_those_of_the_ledger(console: Console, admin: Admin, model_key: str) -> None:
    page = console("playground?model=glm-5", model_key=model_key)
    ask(page, "Why is the sky blue?")
    answer = answers(page, "glm-5")
    finished(answer)
    row = admin.gateway.ledger(request_id_of(answer))
    figures = dict(
        zip(answer.locator("dt").all_inner_texts(), answer.locator("dd").all_inner_texts(), strict=True)
    )
    assert figures["In"] == str(row["prompt_tokens"])
    assert figures["Out"] == f"{row['completion_tokens']} ({row['reasoning_tokens']} reasoning)"
    assert {"Tokens/s", "First token", "Total", "Cost"} <= set(figures)
    cost = answer.locator("dl > div").filter(has_text="Cost").locator("span[title]")
    [told] = admin.get("/admin/v1/requests", {"request_id": row["request_id"]}).json()["data"]
    expect(cost).to_have_attribute("title", f"{told['cost']} {told['currency']}")
    answer.get_by_role("button", name="Details").click()
    expect(answer.locator(".details")).to_contain_text("x-llmgw-attempts")
    expect(answer.locator(".details")).to_contain_text("completion_tokens_details.reasoning_tokens")


def test_without_a_stream(console: Console, model_key: str) -> None:
    page = console("playground?model=qwen3.6-plus", key=model_key)
    page.get_by_label("Stream the answer").uncheck()
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Max tokens").fill("2000")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Stop sequences").fill("END")
    page.get_by_role("group", name="Thinking").get_by_role("button", name="Off").click()
    asked = completions(page)
    ask(page, "Hello")
    answer = answers(page, "qwen3.6-plus")
    finished(answer)
    expect(answer).to_contain_text("Thinking: Off")
    expect(answer.get_by_role("button", name=re.compile("Reasoning"))).to_have_count(0)
    assert body_of(asked[0]) == {
        "model": "qwen3.6-plus",
        "messages": [{"role": "user", "content": "Hello"}],
        "llmgw_thinking": False,
        "temperature": 0.5,
        "max_tokens": 2000,
        "seed": 7,
        "stop": "END",
    }
    expect(answer.locator("dd").filter(has_text="off; enable_thinking")).to_be_visible()


def test_a_schema(console: Console, model_key: str) -> None:
    page = console("playground?model=qwen3.6-plus", key=model_key)
    page.get_by_role("button", name="JSON by a schema").click()
    page.get_by_role("button", name="Send", exact=True).click()
    answer = answers(page, "qwen3.6-plus")
    finished(answer)
    assert set(json.loads(answer.locator(".markdown").inner_text())) == {"name", "population", "famous_for"}


def test_what_can_not_be_sent(console: Console, model_key: str) -> None:
    page = console("playground", key=model_key)
    message(page).fill("Hello")
    page.get_by_label("Tools", exact=True).fill("{")
    page.get_by_label("Temperature").fill("warm")
    expect(page.get_by_text("This is no number.")).to_be_visible()
    expect(page.get_by_text(re.compile("^This is no JSON: "))).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    console.settle(page)
    axe(page)
    page.get_by_role("button", name="Reset the settings").click()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("glm-always-thinks", "This model always thinks."),
        ("never-thinks", "This model does not think."),
        ("kimi-k2.6", "The switch does nothing for this model."),
    ],
)
def test_a_model_without_a_switch(console: Console, model_key: str, model: str, told: str) -> None:
    page = console(f"playground?model={model}", key=model_key)
    expect(page.get_by_text(told)).to_be_visible()
    switch = page.get_by_role("group", name="Thinking")
    expect(switch.get_by_role("button")).to_have_text(["Default"])


# --- Messages ---


def test_messages_are_changed_and_asked_again(console: Console, model_key: str) -> None:
    page = console("playground?model=qwen3.6-plus", key=model_key)
    page.get_by_label("Role").select_option("System")
    message(page).fill("Be brief.")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Role").select_option("User")
    ask(page, "First")
    finished(answers(page, "qwen3.6-plus"))
    ask(page, "Second")
    finished(answers(page, "qwen3.6-plus").nth(1))
    first = page.get_by_role("article", name="User", exact=True).first
    first.get_by_role("button", name="Edit").click()
    first.get_by_label("Message").fill("Changed")
    first.get_by_role("button", name="Save").click()
    page.get_by_role("article", name="System").get_by_role("button", name="Remove").click()
    asked = completions(page)
    first.get_by_role("button", name="Ask again from here").click()
    expect(page.get_by_role("article")).to_have_count(2)  # what came after is gone
    finished(answers(page, "qwen3.6-plus"))
    expect(answers(page, "qwen3.6-plus")).to_contain_text("Changed")
    assert body_of(asked[0])["messages"] == [{"role": "user", "content": "Changed"}]
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("Nothing was asked yet")).to_be_visible()


def test_a_conversation_survives_another_page_and_no_sign_out(console: Console, model_key: str) -> None:
    page = console("playground?model=qwen3.6-plus", key=model_key)
    words = mark()
    ask(page, words)
    finished(answers(page, "qwen3.6-plus"))
    page.get_by_role("link", name="My usage").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My usage")
    page.get_by_role("link", name="Playground").click()
    expect(answers(page, "qwen3.6-plus")).to_contain_text(words)
    stored = page.evaluate("() => JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert words not in stored
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key", exact=True).fill(model_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_text("Nothing was asked yet")).to_be_visible()


# --- Images ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_image_is_dropped(console: Console, model_key: str, language: Language) -> None:
    words = WORDS[language]
    page = console("playground?model=qwen3.6-plus", key=model_key, language=language)
    field = message(page, language)
    expect(field).to_have_attribute("placeholder", re.compile(words["images"]))
    data = PNG.partition(",")[2]
    page.locator(".composer").dispatch_event(
        "drop", {"dataTransfer": page.evaluate_handle(_DROP, [data, "dot.png", "image/png"])}
    )
    image = page.locator(".composer img")
    expect(image).to_have_attribute("src", PNG)
    console.settle(page)
    axe(page)
    field.fill("Look")
    asked = completions(page)
    field.press("Control+Enter")
    answer = page.get_by_role("article").last
    expect(answer).to_contain_text("I saw 1 image.")
    [said] = body_of(asked[0])["messages"]
    assert said["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": PNG}},
    ]
    page.locator(".lane select").first.select_option("qwen3-max")
    expect(page.get_by_text(words["no images"])).to_be_visible()
    expect(page.locator(".composer input[type=file]")).to_have_count(0)


def test_an_image_is_pasted_and_another_is_named(console: Console, model_key: str) -> None:
    page = console("playground?model=qwen3.6-plus", key=model_key)
    data = PNG.partition(",")[2]
    message(page).evaluate(_PASTE, page.evaluate_handle(_DROP, [data, "pasted.png", "image/png"]))
    expect(page.locator(".composer img")).to_have_count(1)
    text = base64.b64encode(b"text").decode()
    message(page).evaluate(_PASTE, page.evaluate_handle(_DROP, [text, "notes.txt", "text/plain"]))
    expect(page.get_by_text("notes.txt is no image.")).to_be_visible()
    page.get_by_role("button", name="Image by URL").click()
    address = page.get_by_label("URL of an image")
    address.fill("file:///etc/passwd")
    address.press("Enter")
    expect(page.get_by_text("This is no http or https URL.")).to_be_visible()
    address.fill("https://example.com/a.png")
    address.press("Enter")
    # It is told, not loaded: the test would see a request to another origin.
    expect(page.locator(".composer .address")).to_contain_text("https://example.com/a.png")
    page.get_by_role("button", name="Remove the image pasted.png").click()
    asked = completions(page)
    ask(page, "Look")
    finished(answers(page, "qwen3.6-plus"))
    [said] = body_of(asked[0])["messages"]
    assert said["content"][1:] == [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


# --- Two models ---


def test_two_models_side_by_side(console: Console, model_key: str) -> None:
    page = console(f"playground?model={SLOW}&model2=glm-5", key=model_key)
    asked = completions(page)
    ask(page, "Why is the sky blue?")
    slow, fast = answers(page, SLOW), answers(page, "glm-5")
    finished(fast)
    expect(slow).to_have_attribute("aria-busy", "true")
    left, right = slow.bounding_box(), fast.bounding_box()
    assert left is not None
    assert right is not None
    assert (left["y"], left["x"] + left["width"] < right["x"]) == (right["y"], True)
    expect(slow.locator(".markdown, .plain-text").last).not_to_be_empty()
    slow.get_by_role("button", name="Stop").click()
    expect(slow).to_contain_text("You stopped this answer; what came so far is kept.")
    assert request_id_of(slow) != request_id_of(fast)
    first, second = map(body_of, asked)
    assert first["messages"] == second["messages"]
    console.settle(page)
    axe(page)
    page.get_by_role("button", name=f"Remove {SLOW}").click()
    expect(slow).to_have_count(0)
    expect(page).to_have_url(re.compile(r"\?model=glm-5$"))
    ask(page, "And at night?")
    finished(fast.nth(1))
    assert [each["role"] for each in body_of(asked[2])["messages"]] == ["user", "assistant", "user"]


def test_a_link_chooses_models_and_is_kept(console: Console, model_key: str) -> None:
    page = console("playground?model=glm-5", key=model_key)
    chosen = page.locator(".lane select").first
    expect(chosen).to_have_value("glm-5")
    page.get_by_role("button", name="Compare with another model").click()
    second = page.get_by_label("Second model", exact=True)
    second.select_option("kimi-k2.6")
    expect(page).to_have_url(re.compile(r"\?model=glm-5&model2=kimi-k2\.6$"))
    page.reload()
    expect(page.get_by_label("Second model", exact=True)).to_have_value("kimi-k2.6")


# --- Stops and errors ---


def test_a_stop_keeps_what_came(console: Console, admin: Admin, model_key: str) -> None:
    page = console(f"playground?model={SLOW}", key=model_key)
    page.get_by_role("group", name="Thinking").get_by_role("button", name="Off").click()
    ask(page, "Why is the sky blue?")
    answer = answers(page, SLOW)
    expect(answer).to_contain_text("This is")
    page.get_by_role("button", name="Stop all").click()
    expect(answer).to_contain_text("You stopped this answer; what came so far is kept.")
    expect(answer).to_contain_text("This is")
    row = admin.gateway.ledger(request_id_of(answer))
    assert row["finish_reason"] is None
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


def test_a_refusal_in_words(console: Console, model_key: str) -> None:
    console.expect("status of 404")
    page = console("playground?model=no-such-model", key=model_key)
    expect(page.get_by_label("Model", exact=True)).to_have_value("no-such-model")
    ask(page, "Hello")
    alert = answers(page, "no-such-model").get_by_role("alert")
    expect(alert).to_contain_text("no-such-model")
    expect(alert).to_contain_text(re.compile("req_[0-9a-f]{32}"))
    console.settle(page)
    axe(page)


@pytest.mark.parametrize("fault", ["error_after_chunks", "fail_after_chunks"])
def test_an_error_in_the_midst(console: Console, model_key: str, fault: str) -> None:
    page = console("playground?model=qwen3-max", key=model_key)
    further(page, simulate={fault: 6}, llmgw_thinking=False)
    ask(page, "Hello")
    answer = answers(page, "qwen3-max")
    alert = answer.get_by_role("alert")
    expect(alert).to_contain_text(re.compile("req_[0-9a-f]{32}"))
    expect(answer).to_contain_text("failed")
    expect(answer).to_contain_text("This is")


def test_a_gateway_that_ends_in_the_midst(console: Console, restartable: Admin) -> None:
    console.expect("ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_(REFUSED|RESET)", "ERR_EMPTY_RESPONSE")
    page = console(f"playground?model={SLOW}", site=restartable, key=restartable.gateway.key)
    page.get_by_role("group", name="Thinking").get_by_role("button", name="Off").click()
    ask(page, "Why is the sky blue?")
    answer = answers(page, SLOW)
    expect(answer).to_contain_text("This is")
    restartable.gateway.process.kill()
    expect(answer.get_by_role("alert")).to_contain_text("The connection ended before the answer was complete")
    expect(answer.get_by_role("alert")).to_contain_text("req_")
    expect(answer).to_contain_text("This is")
    restartable.gateway.start()
    answer.get_by_role("button", name="Ask again").click()
    finished(answer)


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
    console.settle(page)
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
    page.locator(".composer").dispatch_event(
        "drop", {"dataTransfer": page.evaluate_handle(_DROP, [PNG.partition(",")[2], "dot.png", "image/png"])}
    )
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
        console.settle(page)
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


# --- A narrow screen ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_narrow_screen(console: Console, model_key: str, language: Language) -> None:
    page = console("playground?model=qwen3.6-plus&model2=glm-5", key=model_key, language=language, width=390)
    field = message(page, language)
    field.fill("https://example.com/" + "a" * 300)
    field.press("Control+Enter")
    expect(page.get_by_role("article").nth(2)).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("article").nth(1)).to_have_attribute("aria-busy", "false")
    console.settle(page)
    no_overflow(page)
    axe(page)
    page.get_by_role("button", name={"en": "Settings", "zh": "参数"}[language]).click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_role("button", name={"en": "Insert an example", "zh": "填入示例"}[language]).click()
    expect(drawer.get_by_label({"en": "Tools", "zh": "工具"}[language], exact=True)).to_have_value(
        re.compile("get_weather")
    )
    no_overflow(page)
    axe(page)
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
