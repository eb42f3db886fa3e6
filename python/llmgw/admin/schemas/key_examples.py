"""Examples of `keys`, `projects` and `limits`, for the document."""

from typing import Final

_BRIEF: Final = {
    "id": 4,
    "amount": "10.00",
    "unit": "CNY",
    "period": "day",
    "model": None,
    "per_user": False,
    "warn_at": 0.8,
}
_LIMITS: Final = {"requests_per_minute": 60, "tokens_per_minute": 200000, "concurrent_requests": 4}
CREATE: Final = {
    "name": "batch",
    "project": "search",
    "models": ["qwen3.6-plus"],
    "expires_at": None,
    "limits": _LIMITS,
    "limits_by": [{"model": "qwen3.6-plus", "requests_per_minute": 5}],
    "budgets": [{"amount": "10.00", "unit": "CNY", "period": "day", "warn_at": 0.8}],
    "owner": "Li Na",
}
CHANGE: Final = {"limits": {"tokens_per_minute": None}, "expires_at": "2027-01-01T00:00:00+08:00"}
KEY: Final = {
    "id": 12,
    "name": "batch",
    "prefix": "sk-gtw-a1B2",
    "kind": "model",
    "state": "active",
    "project": "search",
    "project_id": 3,
    "owner": "Li Na",
    "models": ["qwen3.6-plus"],
    "trusts_user_header": False,
    "limits": _LIMITS,
    "limits_by": [
        {
            "model": "qwen3.6-plus",
            "per_user": False,
            "requests_per_minute": 5,
            "tokens_per_minute": None,
            "concurrent_requests": None,
        }
    ],
    "budgets": [_BRIEF],
    "created_at": "2026-11-26T08:00:00Z",
    "expires_at": None,
    "blocked_at": None,
    "revoked_at": None,
    "rotated_at": None,
    "previous_expires_at": None,
}
NEW_KEY: Final = {**KEY, "secret": "sk-gtw-a1B2REPLACE-ME-THIS-IS-NO-KEY"}
PROJECT: Final = {
    "id": 3,
    "name": "search",
    "limits": _LIMITS,
    "limits_by": [],
    "budgets": [{**_BRIEF, "amount": "3000.00", "period": "month"}],
    "keys": 12,
    "created_at": "2026-11-26T08:00:00Z",
    "blocked_at": None,
}
PROJECT_CREATE: Final = {
    "name": "search",
    "limits": _LIMITS,
    "budgets": [{"amount": "3000.00", "unit": "CNY", "period": "month"}],
}
LIMIT_ENTRY: Final = {
    "scope": "key",
    "scope_id": 12,
    "name": "batch",
    "model": None,
    "per_user": False,
    **_LIMITS,
}
KEY_DETAIL: Final = {
    **KEY,
    "inherited_limits": [
        {
            "scope": "project",
            "scope_id": 3,
            "name": "search",
            "model": None,
            "per_user": False,
            "requests_per_minute": 600,
            "tokens_per_minute": None,
            "concurrent_requests": None,
        }
    ],
    "inherited_budgets": [{**_BRIEF, "amount": "3000.00", "period": "month"}],
}
