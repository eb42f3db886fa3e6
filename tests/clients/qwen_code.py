"""Qwen Code, a terminal agent, in its non-interactive mode: one process for each line that comes on stdin.

It writes its own prompts, so what it asked is known from what the provider received: each request carries the
case's name (`x_mark`). It streams always, chooses among its own tools and runs them itself.

Arguments: the interpreter of JavaScript and the agent's program. `LLMGW_BASE_URL` says where the gateway is.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

NODE, PROGRAM = sys.argv[1:]
RUN_TIMEOUT_S = 90.0
AT_ONCE = 2
TOOLS = ("read_file", "get_goal")
"""Tools without side effects. The provider calls all that it is offered where the word `parallel` occurs."""
SETTINGS = {
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "security": {"auth": {"selectedType": "openai"}},
    "telemetry": {"enabled": False},
}
OTHER_TOOLS = (
    "agent,cron_create,cron_delete,cron_list,edit,enter_worktree,exit_worktree,glob,grep_search,list_agents,"
    "list_directory,loop_wakeup,notebook_edit,read_mcp_resource,record_artifact,report_findings,"
    "run_shell_command,save_memory,send_message,skill,task_stop,todo_write,tool_call,tool_search,update_goal,"
    "web_fetch,write_file,zoom_image"
)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Ask the agent once."""
    extra: dict[str, Any] = {"seed": task["seed"], "x_mark": task["name"], **task["extra"]}
    if "tools" not in task:
        extra["tool_choice"] = "none"
    offered = TOOLS[: len(task.get("tools", ()))]
    settings = SETTINGS | {
        "model": {"generationConfig": {"maxRetries": 0, "extra_body": extra}},
        "tools": {"core": list(offered) or list(TOOLS)},
    }
    with tempfile.TemporaryDirectory(prefix="llmgw-qwen-code-") as home:
        (Path(home) / ".qwen").mkdir()
        (Path(home) / ".qwen" / "settings.json").write_text(json.dumps(settings), "utf-8")
        prompt = task["prompt"]
        if "image" in task:
            (Path(home) / "picture.png").write_bytes(base64.b64decode(task["image"].split(",")[1]))
            prompt = f"{prompt} @picture.png"
        excluded = ",".join((OTHER_TOOLS, *TOOLS[len(offered) :])) if offered else OTHER_TOOLS
        done = subprocess.run(
            [
                NODE, PROGRAM, "--prompt", prompt, "--model", task["model"], "--output-format", "stream-json",
                "--approval-mode", "default", "--safe-mode", "--system-prompt", "You are under test.",
                "--exclude-tools", excluded,
            ],
            cwd=home,
            env={
                **os.environ,
                "HOME": home,
                "OPENAI_API_KEY": task["api_key"],
                "OPENAI_BASE_URL": os.environ["LLMGW_BASE_URL"],
                "OPENAI_MODEL": task["model"],
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=RUN_TIMEOUT_S,
            check=False,
        )  # fmt: skip
    if "not loopback" in done.stderr:
        raise RuntimeError(done.stderr)
    return note(task, [json.loads(line) for line in done.stdout.splitlines()])


def note(task: dict[str, Any], events: list[dict[str, Any]]) -> dict[str, Any]:
    """The events of one run as what was seen: the first turn, and the text of the last."""
    turns: list[dict[str, Any]] = [blank()]
    retries = 0
    for event in events:
        if event["type"] == "user":  # a tool's result
            if turns[-1] != blank():
                turns.append(blank())
        elif event["type"] == "assistant":
            note_message(turns[-1], event["message"])
        elif event.get("subtype") == "retry":
            retries += 1
    first, last = turns[0], turns[-1]
    seen = {"name": task["name"], "error": None, **first}
    if len(turns) > 1:
        seen["text_after_tools"] = last["text"]
    result = events[-1] if events else {}
    if result.get("type") != "result":
        raise RuntimeError(f"the last event is no result: {result}")
    if result["is_error"]:
        message = result["error"]["message"]
        status = re.match(r"\[API Error: (\d{3}) ", message)
        seen["error"] = {"status": int(status[1]) if status else None, "message": message}
        # It tries a broken stream again by itself, and each try says the same here.
        text = seen["text"].removesuffix(message)
        part = text[: len(text) // (retries + 1)]
        seen["text"] = part if part * (retries + 1) == text else text
    return seen


def note_message(turn: dict[str, Any], message: dict[str, Any]) -> None:
    for block in message["content"]:
        if block["type"] == "text":
            turn["text"] += block["text"]
        elif block["type"] == "thinking":
            turn["reasoning"] += block["thinking"]
        elif block["type"] == "tool_use":
            turn["tool_calls"].append({"id": block["id"], "name": block["name"], "arguments": block["input"]})
    usage = message["usage"]
    if "total_tokens" in usage:
        turn["usage"] = {
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        }


def blank() -> dict[str, Any]:
    return {"text": "", "reasoning": "", "tool_calls": [], "usage": None}


with ThreadPoolExecutor(AT_ONCE) as pool:
    for seen in pool.map(run, map(json.loads, sys.stdin)):
        print(json.dumps(seen), flush=True)
