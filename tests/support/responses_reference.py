"""A second implementation of the conversion of Responses bodies to chat bodies, from parsed JSON.

It is written from docs/contract.md and judges `ChatRequest.from_responses`: it builds objects where Rust
moves bytes. Only what is right in a body is its business; what is refused is tested row by row in Rust.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Final

Json = dict[str, Any]

NO_OUTPUT: Final = "No output: the call was not answered."
ELSEWHERE: Final = "The output is in the next user message."
HOW_TO_CALL: Final = "Call it with a JSON object whose one member, `input`, is the whole input as a string."
CALLS: Final = {"function_call", "custom_tool_call", "local_shell_call"}
OUTPUTS: Final = {f"{kind}_output" for kind in CALLS}
FUNCTION_NAME_BYTES: Final = 64
KINDS: Final = {"function": "Function", "custom": "Custom", "local_shell": "LocalShell"}


def compact(value: object) -> str:
    """JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Reference:
    """One body."""

    def __init__(self, body: Json) -> None:
        """Convert it."""
        self.body = {name: value for name, value in body.items() if value is not None}
        self.dropped: list[str] = []
        self.functions: dict[tuple[str, str | None, str], str] = {}
        self.taken: set[str] = set()
        self.own_names: dict[str, list[str]] = {}
        items = self.body["input"] if isinstance(self.body["input"], list) else []
        self.items = [
            {name: value for name, value in item.items() if value is not None} | _typed(item)
            for item in items
        ]
        self.tools = list(self._tools())
        self.messages = list(self._messages())

    def drop(self, kind: str) -> None:
        """Something of this kind is left out."""
        if kind not in self.dropped:
            self.dropped.append(kind)

    # Tools

    def _tools(self) -> Iterable[Json]:
        lists = [self.body.get("tools", [])]
        lists += [item["tools"] for item in self.items if item["type"] == "additional_tools"]
        for tool in (tool for tools in lists for tool in tools):
            if tool["type"] == "namespace":
                description = tool.get("description") or ""
                for nested in tool["tools"]:
                    function = self._tool(nested, tool["name"], description)
                    if function is not None:
                        description = ""
                        yield function
            else:
                function = self._tool(tool, None, "")
                if function is not None:
                    yield function

    def _tool(self, tool: Json, namespace: str | None, before: str) -> Json | None:
        kind = tool["type"]
        if kind not in KINDS or (kind == "local_shell" and namespace is not None):
            self.drop(f"tools.{kind}")
            return None
        name = tool.get("name", "local_shell")
        key = (kind, namespace, name)
        if key in self.functions:
            self.drop("tools.duplicate")
            return None
        function = flat(namespace, name)
        if function in self.taken:
            function = with_digest(function, kind, namespace, name)
        self.functions[key] = function
        self.taken.add(function)
        if namespace is not None:
            self.own_names.setdefault(name, []).append(function)
        return {"type": "function", "function": {"name": function, **_described(tool, before)}}

    def function_of(self, call: Json) -> str:
        """The function that a call was of."""
        kind = call["type"].removesuffix("_call").removesuffix("_tool")
        namespace = call.get("namespace") or None
        name = call.get("name", "local_shell")
        known = self.functions.get((kind, namespace, name))
        if known is not None:
            return known
        unqualified = self.own_names.get(name, [])
        if namespace is None and name not in self.taken and len(unqualified) == 1:
            return unqualified[0]
        return flat(namespace, name)

    # Messages

    def _messages(self) -> Iterable[Json]:
        if self.body.get("instructions"):
            yield {"role": "system", "content": self.body["instructions"]}
        if isinstance(self.body["input"], str):
            yield {"role": "user", "content": self.body["input"]}
        outputs = self._matched()
        turn: list[tuple[int, Json]] = []
        for at, item in enumerate(self.items):
            kind = item["type"]
            if kind in OUTPUTS:
                if at not in outputs.values():
                    self.drop(f"input.{kind}")
                    continue
                yield from self._turn(turn, outputs)
                turn = []
            elif kind == "message" and item["role"] != "assistant":
                yield from self._turn(turn, outputs)
                turn = []
                content = self._content(item["content"])
                if content is not None:
                    yield {"role": item["role"], "content": content}
            elif kind == "additional_tools":
                pass
            elif kind in CALLS or kind in {"message", "reasoning"}:
                turn.append((at, item))
            else:
                self.drop(f"input.{kind}")
        yield from self._turn(turn, outputs)

    def _matched(self) -> dict[int, int]:
        """Which item is the output of which call."""
        outputs: dict[int, int] = {}
        waiting: dict[str, tuple[int, list[int]]] = {}
        turn = 0
        for at, item in enumerate(self.items):
            kind = item["type"]
            if kind in CALLS:
                of_turn, calls = waiting.get(item["call_id"], (turn, []))
                waiting[item["call_id"]] = (turn, [*(calls if of_turn == turn else []), at])
            elif kind in OUTPUTS:
                turn += 1
                shell_id = item.get("id") if kind == "local_shell_call_output" else None
                call_id = item.get("call_id") or shell_id
                _, calls = (0, []) if call_id is None else waiting.get(call_id, (0, []))
                if calls:
                    outputs[calls.pop(0)] = at
            elif kind == "message" and item["role"] != "assistant":
                turn += 1
        return outputs

    def _turn(self, turn: list[tuple[int, Json]], outputs: dict[int, int]) -> Iterable[Json]:
        text = self._said(turn)
        calls = [(at, item) for at, item in turn if item["type"] in CALLS]
        thoughts = [item for _, item in turn if item["type"] == "reasoning"]
        if not text and not calls:
            if thoughts:
                self.drop("input.reasoning")
            return
        message: Json = {"role": "assistant", "content": text or None}
        reasoning = self._thought(thoughts)
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = [self._call(call) for _, call in calls]
        yield message
        media: list[Json] = []
        for at, call in calls:
            output = self.items[outputs[at]].get("output", "") if at in outputs else NO_OUTPUT
            parts = [] if isinstance(output, str) else self._media(output)
            text = self._text(output, "\n", others=False) or (ELSEWHERE if parts else "")
            yield {"role": "tool", "tool_call_id": call["call_id"], "content": text}
            if parts:
                media += [{"type": "text", "text": f"Output of the call {call['call_id']}:"}, *parts]
        if media:
            yield {"role": "user", "content": media}

    def _said(self, turn: list[tuple[int, Json]]) -> str:
        text, follows = "", False
        for _, item in turn:
            if item["type"] == "message":
                said = self._text(item["content"], "")
                text += ("\n" if follows and said else "") + said
                follows = follows or bool(said)
            else:
                follows = False
        return text

    def _thought(self, thoughts: list[Json]) -> str:
        reasoning = ""
        for item in thoughts:
            thought = self._text(item.get("content", []), "") or self._text(item.get("summary", []), "\n\n")
            if not thought:
                self.drop("input.reasoning")
            reasoning += ("\n" if reasoning and thought else "") + thought
        return reasoning

    def _call(self, call: Json) -> Json:
        if call["type"] == "custom_tool_call":
            arguments = compact({"input": call.get("input", "")})
        elif call["type"] == "local_shell_call":
            action = call.get("action", {})
            arguments = compact({k: v for k, v in action.items() if k != "type" and v is not None})
        else:
            given = call.get("arguments", "")
            arguments = (given if isinstance(given, str) else compact(given)) or "{}"
        function = {"name": self.function_of(call), "arguments": arguments}
        return {"id": call["call_id"], "type": "function", "function": function}

    # Content

    def _content(self, content: str | list[Json]) -> str | list[Json] | None:
        if isinstance(content, str):
            return content
        if not any(_is_text(part) for part in content) and not self._media(content):
            return None
        if not self._media(content):
            return self._text(content, "\n") or None
        parts: list[Json] = []
        for part in content:
            parts += [{"type": "text", "text": part["text"]}] if _is_text(part) else self._media([part])
        return parts

    def _text(self, content: str | list[Json], separator: str, *, others: bool = True) -> str:
        if isinstance(content, str):
            return content
        for part in content:
            if not _is_text(part) and (others or not self._media([part])):
                self._media([part])
                if others and self._media([part]):
                    self.drop(f"content.{part['type']}")
        return separator.join(
            str(part.get("text", part.get("refusal"))) for part in content if _is_text(part)
        )

    def _media(self, content: list[Json]) -> list[Json]:
        media: list[Json] = []
        for part in content:
            kind = part["type"]
            if kind == "input_image" and part.get("image_url"):
                image = {"url": part["image_url"]}
                if part.get("detail"):
                    image["detail"] = "high" if part["detail"] == "original" else part["detail"]
                media.append({"type": "image_url", "image_url": image})
            elif kind == "input_image":
                self.drop("content.input_image.file_id")
            elif kind == "input_audio":
                media.append({"type": "input_audio", "input_audio": part["input_audio"]})
            elif kind == "input_file" and (part.get("file_data") or part.get("file_id")):
                names = ("file_data", "filename", "file_id")
                media.append({"type": "file", "file": {n: part[n] for n in names if part.get(n) is not None}})
            elif kind == "input_file":
                self.drop("content.input_file.file_url")
            elif not _is_text(part):
                self.drop(f"content.{kind}")
        return media


def _described(tool: Json, before: str) -> Json:
    """What a tool's function says beside its name. A `local_shell` is not looked at."""
    if tool["type"] == "local_shell":
        return {}
    texts = [before, tool.get("description") or ""]
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    if tool["type"] == "custom":
        texts.append(HOW_TO_CALL)
        grammar = tool.get("format") or {}
        if "definition" in grammar:
            rule = f"Its input must match this grammar ({grammar['syntax']}):\n{grammar['definition']}"
            texts.append(rule)
        parameters = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
            "additionalProperties": False,
        }
    described: Json = {"parameters": parameters}
    if any(texts):
        described["description"] = "\n\n".join(text for text in texts if text)
    if tool["type"] == "function" and tool.get("strict"):
        described["strict"] = True
    return described


def _typed(item: Json) -> Json:
    return {} if item.get("type") else {"type": "message"}


def _is_text(part: Json) -> bool:
    return part["type"] in {"input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal"}


def flat(namespace: str | None, name: str) -> str:
    """The function of a tool, as long as no other has that name."""
    if namespace is None:
        return name
    whole = namespace + ("" if namespace.endswith("__") else "__") + name
    mended = re.sub(r"[^A-Za-z0-9_-]", "_", whole)
    if mended == whole and len(whole) <= FUNCTION_NAME_BYTES:
        return whole
    return with_digest(mended, "function", namespace, name)


def with_digest(function: str, kind: str, namespace: str | None, name: str) -> str:
    """A name that no other tool gets."""
    digest = hashlib.sha256("".join(f"{part}\0" for part in (KINDS[kind], namespace or "", name)).encode())
    begin = function.encode()[: FUNCTION_NAME_BYTES - 9].decode(errors="ignore")
    return f"{begin}_{digest.hexdigest()[:8]}"
