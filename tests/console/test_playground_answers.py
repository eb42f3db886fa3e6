"""The playground: answers, how they come in, and how they end."""

import re

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.console.gateways import SLOW
from tests.console.playground import (
    SLOW_ANSWER_MS,
    WORDS,
    answers,
    ask,
    body_of,
    completions,
    finished,
    further,
    message,
    request_id_of,
)
from tests.console.support import LANGUAGES, RIGHT_AFTER, Console, Language, axe
from tests.support.admin import Admin

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
        "aria-expanded", "false", timeout=SLOW_ANSWER_MS
    )
    call = answer.locator(".call")
    expect(call).to_contain_text("get_weather")
    expect(call.locator("pre")).to_have_text(
        re.compile(r'{\s*"city": ".+"\s*}', re.DOTALL), timeout=SLOW_ANSWER_MS
    )
    call.get_by_label(words["result"]).fill("18 degrees, light rain")
    asked = completions(page)
    answer.get_by_role("button", name=words["go on"]).click()
    last = page.get_by_role("article").filter(has=page.locator("header", has_text=SLOW)).nth(1)
    expect(last).to_contain_text(words["answered"], timeout=SLOW_ANSWER_MS)
    _, made, result = body_of(asked[0])["messages"]
    [told] = made["tool_calls"]
    assert (told["type"], told["function"]["name"]) == ("function", "get_weather")
    assert result == {"role": "tool", "tool_call_id": told["id"], "content": "18 degrees, light rain"}


def test_the_figures_are_those_of_the_ledger(console: Console, admin: Admin, model_key: str) -> None:
    page = console("playground?model=glm-5", model_key=model_key)
    further(page, simulate={"delay_ms": 40})
    ask(page, "Why is the sky blue?")
    answer = answers(page, "glm-5")
    finished(answer)
    row = admin.gateway.ledger(request_id_of(answer))
    cost = answer.locator("dl > div").filter(has_text="Cost").locator("span[title]")
    expect(cost).to_be_visible()
    figures = dict(
        zip(answer.locator("dt").all_inner_texts(), answer.locator("dd").all_inner_texts(), strict=True)
    )
    assert figures["In"] == str(row["prompt_tokens"])
    assert figures["Out"] == f"{row['completion_tokens']} ({row['reasoning_tokens']} reasoning)"
    assert {"Tokens/s", "First token", "Answer begins", "Total", "Cost"} <= set(figures)
    [told] = admin.get("/admin/v1/requests", {"request_id": row["request_id"]}).json()["data"]
    expect(cost).to_have_attribute("title", f"{told['cost']} {told['currency']}")
    answer.get_by_role("button", name="Details").click()
    expect(answer.locator(".details")).to_contain_text("x-llmgw-attempts")
    expect(answer.locator(".details")).to_contain_text("completion_tokens_details.reasoning_tokens")


def test_the_holder_of_a_key_sees_the_cost(console: Console, admin: Admin, model_key: str) -> None:
    page = console("playground?model=glm-5", key=model_key)
    ask(page, "Why is the sky blue?")
    answer = answers(page, "glm-5")
    finished(answer)
    cost = answer.locator("dl > div").filter(has_text="Cost").locator("span[title]")
    expect(cost).to_be_visible()
    [told] = admin.get("/admin/v1/requests", {"request_id": request_id_of(answer)}).json()["data"]
    assert float(told["cost"]) > 0
    expect(cost).to_have_attribute("title", f"{told['cost']} {told['currency']}")
    looks: list[str] = []
    page.on("request", lambda request: looks.append(request.url))
    page.get_by_role("link", name="My usage").click()
    page.get_by_role("link", name="Playground").click()
    expect(answers(page, "glm-5").locator("dl > div").filter(has_text="Cost")).to_be_visible()
    assert not [url for url in looks if "/v1/usage/me/" in url]  # it is known


@pytest.mark.parametrize("busy_for", [1, 3])
def test_a_cost_is_asked_for_again_and_not_for_ever(console: Console, model_key: str, busy_for: int) -> None:
    """The gateway has no time for it, so many times."""
    console.expect("status of 503")
    page = console("playground?model=glm-5", key=model_key)
    refused = {"error": {"message": "busy", "type": "server_error", "param": None, "code": "overloaded"}}
    looks: list[str] = []

    def busy(route: Route) -> None:
        looks.append(route.request.url)
        if len(looks) <= busy_for:
            route.fulfill(status=503, json=refused)
        else:
            route.continue_()

    page.route("**/v1/usage/me/*", busy)
    with page.expect_response(lambda answer: len(looks) == busy_for and answer.url == looks[0]):
        ask(page, "Why is the sky blue?")
    answer = answers(page, "glm-5")
    finished(answer)
    cost = answer.locator("dt", has_text="Cost")
    if busy_for == 1:
        expect(cost).to_be_visible()
    else:
        console.settle()
        expect(cost).to_have_count(0)
        expect(answer.get_by_role("alert")).to_have_count(0)


def test_the_admin_process_passes_answers_on(console: Console, apart: Admin) -> None:
    """As they come: it relays what the page asks of models, and holds nothing back."""
    page = console(f"playground?model={SLOW}", site=apart)
    page.get_by_role("button", name="Make one for me").click()
    asked = completions(page)
    ask(page, "Why is the sky blue?")
    answer = answers(page, SLOW)
    expect(answer.locator(".reasoning section")).not_to_be_empty()
    expect(answer).to_have_attribute("aria-busy", "true")
    finished(answer)
    assert [each.url for each in asked] == [f"{apart.url}/v1/chat/completions"]
    expect(answer.locator("dl > div").filter(has_text="Cost")).to_be_visible()
    assert apart.gateway.ledger(request_id_of(answer))["status"] == httpx.codes.OK


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
    console.settle()
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


def test_a_model_chosen_right_after_another_stays(console: Console, model_key: str) -> None:
    page = console("playground?model=glm-5&model2=kimi-k2.6", key=model_key)
    second = page.get_by_label("Second model", exact=True)
    expect(second).to_have_value("kimi-k2.6")
    second.evaluate(
        f"""(field) => {{
          const choose = (model) => {{
            field.value = model;
            field.dispatchEvent(new Event("change", {{ bubbles: true }}));
          }};
          ({RIGHT_AFTER})(() => choose("qwen3-max"));
          choose("deepseek-v4-pro");
        }}"""
    )
    expect(page).to_have_url(re.compile(r"\?model=glm-5&model2=qwen3-max$"))
    console.settle()
    expect(page).to_have_url(re.compile(r"\?model=glm-5&model2=qwen3-max$"))
    expect(second).to_have_value("qwen3-max")


def test_a_link_to_another_model_than_the_one_chosen(console: Console, model_key: str) -> None:
    """What is chosen outlives the page, and won over what a link asked for."""
    page = console("playground?model=glm-5&model2=kimi-k2.6", model_key=model_key)
    first, second = page.get_by_label("Model", exact=True), page.get_by_label("Second model", exact=True)
    expect(second).to_have_value("kimi-k2.6")
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("link", name="qwen3-max", exact=True).click()
    page.get_by_role("link", name="Try it").click()
    expect(page).to_have_url(re.compile(r"/playground\?model=qwen3-max&model2=kimi-k2\.6$"))
    expect(first).to_have_value("qwen3-max")
    expect(second).to_have_value("kimi-k2.6")
    for _ in range(3):  # the model, the list, the playground as it was
        page.go_back()
    expect(page).to_have_url(re.compile(r"/playground\?model=glm-5&model2=kimi-k2\.6$"))
    expect(first).to_have_value("glm-5")
    page.get_by_role("link", name="Playground", exact=True).click()
    expect(page).to_have_url(re.compile(r"/playground\?model=glm-5&model2=kimi-k2\.6$"))


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
    console.settle()
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
