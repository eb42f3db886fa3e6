"""What tests of the playground do over and over."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from playwright.sync_api import JSHandle, Locator, Page, Request, expect

from tests.console.support import Language
from tests.support.chat import PNG

SLOW_ANSWER_MS: Final = 30_000.0
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
        "gate": "The playground needs a model key",
        "make": "Make one for me",
        "asks with": "Asks with the key “console playground”",
        "another": "Use another key",
        "images": "Drop or paste images",
        "no images": "qwen3-max doesn't accept images.",
    },
    "zh": {
        "message": "消息",
        "send": "发送",
        "tool": "调用工具",
        "reasons": "思考中…",
        "reasoning": "思考过程",
        "result": "工具返回的内容",
        "go on": "发送结果",
        "answered": "工具返回：18 degrees",
        "answer of": "的回答",
        "gate": "体验台需要一个模型密钥",
        "make": "给我建一个",
        "asks with": "正在使用密钥“console playground”",
        "another": "换一个密钥",
        "images": "图片可以直接拖进来或粘贴",
        "no images": "qwen3-max 不支持图片。",
    },
}
_FILE: Final = """
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
    expect(answer.get_by_text("Finish", exact=True)).to_be_visible(timeout=SLOW_ANSWER_MS)
    expect(answer.locator("dd").filter(has_text=re.compile(f"^{reason}$"))).to_be_visible(
        timeout=SLOW_ANSWER_MS
    )


def request_id_of(answer: Locator) -> str:
    """As the answer tells it."""
    return answer.locator(".request .mono").inner_text()


def drop(page: Page, name: str = "dot.png") -> None:
    """Let go of a file over the page; it has the bytes of `PNG`."""
    page.locator(".composer").dispatch_event(
        "drop", {"dataTransfer": file(page, name, PNG.partition(",")[2])}
    )


def paste(page: Page, name: str, data: str, kind: str = "image/png") -> None:
    """Paste a file into the message; `data` in base64."""
    message(page).evaluate(_PASTE, file(page, name, data, kind))


def file(page: Page, name: str, data: str, kind: str = "image/png") -> JSHandle:
    """A `DataTransfer` that holds one file; `data` in base64."""
    return page.evaluate_handle(_FILE, [data, name, kind])
