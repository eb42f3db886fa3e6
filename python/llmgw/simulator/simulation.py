"""What the `simulate` member of a request can ask for: pacing and faults."""

from dataclasses import dataclass, fields

from llmgw.simulator.model import JsonObject, Refusal, RefusalError


@dataclass(frozen=True)
class Simulation:
    """How one answer is paced, and how it fails. Chunks are counted from 1, over all choices."""

    delay_ms: float = 0
    """Pause before every chunk; a plain answer has one such pause."""
    first_delay_ms: float = 0
    """Pause before the response headers (or after headers and a comment, where a provider sends those)."""
    chunk_chars: int = 4
    """Characters of text or arguments in one chunk."""
    repeat: int = 1
    """Say the content this many times: for long answers."""
    status: int | None = None
    """Refuse with this HTTP status, in the provider's own words."""
    retry_after_s: float | None = None
    """A `retry-after` header beside `status`."""
    fail_after_chunks: int | None = None
    """Break the connection after this many chunks."""
    end_after_chunks: int | None = None
    """End cleanly after this many chunks: no finish reason, no `[DONE]`."""
    error_after_chunks: int | None = None
    """Send an error event after this many chunks, then end."""
    stall_after_chunks: int | None = None
    """Fall silent after this many chunks until the client leaves (at most an hour)."""

    @classmethod
    def parse(cls, value: object, *, delay_ms: float) -> "Simulation":
        """`delay_ms` is the server's default. Raises RefusalError for an unknown member or a bad number."""
        if value is None:
            return cls(delay_ms=delay_ms)
        if not isinstance(value, dict):
            raise RefusalError(Refusal.INVALID_REQUEST, "simulate must be an object")
        known = {field.name for field in fields(cls)}
        numbers: JsonObject = {"delay_ms": delay_ms}
        for name, number in value.items():
            if name not in known:
                raise RefusalError(
                    Refusal.INVALID_REQUEST,
                    f"simulate.{name} is unknown; known are {', '.join(sorted(known))}",
                )
            if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
                raise RefusalError(Refusal.INVALID_REQUEST, f"simulate.{name} must be a number, 0 or more")
            numbers[name] = number
        for name in ("chunk_chars", "repeat"):
            numbers[name] = max(1, int(numbers.get(name, getattr(cls, name))))
        return cls(**numbers)

    def refusal(self) -> RefusalError | None:
        """The refusal that `status` asks for."""
        if self.status is None:
            return None
        status = int(self.status)
        kind = {
            401: Refusal.INVALID_KEY,
            404: Refusal.MODEL_NOT_FOUND,
            429: Refusal.RATE_LIMITED,
        }.get(status)
        if kind is None:
            kind = Refusal.SERVER_ERROR if status >= Refusal.SERVER_ERROR.value else Refusal.INVALID_REQUEST
        return RefusalError(
            kind, f"simulated status {status}", status=status, retry_after_s=self.retry_after_s
        )
