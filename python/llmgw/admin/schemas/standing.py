"""`standing`: what is left of the limits of a key or a project right now."""

from typing import Final, Literal, Self

from pydantic import Field

from llmgw.admin.schemas.base import Count, Schema
from llmgw.admin.standing import LimitsLeft
from llmgw.limits.standing import LimitLeft


class LimitLeftSchema(Schema):
    """A limit, and what is left of it."""

    kind: Literal["requests_per_minute", "tokens_per_minute", "concurrent_requests"]
    scope: str = Field(
        description="Whose it is: `key`, `project` or `model`; `key_model`, `project_model` at one model."
    )
    of: str = Field(description="The same in words.")
    model: str | None = Field(description="Null: of all models together.")
    limit: Count
    remaining: Count = Field(description="What would be let through now.")
    reset_s: float = Field(
        description="Until all of it is left, if nothing more is used; 0 for `concurrent_requests`."
    )

    @classmethod
    def of_limit(cls, left: LimitLeft) -> Self:
        """From `limits`."""
        return cls(
            kind=left.here.kind,
            scope=left.here.subject.label,
            of=left.here.subject.words,
            model=left.here.model,
            limit=left.here.limit,
            remaining=left.remaining,
            reset_s=round(left.reset_s, 3),
        )


class StandingSchema(Schema):
    """What is left right now of all limits that bind it, but those for each user. Nothing is reserved."""

    limits: list[LimitLeftSchema] | None = Field(
        description="Null: it can't be known, as while the Redis is gone by which machines share them."
    )
    unknown: str | None = Field(description="Why there are no limits here, in a sentence.")

    @classmethod
    def of(cls, left: LimitsLeft) -> Self:
        """From `standing`."""
        limits = None if left.limits is None else list(map(LimitLeftSchema.of_limit, left.limits))
        return cls(limits=limits, unknown=left.unknown)


_OF_PROJECT: Final = {
    "kind": "tokens_per_minute",
    "scope": "project_model",
    "of": "project 'search' at model 'qwen3.6-plus'",
    "model": "qwen3.6-plus",
    "limit": 200000,
    "remaining": 195500,
    "reset_s": 1.35,
}
STANDING: Final = {
    "limits": [
        {
            "kind": "requests_per_minute",
            "scope": "key",
            "of": "key 'batch'",
            "model": None,
            "limit": 60,
            "remaining": 48,
            "reset_s": 11.5,
        },
        _OF_PROJECT,
    ],
    "unknown": None,
}
PROJECT_STANDING: Final = {"limits": [_OF_PROJECT], "unknown": None}
