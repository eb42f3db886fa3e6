"""Anthropic's Python SDK: requests come as JSON lines on stdin, what it saw goes out so, in chat's words.

`LLMGW_BASE_URL` says where the gateway is. The lines are those of `tests/clients/scenarios.py`.
"""

import json
import os
import sys
from typing import Any

import anthropic

FINISH_REASONS = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
MAX_TOKENS = 4096


def messages_of(task: dict[str, Any]) -> list[Any]:
    if "image" not in task:
        return [{"role": "user", "content": task["prompt"]}]
    kind, data = task["image"].removeprefix("data:").split(";base64,")
    picture = {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    return [{"role": "user", "content": [{"type": "text", "text": task["prompt"]}, picture]}]


def tool_of(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool["function"]
    return {
        "name": function["name"],
        "description": function["description"],
        "input_schema": function["parameters"],
    }


def request_of(task: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": task["model"],
        "max_tokens": MAX_TOKENS,
        "messages": messages_of(task),
        "extra_body": {"seed": task["seed"], **task["extra"]},
    }
    if "tools" in task:
        request["tools"] = [tool_of(tool) for tool in task["tools"]]
    # Thinking is shown to those who ask for it.
    if task["stream"] and "llmgw_thinking" not in task["extra"]:
        request["thinking"] = {"type": "adaptive", "display": "summarized"}
    return request


def note(message: Any, task: dict[str, Any], seen: dict[str, Any]) -> None:  # noqa: ANN401 - the SDK's Message
    blocks = message.content
    seen["text"] = "".join(block.text for block in blocks if block.type == "text")
    seen["reasoning"] = "".join(block.thinking for block in blocks if block.type == "thinking")
    seen["finish_reason"] = FINISH_REASONS[message.stop_reason]
    seen["tool_calls"] = [
        {"id": block.id, "name": block.name, "arguments": json.dumps(block.input)}
        for block in blocks
        if block.type == "tool_use"
    ]
    # Anthropic's answers always have it; others only where it was asked for.
    if not task["stream"] or "stream_options" in task:
        usage = message.usage
        prompt = usage.input_tokens + usage.cache_read_input_tokens
        seen["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": usage.output_tokens,
            "total_tokens": prompt + usage.output_tokens,
        }


def ask(
    client: anthropic.Anthropic, request: dict[str, Any], task: dict[str, Any], seen: dict[str, Any]
) -> Any:  # noqa: ANN401 - the SDK's Message
    """Ask, note what came; the message, to be sent back. What came before an error stays noted."""
    if not task["stream"]:
        message = client.messages.create(**request)
    else:
        with client.messages.stream(**request) as stream:
            for text in stream.text_stream:
                seen["text"] += text
            message = stream.get_final_message()
    note(message, task, seen)
    return message


def run(task: dict[str, Any]) -> dict[str, Any]:
    url = os.environ["LLMGW_BASE_URL"].removesuffix("/v1")
    client = anthropic.Anthropic(base_url=url, api_key=task["api_key"], max_retries=0)
    request = request_of(task)
    seen = blank(task)
    try:
        said = ask(client, request, task, seen)
        if "tool_result" in task:
            results = [
                {"type": "tool_result", "tool_use_id": call["id"], "content": task["tool_result"]}
                for call in seen["tool_calls"]
            ]
            history = [
                {"role": "assistant", "content": said.content},
                {"role": "user", "content": results},
            ]
            after = blank(task)
            ask(client, {**request, "messages": [*request["messages"], *history]}, task, after)
            seen["text_after_tools"] = after["text"]
    except anthropic.APIStatusError as error:
        told = error.body["error"] if isinstance(error.body, dict) else {}
        # Where a stream breaks, the SDK gives the status that it began with.
        status = error.status_code if error.status_code != 200 else None
        seen["error"] = {"status": status, "message": told.get("message", error.message)}
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
