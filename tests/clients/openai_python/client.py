"""OpenAI's Python SDK, current or 1.x: requests come as JSON lines on stdin, what it saw goes out as such.

`LLMGW_BASE_URL` says where the gateway is. The lines are those of `tests/clients/scenarios.py`.
"""

import json
import os
import sys
from typing import Any

import openai


def messages_of(task: dict[str, Any]) -> list[Any]:
    if "image" not in task:
        return [{"role": "user", "content": task["prompt"]}]
    picture = {"type": "image_url", "image_url": {"url": task["image"]}}
    return [{"role": "user", "content": [{"type": "text", "text": task["prompt"]}, picture]}]


def usage_of(usage: Any) -> dict[str, int] | None:  # noqa: ANN401 - the SDK's object or None
    if usage is None:
        return None
    return {name: getattr(usage, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def plain(create: Any, request: dict[str, Any], seen: dict[str, Any]) -> Any:  # noqa: ANN401 - a bound method
    """Ask, note what came; the message, to be sent back."""
    completion = create(**request)
    [choice] = completion.choices
    message = choice.message
    seen["text"] = message.content or ""
    seen["reasoning"] = (message.model_extra or {}).get("reasoning_content") or ""
    seen["finish_reason"] = choice.finish_reason
    seen["usage"] = usage_of(completion.usage)
    seen["tool_calls"] = [
        {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
        for call in message.tool_calls or []
    ]
    return message


def streamed(create: Any, request: dict[str, Any], seen: dict[str, Any]) -> Any:  # noqa: ANN401 - a bound method
    """The same from a stream. What came before an error stays noted."""
    calls: dict[int, dict[str, str]] = {}
    for chunk in create(**request, stream=True):
        seen["usage"] = usage_of(chunk.usage) or seen["usage"]
        for choice in chunk.choices:
            delta = choice.delta
            seen["text"] += delta.content or ""
            seen["reasoning"] += (delta.model_extra or {}).get("reasoning_content") or ""
            seen["finish_reason"] = choice.finish_reason or seen["finish_reason"]
            for piece in delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += piece.id or ""
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
    seen["tool_calls"] = list(calls.values())
    return {
        "role": "assistant",
        "content": seen["text"] or None,
        "tool_calls": [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in calls.values()
        ],
    }


def run(task: dict[str, Any]) -> dict[str, Any]:
    client = openai.OpenAI(base_url=os.environ["LLMGW_BASE_URL"], api_key=task["api_key"], max_retries=0)
    create = client.chat.completions.create
    messages = messages_of(task)
    request: dict[str, Any] = {"model": task["model"], "messages": messages, "seed": task["seed"]}
    request |= {name: task[name] for name in ("tools", "stream_options") if name in task}
    request["extra_body"] = task["extra"]
    ask = streamed if task["stream"] else plain
    seen = blank(task)
    try:
        said = ask(create, request, seen)
        if "tool_result" in task:
            results = [
                {"role": "tool", "tool_call_id": call["id"], "content": task["tool_result"]}
                for call in seen["tool_calls"]
            ]
            after = blank(task)
            ask(create, {**request, "messages": [*messages, said, *results]}, after)
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
