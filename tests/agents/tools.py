"""What each agent calls the tools that the tasks need, and how their arguments are worded."""

from collections.abc import Callable, Mapping
from pathlib import Path

from llmgw.simulator.model import JsonObject
from tests.agents.script import Action, Edit, Look, Read, Run

Worded = tuple[str, JsonObject]
"""A tool's name and its arguments."""
Wording = Callable[[Action, Path], Worded]
"""For an action in the agent's folder."""


def claude_code(action: Action, folder: Path) -> Worded:
    """Absolute paths; a file is read before it is edited; `Read` shows pictures too."""
    match action:
        case Read(path) | Look(path):
            return "Read", {"file_path": str(folder / path)}
        case Edit(path, old, new):
            return "Edit", {"file_path": str(folder / path), "old_string": old, "new_string": new}
        case Run(command):
            return "Bash", {"command": command, "description": "Run what the task asks for"}


def codex(action: Action, folder: Path) -> Worded:
    """The shell reads files; `apply_patch` edits them, a custom tool, whose input is text and not JSON."""
    match action:
        case Read(path):
            return "exec_command", {"cmd": f"cat {path}"}
        case Edit(path, old, new):
            lines = (f"*** Update File: {path}", "@@", f"-{old}", f"+{new}")
            return "apply_patch", {"input": "\n".join(("*** Begin Patch", *lines, "*** End Patch", ""))}
        case Run(command):
            return "exec_command", {"cmd": command}
        case Look(path):
            return "view_image", {"path": str(folder / path)}


def qwen_code(action: Action, folder: Path) -> Worded:
    """Absolute paths."""
    match action:
        case Read(path) | Look(path):
            return "read_file", {"file_path": str(folder / path)}
        case Edit(path, old, new):
            return "edit", {"file_path": str(folder / path), "old_string": old, "new_string": new}
        case Run(command):
            # It may see a process end before it has read what it printed, so the process stays a little.
            return "run_shell_command", {"command": f"{command}; sleep 0.3", "is_background": False}


def opencode(action: Action, folder: Path) -> Worded:
    """Absolute paths, in names with humps."""
    match action:
        case Read(path) | Look(path):
            return "read", {"filePath": str(folder / path)}
        case Edit(path, old, new):
            return "edit", {"filePath": str(folder / path), "oldString": old, "newString": new}
        case Run(command):
            return "bash", {"command": command}


def pi(action: Action, folder: Path) -> Worded:
    """Edits are a list."""
    match action:
        case Read(path) | Look(path):
            return "read", {"path": str(folder / path)}
        case Edit(path, old, new):
            return "edit", {"path": str(folder / path), "edits": [{"oldText": old, "newText": new}]}
        case Run(command):
            return "bash", {"command": command}


def continue_cli(action: Action, folder: Path) -> Worded:
    """Edits are a list, for most models; `as_offered` knows the others."""
    match action:
        case Read(path) | Look(path):
            return "Read", {"filepath": str(folder / path)}
        case Edit(path, old, new):
            edits = [{"old_string": old, "new_string": new}]
            return "MultiEdit", {"file_path": str(folder / path), "edits": edits}
        case Run(command):
            return "Bash", {"command": command}


def copilot(action: Action, folder: Path) -> Worded:
    """`view` shows pictures too."""
    match action:
        case Read(path) | Look(path):
            return "view", {"path": str(folder / path)}
        case Edit(path, old, new):
            return "edit", {"path": str(folder / path), "old_str": old, "new_str": new}
        case Run(command):
            return "bash", {"command": command, "description": "Run what the task asks for"}


def kimi_code(action: Action, folder: Path) -> Worded:
    """Pictures have a tool of their own, which is offered for models that take them."""
    match action:
        case Read(path):
            return "Read", {"path": str(folder / path)}
        case Edit(path, old, new):
            return "Edit", {"path": str(folder / path), "old_string": old, "new_string": new}
        case Run(command):
            return "Bash", {"command": command}
        case Look(path):
            return "ReadMediaFile", {"path": str(folder / path)}


def as_offered(worded: Worded, offered: Mapping[str, JsonObject]) -> Worded:
    """The same call by another tool, where an agent offers not the usual one to some models."""
    name, arguments = worded
    if name == "MultiEdit" and name not in offered:
        [edit] = arguments["edits"]
        return "Edit", {"file_path": arguments["file_path"], **edit}
    return worded


def fault(worded: Worded, offered: Mapping[str, JsonObject]) -> str | None:
    """What is wrong with a call of tools that are offered so: it would be the script's fault."""
    name, arguments = worded
    if name not in offered:
        return f"the agent offers no tool {name!r}, but {sorted(offered)}"
    schema = offered[name].get("parameters")
    known = schema.get("properties", {}) if isinstance(schema, dict) else {}
    required = schema.get("required", []) if isinstance(schema, dict) else []
    if missing := set(required) - set(arguments):
        return f"{name} also wants {sorted(missing)}"
    if unknown := set(arguments) - set(known):
        return f"{name} does not know {sorted(unknown)}, but {sorted(known)}"
    return None
