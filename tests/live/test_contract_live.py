"""The endpoints of `docs/contract.md` and `docs/api.md` are those of a running gateway."""

import httpx
import pytest

from tests.support.chat import body
from tests.support.gateway import Gateway
from tests.support.pages import names, rows, section

PAGES = ["docs/contract.md", "docs/api.md"]
MODEL = "glm-5"


def listed(page: str) -> list[str]:
    return [name for cells in rows(section(page, "Endpoints")) for name in names(cells[0])]


def told(path: str, answer: httpx.Response) -> str:
    """The error's code. In Anthropic's shape, the code that its type stands for here."""
    error = answer.json()["error"]
    if not path.startswith("/v1/messages"):
        return str(error["code"])
    return {"invalid_request_error": "missing_field", "not_found_error": "not_found"}[error["type"]]


def test_both_pages_list_the_same_endpoints() -> None:
    contract, api = (listed(page) for page in PAGES)
    assert contract == api


@pytest.mark.parametrize("endpoint", listed(PAGES[0]))
def test_every_endpoint_answers(gateway: Gateway, endpoint: str) -> None:
    method, path = endpoint.split()
    content = b"{}" if method == "POST" else None
    url = path.replace("{id}", MODEL)
    if "{request_id}" in path:
        url = path.replace("{request_id}", gateway.post(body(MODEL)).headers["x-request-id"])
    answer = gateway.client.request(method, url, headers=gateway.headers(), content=content)
    if method == "POST":
        assert (answer.status_code, told(path, answer)) == (400, "missing_field")
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/messages/batches",
        "/v1/responses/compact",
        "/chat/completions",
        "/v1/chat",
    ],
)
def test_other_paths_do_not_exist(gateway: Gateway, path: str) -> None:
    assert path not in {endpoint.split()[1] for endpoint in listed(PAGES[0])}
    for method in ("GET", "POST"):
        answer = gateway.client.request(method, path, headers=gateway.headers())
        assert (answer.status_code, told(path, answer)) == (404, "not_found")
