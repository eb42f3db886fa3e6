"""OpenAI's Responses, as the providers have it: items in, items out.

Each event has the next `sequence_number`; each item is announced, told in deltas, and repeated whole when it
is done. Reasoning is an item of its own, as a summary or as `reasoning_text`: the providers differ.
"""

import json
from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from typing import ClassVar, Literal

from llmgw.simulator.model import JsonObject, Refusal, RefusalError
from llmgw.simulator.native.api import NativeApi, NativeRequest, event, objects
from llmgw.simulator.turn import CallArguments, CallStart, Content, Finish, Piece, Reasoning, Turn

_RAW_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Responses(NativeApi):
    """What the providers' Responses have in common."""

    reasons_in: ClassVar[Literal["summary", "content"]]
    """The member of a `reasoning` item that has the text."""

    @abstractmethod
    def response_id(self, turn: Turn) -> str:
        """The answer's id."""

    def unknown_role(self, index: int, role: str) -> RefusalError:
        """How a role that the API does not have is refused."""
        return RefusalError(Refusal.INVALID_REQUEST, f"Invalid value: '{role}' at input[{index}].role")

    def read(self, body: JsonObject, chat: JsonObject) -> list[JsonObject]:
        """`input` is a text or items; items of a type that is not known are ignored."""
        _settings(body, chat)
        messages: list[JsonObject] = []
        if isinstance(body.get("instructions"), str):
            messages.append({"role": "system", "content": body["instructions"]})
        given = body.get("input")
        if isinstance(given, str) and given:
            messages.append({"role": "user", "content": given})
        elif isinstance(given, list) and given:
            for index, item in enumerate(objects(given)):
                messages.extend(self._item(index, item))
        else:
            raise RefusalError(Refusal.INVALID_REQUEST, "input must be a text or a list of items")
        return messages

    def _item(self, index: int, item: JsonObject) -> Iterator[JsonObject]:
        kind = item.get("type", "message")
        if kind == "message":
            role = str(item.get("role"))
            if role not in ("user", "assistant", "system", "developer"):
                raise self.unknown_role(index, role)
            yield {"role": role, "content": _content(item.get("content"))}
        elif kind in ("function_call", "custom_tool_call"):
            call = {"id": item.get("call_id"), "type": "function"}
            yield {"role": "assistant", "content": None, "tool_calls": [call]}
        elif kind in ("function_call_output", "custom_tool_call_output"):
            output = _content(item.get("output"))
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": output}

    def events(self, turn: Turn) -> Iterator[bytes]:
        """Announced, in progress, the items, completed; or incomplete where a limit ended it."""
        numbers = count()

        def numbered(kind: str, **members: object) -> bytes:
            return event({"type": kind, "sequence_number": next(numbers), **members})

        response = self._response(turn, [], "in_progress", None)
        yield numbered("response.created", response=response)
        yield numbered("response.in_progress", response=response)
        writer = _Items(self, turn)
        for _, piece in turn.pieces():
            for kind, members in writer.write(piece):
                yield numbered(kind, **members)
        finish = turn.answers[0].finish_reason
        status = "incomplete" if finish == "length" else "completed"
        yield numbered(f"response.{status}", response=self._response(turn, writer.done, status, turn))

    def whole(self, turn: Turn) -> JsonObject:
        """One `response`."""
        writer = _Items(self, turn)
        for _, piece in turn.pieces():
            for _ in writer.write(piece):
                pass
        status = "incomplete" if turn.answers[0].finish_reason == "length" else "completed"
        return self._response(turn, writer.done, status, turn)

    def broken(self, turn: Turn, refusal: RefusalError, sent: int) -> bytes:
        """`response.failed`."""
        failed = self._response(turn, [], "failed", None)
        failed["error"] = {"code": "server_error", "message": refusal.message}
        return event({"type": "response.failed", "sequence_number": sent, "response": failed})

    def _response(self, turn: Turn, output: list[JsonObject], status: str, usage: Turn | None) -> JsonObject:
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            "id": self.response_id(turn),
            "object": "response",
            "created_at": turn.created_s,
            "status": status,
            "error": None,
            "incomplete_details": cut,
            "model": turn.model.id,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": _usage(usage) if usage else None,
        }


class _Items:
    """The items of one answer, as they come."""

    def __init__(self, api: Responses, turn: Turn) -> None:
        self.done: list[JsonObject] = []
        self._api = api
        self._turn = turn
        self._open: JsonObject | None = None
        self._kind: type | None = None
        tools = objects(turn.request.native.get("tools")) if isinstance(turn.request, NativeRequest) else []
        self._custom = {tool.get("name") for tool in tools if tool.get("type") == "custom"}

    def write(self, piece: Piece) -> Iterator[tuple[str, JsonObject]]:
        """The events of a piece: type and members."""
        kind = CallStart if isinstance(piece, CallArguments) else type(piece)
        if self._open is not None and (kind is not self._kind or isinstance(piece, CallStart)):
            yield from self._close()
        if isinstance(piece, Finish):
            return
        if self._open is None:
            self._kind = kind
            yield from self._begin(piece)
        yield from self._more(piece)

    @property
    def _at(self) -> JsonObject:
        assert self._open is not None  # noqa: S101 - the caller has opened one
        return {"item_id": self._open["id"], "output_index": len(self.done)}

    def _begin(self, piece: Piece) -> Iterator[tuple[str, JsonObject]]:
        self._open = self._new(piece)
        yield "response.output_item.added", {"output_index": len(self.done), "item": dict(self._open)}
        if isinstance(piece, Content):
            part: JsonObject = {"type": "output_text", "text": "", "annotations": []}
            yield "response.content_part.added", {**self._at, "content_index": 0, "part": part}
        elif isinstance(piece, Reasoning) and self._api.reasons_in == "summary":
            part = {"type": "summary_text", "text": ""}
            yield "response.reasoning_summary_part.added", {**self._at, "summary_index": 0, "part": part}

    def _new(self, piece: Piece) -> JsonObject:
        token, number = self._turn.token[:24], len(self.done)
        match piece:
            case Reasoning():
                return {"type": "reasoning", "id": f"rs_{token}{number:02}", "summary": []}
            case CallStart(index, call):
                shared = {"status": "in_progress", "call_id": f"call_{token[:20]}{index:02}"}
                if call.name in self._custom:
                    return {
                        "type": "custom_tool_call",
                        "id": f"ctc_{token}{number:02}",
                        "name": call.name,
                        "input": "",
                        **shared,
                    }
                return {
                    "type": "function_call",
                    "id": f"fc_{token}{number:02}",
                    "name": call.name,
                    "arguments": "",
                    **shared,
                }
        said = {"role": "assistant", "status": "in_progress", "content": []}
        return {"type": "message", "id": f"msg_{token}{number:02}", **said}

    def _more(self, piece: Piece) -> Iterator[tuple[str, JsonObject]]:
        match piece:
            case Reasoning(text) if self._api.reasons_in == "summary":
                yield "response.reasoning_summary_text.delta", {**self._at, "summary_index": 0, "delta": text}
            case Reasoning(text):
                yield "response.reasoning_text.delta", {**self._at, "content_index": 0, "delta": text}
            case Content(text):
                more = {"content_index": 0, "delta": text, "logprobs": []}
                yield "response.output_text.delta", {**self._at, **more}
            case CallArguments(_, text) if self._open and self._open["type"] == "function_call":
                yield "response.function_call_arguments.delta", {**self._at, "delta": text}

    def _close(self) -> Iterator[tuple[str, JsonObject]]:
        assert self._open is not None  # noqa: S101 - the caller has asked
        answer, item, at = self._turn.answers[0], self._open, self._at
        match item["type"]:
            case "reasoning" if self._api.reasons_in == "summary":
                part: JsonObject = {"type": "summary_text", "text": answer.reasoning}
                item["summary"] = [part]
                told = {**at, "summary_index": 0}
                yield "response.reasoning_summary_text.done", {**told, "text": answer.reasoning}
                yield "response.reasoning_summary_part.done", {**told, "part": part}
            case "reasoning":
                item["content"] = [{"type": "reasoning_text", "text": answer.reasoning}]
                yield "response.reasoning_text.done", {**at, "content_index": 0, "text": answer.reasoning}
            case "message":
                part = {"type": "output_text", "text": answer.content, "annotations": []}
                item.update(content=[part], status="completed")
                told = {**at, "content_index": 0}
                yield "response.output_text.done", {**told, "text": answer.content, "logprobs": []}
                yield "response.content_part.done", {**told, "part": part}
            case _:
                yield from self._called(item, at)
        yield "response.output_item.done", {"output_index": at["output_index"], "item": item}
        self.done.append(item)
        self._open = None

    def _called(self, item: JsonObject, at: JsonObject) -> Iterator[tuple[str, JsonObject]]:
        number = sum(each["type"].endswith("_call") for each in self.done)
        call = self._turn.answers[0].tool_calls[number]
        item["status"] = "completed"
        if item["type"] == "custom_tool_call":
            item["input"] = str(json.loads(call.arguments).get("input", ""))
            yield "response.custom_tool_call_input.delta", {**at, "delta": item["input"]}
            yield "response.custom_tool_call_input.done", {**at, "input": item["input"]}
        else:
            item["arguments"] = call.arguments
            yield "response.function_call_arguments.done", {**at, "arguments": call.arguments}


def effort(body: JsonObject) -> object:
    """`reasoning.effort`; None if there is none."""
    reasoning = body.get("reasoning")
    return reasoning.get("effort") if isinstance(reasoning, dict) else None


def answers_without_reasoning(body: JsonObject) -> list[int]:
    """Indices of items that begin an answer of the model without a `reasoning` item that has a text."""
    found, has_reasoning, inside = [], False, False
    for index, item in enumerate(objects(body.get("input"))):
        kind = item.get("type", "message")
        if kind == "reasoning":
            has_reasoning, inside = any(part.get("text") for part in objects(item.get("content"))), False
        elif kind in ("function_call", "custom_tool_call") or item.get("role") == "assistant":
            if not inside and not has_reasoning:
                found.append(index)
            inside = True
        else:
            has_reasoning = inside = False
    return found


def _settings(body: JsonObject, chat: JsonObject) -> None:
    if isinstance(body.get("max_output_tokens"), int):
        chat["max_tokens"] = body["max_output_tokens"]
    if effort(body) is not None:
        chat["reasoning_effort"] = effort(body)
    tools = [tool for tool in objects(body.get("tools")) if tool.get("type") in ("function", "custom")]
    chat["tools"] = [
        {"function": {"name": tool.get("name"), "parameters": tool.get("parameters") or _RAW_INPUT}}
        for tool in tools
    ]
    choice = body.get("tool_choice", "auto")
    chat["tool_choice"] = {"function": choice} if isinstance(choice, dict) else choice
    if "parallel_tool_calls" in body:
        chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, dict) else None
    if isinstance(wanted, dict):
        chat["response_format"] = {"type": wanted.get("type"), "json_schema": wanted}


def _content(content: object) -> str | list[JsonObject]:
    if isinstance(content, str):
        return content
    parts = []
    for part in objects(content):
        if part.get("type") == "input_image":
            parts.append({"type": "image_url", "image_url": {"url": part.get("image_url")}})
        elif part.get("type") in ("input_text", "output_text", "text"):
            parts.append({"type": "text", "text": part.get("text", "")})
    return parts


def _usage(turn: Turn) -> JsonObject:
    return {
        "input_tokens": turn.prompt_tokens,
        "input_tokens_details": {"cached_tokens": turn.cached_tokens},
        "output_tokens": turn.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
        "total_tokens": turn.prompt_tokens + turn.completion_tokens,
    }
