"""LangChain's ChatOpenAI, or with the argument `deepseek` ChatDeepSeek, over the same lines as the others.

`LLMGW_BASE_URL` says where the gateway is.
"""

import json
import os
import sys
from typing import Any

import openai
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_deepseek import ChatDeepSeek
from langchain_openai import ChatOpenAI

DEEPSEEK = sys.argv[1:] == ["deepseek"]


def model_of(task: dict[str, Any]) -> Any:  # noqa: ANN401 - with or without tools bound
    options: dict[str, Any] = {
        "model": task["model"],
        "api_key": task["api_key"],
        "max_retries": 0,
        "seed": task["seed"],
        "extra_body": task["extra"],
        "stream_usage": "stream_options" in task,
    }
    base_url = os.environ["LLMGW_BASE_URL"]
    model = (
        ChatDeepSeek(api_base=base_url, **options) if DEEPSEEK else ChatOpenAI(base_url=base_url, **options)
    )
    return model.bind_tools(task["tools"]) if "tools" in task else model


def question_of(task: dict[str, Any]) -> HumanMessage:
    if "image" not in task:
        return HumanMessage(task["prompt"])
    picture = {"type": "image_url", "image_url": {"url": task["image"]}}
    return HumanMessage([{"type": "text", "text": task["prompt"]}, picture])


def note(seen: dict[str, Any], message: AIMessage) -> None:
    seen["text"] = message.content
    seen["reasoning"] = message.additional_kwargs.get("reasoning_content", "")
    seen["finish_reason"] = message.response_metadata.get("finish_reason")
    usage = message.usage_metadata
    seen["usage"] = usage and {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }
    seen["tool_calls"] = [
        {"id": call["id"], "name": call["name"], "arguments": call["args"]} for call in message.tool_calls
    ]


def ask(model: Any, messages: list[Any], seen: dict[str, Any], *, stream: bool) -> AIMessage:  # noqa: ANN401
    """Ask, note what came; the message, to be sent back. What came before an error stays noted."""
    if not stream:
        message: AIMessage = model.invoke(messages)
        note(seen, message)
        return message
    whole: AIMessageChunk | None = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
        note(seen, whole)
    assert whole is not None, "a stream without any chunk"
    return whole


def run(task: dict[str, Any]) -> dict[str, Any]:
    model = model_of(task)
    seen = blank(task)
    messages = [question_of(task)]
    try:
        said = ask(model, messages, seen, stream=task["stream"])
        if "tool_result" in task:
            results = [
                ToolMessage(task["tool_result"], tool_call_id=call["id"]) for call in seen["tool_calls"]
            ]
            after = blank(task)
            ask(model, [*messages, said, *results], after, stream=task["stream"])
            seen["text_after_tools"] = after["text"]
    except openai.APIError as error:
        seen["error"] = {
            "status": getattr(error, "status_code", None),
            "code": error.code,
            "message": error.message,
        }
    return seen


def blank(task: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": task["name"],
        "text": "",
        "reasoning": "",
        "tool_calls": [],
        "finish_reason": None,
        "usage": None,
        "error": None,
    }


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
