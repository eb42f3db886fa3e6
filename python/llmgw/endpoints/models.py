"""`GET /v1/models` and `/v1/model-catalog`, and one model of each. Only what the key may use."""

from typing import Final

from llmgw.access.key import Key
from llmgw.errors import ApiError
from llmgw.gateway import Gateway

MODELS: Final = "/v1/models"
MODEL_CATALOG: Final = "/v1/model-catalog"


def look_up(gateway: Gateway, path: str, key: Key) -> bytes:
    """The JSON for a path. Ids may contain slashes. Raises ApiError: `not_found`, as `Router.resolve`."""
    catalog = gateway.catalog
    if path == MODELS:
        return catalog.models(key)
    if path == MODEL_CATALOG:
        return catalog.entries(key)
    collection, model_id = _split(path)
    model = gateway.router.resolve(model_id, key)
    return catalog.model(model.id) if collection == MODELS else catalog.entry(model.id)


def _split(path: str) -> tuple[str, str]:
    for collection in (MODELS, MODEL_CATALOG):
        if path.startswith(f"{collection}/") and len(path) > len(collection) + 1:
            return collection, path[len(collection) + 1 :]
    raise ApiError("not_found", f"{_not_served(path)} Completions are at POST /v1/chat/completions.")


_APIS: Final = {
    "/v1/responses": "OpenAI's Responses API",
    "/v1/messages": "Anthropic's Messages API",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
    "/v1/images": "images",
    "/v1/audio": "audio",
    "/v1/files": "files",
    "/v1/batches": "batches",
}
"""What clients ask for that this version does not have."""


def _not_served(path: str) -> str:
    for known, api in _APIS.items():
        if path == known or path.startswith(f"{known}/"):
            return f"This version of the gateway does not serve {api} ({known})."
    return "There is no such path."
