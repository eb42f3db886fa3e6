"""`GET /v1/models` and `/v1/model-catalog`, and one model of each. Only what the key may use.

`/v1/models` is both OpenAI's and Anthropic's, each of which has its own shape for it.
"""

from typing import Final

from llmgw.access.key import Key
from llmgw.asgi.request import Fields
from llmgw.endpoints.page import page_of
from llmgw.endpoints.shapes import ANTHROPIC_PATHS, asks_anthropic_for_models, is_below
from llmgw.errors import ApiError
from llmgw.gateway import Gateway

MODELS: Final = "/v1/models"
MODEL_CATALOG: Final = "/v1/model-catalog"


def look_up(gateway: Gateway, path: str, key: Key, *, query: bytes, fields: Fields) -> bytes:
    """The JSON for a path. Ids may contain slashes.

    Raises ApiError: `not_found`, as `Router.resolve`, as `page_of`.
    """
    catalog = gateway.catalog
    for_anthropic = asks_anthropic_for_models(path, fields)
    if path == MODELS:
        return (
            catalog.anthropic_models(*page_of(catalog.ids(key), query))
            if for_anthropic
            else catalog.models(key)
        )
    if path == MODEL_CATALOG:
        return catalog.entries(key)
    collection, model_id = _split(path)
    model = gateway.router.resolve(model_id, key)
    if for_anthropic:
        return catalog.anthropic_model(model.id)
    return catalog.model(model.id) if collection == MODELS else catalog.entry(model.id)


def _split(path: str) -> tuple[str, str]:
    for collection in (MODELS, MODEL_CATALOG):
        if path.startswith(f"{collection}/") and len(path) > len(collection) + 1:
            return collection, path[len(collection) + 1 :]
    is_anthropic = is_below(path, ANTHROPIC_PATHS)
    where = "Messages are at POST /v1/messages." if is_anthropic else _COMPLETIONS
    raise ApiError("not_found", f"{_not_served(path)} {where}")


_COMPLETIONS: Final = "Completions are at POST /v1/chat/completions."
_APIS: Final = {
    "/v1/responses/compact": "compaction of responses",
    "/v1/responses": "stored responses",
    "/v1/messages/batches": "batches of messages",
    "/v1/images": "images",
    "/v1/audio": "audio",
    "/v1/files": "files",
    "/v1/batches": "batches",
}
"""What clients ask for that this version does not have. The first one that fits is named."""


def _not_served(path: str) -> str:
    for known, api in _APIS.items():
        if is_below(path, known):
            return f"This version of the gateway does not serve {api} ({known})."
    return "There is no such path."
