"""The FastAPI application, and the document that it gives of itself."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from llmgw.access.refusals import AccessError, BadValueError, NotFoundError
from llmgw.admin.context import Context
from llmgw.admin.faults import input_error, refusal
from llmgw.admin.routes import (
    audit,
    budgets,
    captures,
    gateway,
    keys,
    live,
    organization,
    projects,
    requests,
    system,
    thinking,
    usage,
)
from llmgw.budgets.store import BudgetInputError, UnknownBudgetError
from llmgw.errors import ApiError, InputFault

OPENAPI_PATH: Final = "/admin/v1/openapi.json"
_ROUTERS: Final = (
    keys.router,
    projects.router,
    budgets.router,
    requests.router,
    usage.router,
    organization.router,
    captures.router,
    audit.router,
    system.router,
    live.router,
    gateway.router,
    thinking.router,
)
_DESCRIPTION: Final = """\
The admin API of llmgw. Keys: `Authorization: Bearer sk-gtw-admin-...` (`llmgw keys create --admin`).
Times are RFC 3339 in UTC, durations end in `_s`, sizes in `_bytes`; amounts of money are exact decimal
numbers in strings, with `currency` beside. Lists come in pages: send `next_cursor` as `cursor`.
"""
_SCHEME: Final = "adminKey"
_TOO_LONG: Final = (
    "The path with its query is longer than 65,534 bytes. The server's own answer, without a body."
)


def make_api(context: Context) -> FastAPI:
    """The API without its guard: it trusts that an admin asks, and raises what is not an answer."""
    app = _app()
    app.state.context = context

    @app.get(OPENAPI_PATH, include_in_schema=False)
    async def document() -> Mapping[str, Any]:
        return app.openapi()

    return app


def openapi() -> str:
    """The document as docs/admin-openapi.json has it."""
    return json.dumps(_app().openapi(), ensure_ascii=False, indent=2) + "\n"


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """FastAPI's own, with the key that is needed and without its own kind of errors."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operations in document["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["414"] = {"description": _TOO_LONG}
                    _read_examples(operation)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            scheme = {"type": "http", "scheme": "bearer", "description": "An admin key."}
            document["components"]["securitySchemes"] = {_SCHEME: scheme}
            document["security"] = [{_SCHEME: []}]
            self.openapi_schema = document
        return self.openapi_schema


def _read_examples(operation: Mapping[str, Any]) -> None:
    """See `routes.common.as_text`."""
    bodies = [*operation["responses"].values(), operation.get("requestBody", {})]
    for content in (content for body in bodies for content in body.get("content", {}).values()):
        if "example" in content:
            content["example"] = json.loads(content["example"])
        for example in content.get("examples", {}).values():
            example["value"] = json.loads(example["value"])


def _app() -> FastAPI:
    app = _App(
        title="llmgw admin API",
        version="1",
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_name_of,
    )
    for router in _ROUTERS:
        app.include_router(router)
    app.add_exception_handler(RequestValidationError, _refuse_input)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(AccessError, _refuse_access)
    app.add_exception_handler(UnknownBudgetError, _refuse_budget)
    app.add_exception_handler(BudgetInputError, _refuse_budget)
    return app


def _name_of(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


async def _refuse_input(_request: Request, error: Exception) -> NoReturn:
    """What the guard tells, as everything that is raised here."""
    if not isinstance(error, RequestValidationError):
        raise error
    raise input_error(error.errors()) from None


async def _refuse_access(request: Request, error: Exception) -> NoReturn:
    """What `access` does not do."""
    if isinstance(error, BadValueError):
        raise refusal(error.faults) from None
    if not isinstance(error, AccessError):
        raise error
    message = f"{error}."
    if error.param is not None and f"{error.param}_id" not in request.path_params:
        # It is about a value in the body, not about the path.
        code = "unsupported_value" if isinstance(error, NotFoundError) else "conflict"
        raise refusal([InputFault(error.param, str(error))], code=code) from None
    raise ApiError("not_found" if isinstance(error, NotFoundError) else "conflict", message) from None


async def _refuse_budget(_request: Request, error: Exception) -> NoReturn:
    """What `budgets` does not do."""
    if isinstance(error, BudgetInputError):
        raise refusal([InputFault(error.param, str(error))]) from None
    raise ApiError("not_found", f"{str(error).capitalize()}.") from None


_BY_STATUS: Final = {
    HTTPStatus.NOT_FOUND: ("not_found", "There is no such path in the admin API."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "This path does not take this method."),
    HTTPStatus.BAD_REQUEST: ("invalid_json", "The body is not JSON that can be read."),
}


async def _refuse(request: Request, error: Exception) -> NoReturn:
    if not isinstance(error, HTTPException) or error.status_code not in _BY_STATUS:
        raise error
    code, message = _BY_STATUS[HTTPStatus(error.status_code)]
    headers = [(b"allow", _methods_of(request).encode())] if code == "method_not_allowed" else []
    raise ApiError(code, message, headers=headers) from None


def _methods_of(request: Request) -> str:
    """Starlette itself names those of one of the path's routes only."""
    methods: set[str] = set()
    for router in _ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
                methods |= route.methods or set()
    return ", ".join(sorted(methods))
