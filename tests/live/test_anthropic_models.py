"""`/v1/models` as Anthropic's clients know it, with Anthropic's own SDK."""

from datetime import UTC, datetime

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import ModelInfo

from llmgw.simulator import MODELS
from tests.support.gateway import MORE_MODELS, Gateway

IDS = [model.id for model in MODELS] + [model.id for model in MORE_MODELS]


def test_all_models(anthropic_client: Anthropic, gateway: Gateway) -> None:
    page = anthropic_client.models.list()
    assert [model.id for model in page] == IDS
    assert (page.has_more, page.first_id, page.last_id) == (False, IDS[0], IDS[-1])
    created_s = {model["created"] for model in gateway.get("/v1/models").json()["data"]}
    for model in page:
        ModelInfo.model_validate(model.to_dict())
        assert (model.type, model.display_name, model.lifecycle) == ("model", model.id, "active")
        assert {int(model.created_at.timestamp())} == created_s
        assert model.created_at <= datetime.now(UTC)
    windows = {model.id: model.context_window for model in MODELS}
    assert {model.id: model.max_input_tokens for model in page if model.id in windows} == windows


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_page_by_page(anthropic_client: Anthropic, limit: int) -> None:
    pages = list(anthropic_client.models.list(limit=limit).iter_pages())
    assert [model.id for page in pages for model in page.data] == IDS
    assert all(len(page.data) <= limit for page in pages)
    assert len(pages) == -(-len(IDS) // limit)


def test_backwards(anthropic_client: Anthropic) -> None:
    pages = list(anthropic_client.models.list(limit=5, before_id=IDS[7]).iter_pages())
    assert [[model.id for model in page.data] for page in pages] == [IDS[2:7], IDS[:2]]


@pytest.mark.parametrize("model_id", ["glm-5", "vendor/team/kimi"])
def test_one_model(anthropic_client: Anthropic, model_id: str) -> None:
    listed = {model.id: model for model in anthropic_client.models.list()}
    assert anthropic_client.models.retrieve(model_id) == listed[model_id]


def test_what_the_key_may_not_use_is_not_there(gateway: Gateway, anthropic_client: Anthropic) -> None:
    client = anthropic_client.with_options(api_key=gateway.new_key(models=["glm-5", "kimi-k2.6"]))
    assert [model.id for model in client.models.list()] == [
        model_id for model_id in IDS if model_id in {"glm-5", "kimi-k2.6"}
    ]
    with pytest.raises(anthropic.PermissionDeniedError):
        client.models.retrieve("qwen3-max")
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.models.list(after_id="qwen3-max")
    assert "after_id" in str(caught.value)
    assert [model.id for model in client.models.list(limit=1, after_id="glm-5").data] in (
        [],
        ["kimi-k2.6"],
    )


@pytest.mark.parametrize("key", ["sk-ant-api03-x", "sk-gtw-" + "x" * 32])
def test_a_wrong_key_is_the_sdk_s_own_error(anthropic_client: Anthropic, gateway: Gateway, key: str) -> None:
    with pytest.raises(anthropic.AuthenticationError) as caught:
        anthropic_client.with_options(api_key=key).models.list()
    assert caught.value.type == "authentication_error"
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert gateway.key not in str(caught.value)
