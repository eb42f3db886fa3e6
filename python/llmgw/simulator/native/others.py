"""Messages of Kimi, GLM and Qwen: each has its own switch and signs nothing that anybody checks."""

from typing import ClassVar

from llmgw.simulator.model import Model, Refusal, RefusalError, Thinking
from llmgw.simulator.native.api import NativeRequest
from llmgw.simulator.native.messages import Messages, answers_without_thinking, thinking_type
from llmgw.simulator.turn import Turn


class KimiMessages(Messages):
    """`thinking` enabled or disabled, on by default; tool calls must bring their thinking back."""

    paths: ClassVar[tuple[str, ...]] = ("anthropic/v1/messages",)

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """On, unless it is switched off and can be."""
        thinking = thinking_type(request.native) != "disabled" or model.thinking is Thinking.ALWAYS
        lost = answers_without_thinking(request.native, calls_only=True)
        if thinking and lost:
            raise RefusalError(
                Refusal.INVALID_REQUEST,
                "thinking is enabled but reasoning_content is missing "
                f"in assistant tool call message at index {lost[0]}",
            )
        return thinking

    def signature(self, turn: Turn) -> str:
        """Empty."""
        del turn
        return ""


class GlmMessages(Messages):
    """`thinking` enabled or disabled, on by default."""

    paths: ClassVar[tuple[str, ...]] = ("anthropic/v1/messages",)

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """Some models refuse `disabled`."""
        kind = thinking_type(request.native)
        if model.thinking is Thinking.ALWAYS and kind == "disabled":
            raise RefusalError(Refusal.INVALID_REQUEST, "thinking cannot be disabled", code="1210")
        return kind != "disabled"

    def signature(self, turn: Turn) -> str:
        """Digits that mean nothing."""
        return turn.token[:24]


class QwenMessages(Messages):
    """`thinking` enabled, or off where the model does not always think."""

    paths: ClassVar[tuple[str, ...]] = ("apps/anthropic/v1/messages",)

    def thinking(self, request: NativeRequest, model: Model) -> bool:
        """What the model does by itself, unless it is told."""
        kind = thinking_type(request.native)
        if kind is None:
            return model.thinking is not Thinking.OFF
        return kind != "disabled" or model.thinking is Thinking.ALWAYS

    def signature(self, turn: Turn) -> str:
        """Empty."""
        del turn
        return ""
