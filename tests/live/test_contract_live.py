"""The endpoints of `docs/contract.md` and `docs/api.md` are those of a running gateway."""

import pytest

from tests.support.gateway import Gateway
from tests.support.pages import names, rows, section

PAGES = ["docs/contract.md", "docs/api.md"]
MODEL = "glm-5"


def listed(page: str) -> list[str]:
    return [name for cells in rows(section(page, "Endpoints")) for name in names(cells[0])]


def test_both_pages_list_the_same_endpoints() -> None:
    contract, api = (listed(page) for page in PAGES)
    assert contract == api


@pytest.mark.parametrize("endpoint", listed(PAGES[0]))
def test_every_endpoint_answers(gateway: Gateway, endpoint: str) -> None:
    method, path = endpoint.split()
    content = b"{}" if method == "POST" else None
    url = path.replace("{id}", MODEL)
    answer = gateway.client.request(method, url, headers=gateway.headers(), content=content)
    if method == "POST":
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "missing_field")
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/messages",
        "/v1/responses",
        "/chat/completions",
        "/v1/chat",
    ],
)
def test_other_paths_do_not_exist(gateway: Gateway, path: str) -> None:
    assert path not in {endpoint.split()[1] for endpoint in listed(PAGES[0])}
    for method in ("GET", "POST"):
        answer = gateway.client.request(method, path, headers=gateway.headers())
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
