"""Request bodies that tests send."""

import uuid
from typing import Any

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "The time in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAAC"
    "klEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
URL = "https://example.com/picture.jpg"


def mark() -> str:
    """A text that stands in one request only, so that the upstream's record of it can be found."""
    return f"mark-{uuid.uuid4().hex}"


def body(model: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A minimal request."""
    return {"model": model, "messages": HELLO, **more}


def streamed(model: str, *, include_usage: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON values
    """A minimal request for a stream."""
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    return body(model, stream=True, **options, **more)


def pictures(*urls: str) -> list[Any]:
    """A user message with text and images."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "What is in these?"}, *parts]}]


def for_any_api(path: str, model: str) -> dict[str, Any]:
    """A request that has what the API of a path wants, and nothing else."""
    wanted: dict[str, dict[str, Any]] = {
        "/v1/completions": {"prompt": "Hi"},
        "/v1/responses": {"input": "Hi"},
        "/v1/embeddings": {"input": "Hi"},
        "/v1/rerank": {"query": "Hi", "documents": ["Hi"]},
    }
    return {"model": model, **wanted.get(path, {"messages": HELLO, "max_tokens": 5})}
