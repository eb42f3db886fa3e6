"""What the simulated answer to a request says; it is the same for every provider."""

# Chinese sentences have Chinese punctuation.
# ruff: noqa: RUF001

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmgw.simulator import tokens
from llmgw.simulator.model import JsonObject, Model
from llmgw.simulator.request import ChatRequest, text_of
from llmgw.simulator.values import value_for

SHOWN_CHARS = 200
"""The answer repeats at most this many characters of a question or a tool's result."""

_PARALLEL_WORDS = ("both", "parallel", "each of", "at the same time", "同时", "并行", "分别")
_SENTENCES_OF_REASONING = {"none": 1, "minimal": 1, "low": 1, "medium": 3, "high": 6, "xhigh": 6, "max": 6}

_CLOSINGS = {
    False: (
        "A real model would answer here; put a provider's key into the config and one will.",
        "Nothing was looked up or thought over: each word of this comes from a small program.",
        "To hear from a real model, name a provider in the config; your code stays as it is.",
    ),
    True: (
        "真实的模型会在这里作答：在配置里填上服务商的密钥即可。",
        "这里没有查询，也没有推理：每一个字都出自一个小程序。",
        "想得到真实模型的回答，请在配置里写上服务商；你的代码不用改。",
    ),
}
_REASONING = {
    False: (
        "This is simulated reasoning, to show where it appears.",
        "The conversation has {messages} message(s) and {images} image(s).",
        "The last thing that the user wrote is: {question}.",
        "A real model would now weigh what it knows against what was asked.",
        "It might find a first answer, doubt it, and look again.",
        "There is nothing to weigh here, so the answer can begin.",
    ),
    True: (
        "这是模拟的思考过程，用来展示它出现的位置。",
        "这段对话有 {messages} 条消息、{images} 张图片。",
        "用户最后写的是：{question}。",
        "真实的模型此时会把已知的内容和问题放在一起权衡。",
        "它可能先想到一个答案，再怀疑它，然后重新检查。",
        "这里没有什么可以权衡的，可以开始回答了。",
    ),
}


@dataclass(frozen=True)
class ToolCall:
    """A call of one function; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """One complete choice."""

    reasoning: str
    content: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str

    @property
    def reasoning_tokens(self) -> int:
        return tokens.count(self.reasoning)

    @property
    def completion_tokens(self) -> int:
        """Of reasoning, content and calls together."""
        calls = sum(tokens.count(call.name) + tokens.count(call.arguments) for call in self.tool_calls)
        return self.reasoning_tokens + tokens.count(self.content) + calls


def compose(request: ChatRequest, model: Model, *, thinking: bool, question: str, choice: int) -> Answer:
    """The answer of one choice, before limits.

    `question` is the user's text without the provider's switch. The same `seed` gives the same text; without
    a seed it varies.
    """
    seed = request.body.get("seed")
    # It varies the wording and makes no secrets.
    rng = random.Random(f"{seed}/{choice}" if seed is not None else None)  # noqa: S311
    reasoning = _reasoning(request, question) if thinking else ""
    calls = _tool_calls(request, question)
    if calls:
        return Answer(reasoning, "", calls, "tool_calls")
    text = _structured(request, model, question)
    if text is None:
        text = "\n".join([_prose(request, model, question, rng)] * request.simulation.repeat)
    return Answer(reasoning, text, (), "stop")


def limit(answer: Answer, request: ChatRequest, *, covers_reasoning: bool, fields: Sequence[str]) -> Answer:
    """Apply `stop` to the content, and a limit, to the reasoning too if `covers_reasoning`."""
    stops = request.body.get("stop")
    for stop in [stops] if isinstance(stops, str) else stops or []:
        if isinstance(stop, str) and stop and stop in answer.content:
            answer = replace(answer, content=answer.content.split(stop, 1)[0])
    wanted = next((request.body[name] for name in fields if name in request.body), None)
    if not isinstance(wanted, int | float):
        return answer
    budget = max(1, int(wanted))
    used = answer.completion_tokens - (0 if covers_reasoning else answer.reasoning_tokens)
    if used <= budget:
        return answer
    reasoning = tokens.cut(answer.reasoning, budget) if covers_reasoning else answer.reasoning
    left = budget - (tokens.count(reasoning) if covers_reasoning else 0)
    return Answer(reasoning, tokens.cut(answer.content, left), (), "length")


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


def _reasoning(request: ChatRequest, question: str) -> str:
    count = _SENTENCES_OF_REASONING.get(str(request.body.get("reasoning_effort", "medium")), 3)
    joint = "" if request.chinese else " "
    return joint.join(_REASONING[request.chinese][:count]).format(
        messages=len(request.messages), images=len(request.images), question=_shown(question)
    )


def _prose(request: ChatRequest, model: Model, question: str, rng: random.Random) -> str:
    zh = request.chinese
    said = [
        f"我是 llmgw 的模拟器，正以 {model.id} 的身份回答；背后没有真正的模型。"
        if zh
        else f"This is llmgw's simulator speaking as {model.id}; no real model is behind it."
    ]
    if request.images:
        seen = len(request.images)
        said.append(f"我看到 {seen} 张图片。" if zh else f"I saw {seen} image{'s' if seen > 1 else ''}.")
    if request.last_role == "tool":
        result = _shown(" ".join(_tool_results(request)))
        said.append(f"工具返回：{result}。" if zh else f"The tool answered: {result}")
    elif question:
        said.append(f"你问的是：“{_shown(question)}”。" if zh else f"You asked: “{_shown(question)}”.")
    said.append(rng.choice(_CLOSINGS[zh]))
    return ("" if zh else " ").join(said)


def _tool_results(request: ChatRequest) -> list[str]:
    """The results that follow the last assistant message."""
    results: list[str] = []
    for message in reversed(request.messages):
        if message.get("role") != "tool":
            break
        results.insert(0, text_of(message))
    return results


def _structured(request: ChatRequest, model: Model, question: str) -> str | None:
    """The JSON that `response_format` asks for; None if it does not ask for JSON."""
    wanted = request.body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        schema = described.get("schema") if isinstance(described, dict) else None
        return _json(value_for(schema if isinstance(schema, dict) else {}, question, all_members=True))
    if wanted.get("type") == "json_object":
        return _json({"simulated": True, "model": model.id, "question": _shown(question)})
    return None


def _tool_calls(request: ChatRequest, question: str) -> tuple[ToolCall, ...]:
    choice = request.body.get("tool_choice", "auto")
    tools = request.tools
    if not tools or choice == "none":
        return ()
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        chosen = [tool for tool in tools if tool.get("name") == name]
    elif choice != "required" and request.last_role != "user":
        chosen = []
    elif _wants_parallel(request, question):
        chosen = tools
    else:
        chosen = [_best(tools, question)]
    return tuple(_call(tool, question) for tool in chosen)


def _wants_parallel(request: ChatRequest, question: str) -> bool:
    asked = any(word in question.lower() for word in _PARALLEL_WORDS)
    return asked and request.body.get("parallel_tool_calls") is not False


def _best(tools: list[JsonObject], question: str) -> JsonObject:
    """The tool whose name has the most words in the question; the first of several."""
    lower = question.lower()
    return max(
        tools, key=lambda tool: sum(word in lower for word in str(tool.get("name", "")).lower().split("_"))
    )


def _call(tool: JsonObject, question: str) -> ToolCall:
    schema = tool.get("parameters")
    return ToolCall(
        str(tool.get("name", "")), _json(value_for(schema if isinstance(schema, dict) else {}, question))
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
