"""How input that pydantic refuses is told: all faults at once, in the shape of the gateway's other errors."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmgw.config.faults import path_of
from llmgw.errors import ApiError, InputFault

MAX_FAULTS: Final = 50
"""Of one request that are told."""
_NAMED: Final = 3
"""In the message."""
_PLACES: Final = frozenset({"body", "query", "path", "header"})
_CODES: Final = {"missing": "missing_field", "json_invalid": "invalid_json"}
_TYPES: Final = ("_type", "_parsing", "_from_float", "int_from")


def input_error(details: Sequence[Mapping[str, Any]]) -> ApiError:
    """Pydantic's errors as one. The input itself is not shown."""
    faults = [_fault(detail) for detail in details[:MAX_FAULTS]]
    code = _code(details[0]["type"]) if details else "invalid_type"
    return refusal(faults, code=code, number=len(details))


def refusal(faults: Sequence[InputFault], *, code: str = "unsupported_value", number: int = 0) -> ApiError:
    """Several faults as one error; there are `number` of them in all, if that is more. Not of none."""
    told = "; ".join(
        f"{fault.param}: {fault.message}" if fault.param else fault.message for fault in faults[:_NAMED]
    )
    number = max(number, len(faults))
    more = f"; and {number - _NAMED} more" if number > _NAMED else ""
    return ApiError(code, f"{told}{more}.", param=faults[0].param, faults=faults)


def _code(kind: str) -> str:
    if kind in _CODES:
        return _CODES[kind]
    return "invalid_type" if any(part in kind for part in _TYPES) else "unsupported_value"


def _fault(detail: Mapping[str, Any]) -> InputFault:
    location = tuple(detail["loc"])
    kind = detail["type"]
    if kind == "json_invalid":
        context = detail.get("ctx", {})
        return InputFault(None, f"the body is not JSON ({context.get('error', 'it ends too early')})")
    if location and location[0] in _PLACES:
        location = location[1:]
    match kind:
        case "missing":
            message = "is missing"
        case "extra_forbidden":
            message = "is not known here"
        case "model_attributes_type" | "model_type" | "dict_type":
            message = "must be an object"
        case "value_error" | "llmgw_input":
            message = str(detail["msg"]).removeprefix("Value error, ")
        case _:
            message = str(detail["msg"])
            message = (
                "must be" + message.removeprefix("Input should be")
                if message.startswith("Input should")
                else message
            )
            message = message[0].lower() + message[1:]
    return InputFault(path_of(location) or None, message)
