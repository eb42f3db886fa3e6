"""The playground: keys, settings and messages, against the gateway and its simulated providers."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import expect

from tests.console.gateways import await_key
from tests.console.playground import (
    WORDS,
    answers,
    ask,
    body_of,
    completions,
    drop,
    finished,
    message,
    paste,
)
from tests.console.support import LANGUAGES, Console, Language, axe, no_overflow
from tests.support.admin import Admin
from tests.support.chat import PNG, mark
from tests.support.processes import wait_until


def await_end(admin: Admin, key: str) -> None:
    """Until a revoked key is refused: it is known everywhere within a second."""
    refused = httpx.codes.UNAUTHORIZED
    wait_until(lambda: admin.gateway.get("/v1/models", key=key).status == refused, "its end", timeout_s=5)


# --- Keys ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_admin_makes_a_key(console: Console, admin: Admin, language: Language) -> None:
    words = WORDS[language]
    before = {key["id"] for key in admin.all_of("/admin/v1/keys")}
    page = console("playground", language=language)
    expect(page.get_by_role("heading", name=words["gate"])).to_be_visible()
    console.settle()
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
    await_key(admin, key)
    page = console("playground", key=key)
    ask(page, "Hello")
    finished(answers(page, "qwen3.6-plus"))
    admin.gateway.revoke(key)
    await_end(admin, key)
    ask(page, "Hello again")
    last = answers(page, "qwen3.6-plus").last
    expect(last.get_by_role("alert")).to_contain_text("req_")
    expect(answers(page, "qwen3.6-plus").first).to_contain_text("simulator")  # the conversation stays
    last.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to llmgw")).to_be_visible()


def test_the_key_of_an_admin_has_ended(console: Console, admin: Admin) -> None:
    console.expect("status of 401")
    key = admin.gateway.new_key()
    admin.gateway.revoke(key)
    await_end(admin, key)
    page = console("playground", model_key=key)
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("req_")
    page.get_by_role("button", name="Use another key").click()
    expect(page.get_by_label("Model key")).to_be_visible()


# --- Settings ---


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
    expect(page.get_by_text("This is not a number.")).to_be_visible()
    expect(page.get_by_text(re.compile("^This is not JSON: "))).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    console.settle()
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
    expect(page.get_by_text("Nothing asked yet")).to_be_visible()


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
    expect(page.get_by_text("Nothing asked yet")).to_be_visible()


# --- Images ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_image_is_dropped(console: Console, model_key: str, language: Language) -> None:
    words = WORDS[language]
    page = console("playground?model=qwen3.6-plus", key=model_key, language=language)
    field = message(page, language)
    expect(field).to_have_attribute("placeholder", re.compile(words["images"]))
    drop(page)
    image = page.locator(".composer img")
    expect(image).to_have_attribute("src", PNG)
    console.settle()
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
    paste(page, "pasted.png", data, "image/png")
    expect(page.locator(".composer img")).to_have_count(1)
    text = base64.b64encode(b"text").decode()
    paste(page, "notes.txt", text, "text/plain")
    expect(page.get_by_text("notes.txt is not an image.")).to_be_visible()
    page.get_by_role("button", name="Image by URL").click()
    address = page.get_by_label("URL of an image")
    address.fill("file:///etc/passwd")
    address.press("Enter")
    expect(page.get_by_text("This is not an http or https URL.")).to_be_visible()
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


# --- A narrow screen ---


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_narrow_screen(console: Console, model_key: str, language: Language) -> None:
    page = console("playground?model=qwen3.6-plus&model2=glm-5", key=model_key, language=language, width=390)
    field = message(page, language)
    field.fill("https://example.com/" + "a" * 300)
    field.press("Control+Enter")
    expect(page.get_by_role("article").nth(2)).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("article").nth(1)).to_have_attribute("aria-busy", "false")
    console.settle()
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
