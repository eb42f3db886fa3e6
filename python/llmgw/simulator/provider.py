"""What differs between simulated providers: models, thinking switch, refusals and wire format."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from llmgw.simulator.answer import ToolCall, compose, limit
from llmgw.simulator.completion import TextCompletions
from llmgw.simulator.model import JsonObject, Model, Refusal, RefusalError
from llmgw.simulator.native.api import NativeApi, NativeRequest
from llmgw.simulator.request import ChatRequest
from llmgw.simulator.retrieval import Retrieval
from llmgw.simulator.turn import Turn


class Provider(ABC):
    """One provider's dialect. Instances hold no state."""

    name: ClassVar[str]
    owner: ClassVar[str]
    """`owned_by` in the list of models."""
    models: ClassVar[tuple[Model, ...]]
    max_tokens_covers_reasoning: ClassVar[bool] = True
    limits: ClassVar[tuple[str, ...]] = ("max_completion_tokens", "max_tokens")
    """The fields that limit an answer, the first that is given; others are passed over."""
    waits_with_comments: ClassVar[bool] = False
    """True if the provider sends headers and comments while a request waits for its turn."""
    text_completions: ClassVar[TextCompletions | None] = None
    native: ClassVar[tuple[NativeApi, ...]] = ()
    """What other APIs it has."""
    retrieval: ClassVar[tuple[Retrieval, ...]] = ()
    """Its models for embeddings and rerank."""

    @property
    def api_key(self) -> str:
        """The key that is accepted; `sim-NAME-…` are too, and each is an account of its own (see `cache`)."""
        return f"sim-{self.name}"

    def model(self, request: ChatRequest) -> Model:
        """The model asked for. Raises RefusalError."""
        for model in self.models:
            if model.id == request.model:
                return model
        raise RefusalError(Refusal.MODEL_NOT_FOUND, f"The model `{request.model}` does not exist.")

    def answer(self, request: ChatRequest) -> Turn:
        """Take the request or refuse it. Raises RefusalError."""
        model = self._accepted(request)
        self.check_messages(request)
        return self._turn(request, model, self.question(request), thinking=self.thinking(request, model))

    def answer_natively(self, api: NativeApi, request: NativeRequest) -> Turn:
        """The same for one of its other APIs. Raises RefusalError."""
        model = self._accepted(request)
        return self._turn(request, model, request.question, thinking=api.thinking(request, model))

    def _accepted(self, request: ChatRequest) -> Model:
        refusal = request.simulation.refusal()
        if refusal is not None:
            raise refusal
        model = self.model(request)
        if request.images and not model.images:
            raise RefusalError(Refusal.INVALID_REQUEST, f"{model.id} takes text only, but an image was given")
        return model

    def _turn(self, request: ChatRequest, model: Model, question: str, *, thinking: bool) -> Turn:
        answers = tuple(
            limit(
                compose(request, model, thinking=thinking, question=question, choice=choice),
                request,
                covers_reasoning=self.max_tokens_covers_reasoning,
                fields=self.limits,
            )
            for choice in range(request.choices)
        )
        return Turn(request, model, thinking, answers)

    def question(self, request: ChatRequest) -> str:
        """The user's text without this provider's switch."""
        return request.question

    @abstractmethod
    def check_messages(self, request: ChatRequest) -> None:
        """Raises RefusalError for messages that the real provider would refuse."""

    @abstractmethod
    def thinking(self, request: ChatRequest, model: Model) -> bool:
        """Read this provider's own switch, and no other's. Raises RefusalError as the real provider would."""

    @abstractmethod
    def error(self, refusal: RefusalError, token: str) -> JsonObject:
        """The body of an error answer; `token` as in `Turn`."""

    @abstractmethod
    def chunks(self, turn: Turn) -> Iterator[JsonObject]:
        """The events of a stream, without `[DONE]`."""

    @abstractmethod
    def completion(self, turn: Turn) -> JsonObject:
        """The answer to a request without `stream`."""


def message(content: str, reasoning: JsonObject, calls: list[JsonObject]) -> JsonObject:
    """The assistant message of a plain answer, in the member order that most providers use."""
    said: JsonObject = {"role": "assistant", "content": content, **reasoning}
    if calls:
        said["tool_calls"] = calls
    return said


def tool_call(index: int, call_id: str, call: ToolCall) -> JsonObject:
    """A whole tool call."""
    return {
        "index": index,
        "id": call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
