"""Why keys and projects can't be found or changed. Command line and admin API tell each in its own way."""

from collections.abc import Sequence

from llmgw.errors import InputFault, LlmgwError


class AccessError(LlmgwError):
    """A key or a project can't be found or changed. Nothing was changed."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        """`param`: the path of the value to blame, as the admin API names it; None: the reference."""
        super().__init__(message)
        self.param = param


class NotFoundError(AccessError):
    """Nothing is known by the reference."""


class NoCaptureError(NotFoundError):
    """No such capture is known, or none is open."""


class AmbiguousError(AccessError):
    """Several are known by the reference."""

    def __init__(self, message: str, *, ids: Sequence[int], param: str | None = None) -> None:
        """`ids`: theirs."""
        super().__init__(message, param=param)
        self.ids = tuple(ids)


class NameTakenError(AccessError):
    """Names of projects are unique."""


class StateError(AccessError):
    """A revoked key is never changed again, and a blocked project gets no new keys."""


class BadValueError(AccessError):
    """Values that can't be set."""

    def __init__(self, faults: Sequence[InputFault]) -> None:
        """`faults`: all of them, at least one."""
        super().__init__(
            "; ".join(
                f"{fault.param}: {fault.message}" if fault.param else fault.message for fault in faults
            ),
            param=faults[0].param,
        )
        self.faults = tuple(faults)
