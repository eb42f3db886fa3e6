"""Which Prometheus metrics of our own the gateway has: names, help texts, labels, buckets."""

from typing import Final, NamedTuple

FIRST_EVENT_BUCKETS_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
TOTAL_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0)


class Spec(NamedTuple):
    """A metric: its name, help text and labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


REQUESTS: Final = Spec("llmgw_requests", "Finished requests.", ("api", "model", "status"))
IN_FLIGHT: Final = Spec("llmgw_requests_in_flight", "Requests being served.")
TOKENS: Final = Spec(
    "llmgw_tokens", "Tokens as the upstreams reported them, else estimated.", ("model", "kind")
)
COST: Final = Spec(
    "llmgw_cost_nano", "Cost of answers, in 10⁻⁹ of the currency's unit.", ("model", "currency")
)
UNPRICED: Final = Spec(
    "llmgw_unpriced_requests", "Requests that used tokens of a model without a price.", ("model",)
)
FIRST_EVENT: Final = Spec(
    "llmgw_first_event_seconds", "Time from a request to the upstream's first event.", ("api", "model")
)
TOTAL: Final = Spec(
    "llmgw_request_seconds", "Time from a request to the end of its answer.", ("api", "model")
)
ERRORS: Final = Spec("llmgw_request_errors", "Requests that failed.", ("api", "model", "kind"))
THINKING: Final = Spec(
    "llmgw_thinking",
    "Requests with an answer, by what was asked (on, off, none), sent and observed.",
    ("model", "asked", "sent", "observed"),
)
UNKNOWN_FINISH: Final = Spec(
    "llmgw_unknown_finish_reasons",
    "Answers that ended with a finish reason that the gateway does not know.",
    ("model",),
)
ATTEMPTS: Final = Spec(
    "llmgw_upstream_attempts",
    "Requests sent to upstreams, by what came of them; account: its number, where there are several.",
    ("upstream", "account", "outcome"),
)
RETRIES: Final = Spec(
    "llmgw_retries", "Attempts beyond a request's first, by what the one before had failed with.", ("reason",)
)
RETRIES_REFUSED: Final = Spec(
    "llmgw_retries_refused", "Attempts that could have been made, but for the budget."
)
COOLING: Final = Spec(
    "llmgw_upstream_cooling",
    "Workers in which a model at an upstream cools down, or has not been let back yet.",
    ("upstream", "account", "upstream_model"),
)
AUTH_FAILURES: Final = Spec("llmgw_auth_failures", "Requests refused for their key.", ("code",))
SHED: Final = Spec(
    "llmgw_shed",
    "Requests turned away because of a limit (requests, bytes, upstream, files).",
    ("reason",),
)
LIMITED: Final = Spec(
    "llmgw_limited",
    "Requests refused by a limit or a budget, by its kind and whose it is.",
    ("limit", "scope"),
)
WAITING: Final = Spec("llmgw_waiting_requests", "Requests that wait for a place at an upstream.")
LIMITS_REDIS_UP: Final = Spec(
    "llmgw_limits_redis_up",
    "1 if every worker can ask the Redis in which machines share their limits, or there is one machine.",
)
LIMITS_REDIS_LOST: Final = Spec(
    "llmgw_limits_redis_lost",
    "Changes that were not told to that Redis: what a request gave back, or used beyond its reservation.",
)
LIMIT_ENTRIES: Final = Spec("llmgw_limit_entries", "Limits and budgets in the workers' shared memory.")
LIMIT_OVERFLOWS: Final = Spec(
    "llmgw_limit_overflows", "How often a limit found no room there, and got an entry that it shares."
)
BUDGET_ALERTS: Final = Spec(
    "llmgw_budget_alerts", "Windows of budgets that reached their soft limit or their end.", ("event",)
)
ALERT_DELIVERIES: Final = Spec(
    "llmgw_alert_deliveries", "Attempts to deliver such alerts, by what came of them.", ("result",)
)
BUDGET_SPENT: Final = Spec(
    "llmgw_budget_spent_ratio",
    "What a budget has spent in its current window, as a share; of the oldest hundred.",
    ("budget",),
)
IN_FLIGHT_BYTES: Final = Spec("llmgw_in_flight_bytes", "Bytes of request bodies held.")
REASONING: Final = Spec(
    "llmgw_reasoning_turns",
    "Answers and messages that called tools, by what became of their reasoning.",
    ("outcome",),
)
LEDGER_QUEUE: Final = Spec("llmgw_ledger_queue_rows", "Ledger entries that are in memory only.")
JOURNAL_ROWS: Final = Spec(
    "llmgw_ledger_journal_rows", "Ledger entries in journals that the database does not have yet."
)
JOURNAL_BYTES: Final = Spec("llmgw_ledger_journal_bytes", "Size of the journals in use.")
JOURNAL_SET_ASIDE: Final = Spec(
    "llmgw_ledger_journal_set_aside_files", "Files of the journal with something that can't be replayed."
)
STORE_HEALTHY: Final = Spec(
    "llmgw_store_healthy",
    "1 if the database could be used when it was last tried, for this purpose, by every worker.",
    ("purpose",),
)
SPANS_EXPORTED: Final = Spec("llmgw_otel_spans_exported", "Spans that the collector took.")
SPANS_DROPPED: Final = Spec("llmgw_otel_spans_dropped", "Spans that were lost, by the reason.", ("reason",))
LEDGER_DROPPED: Final = Spec("llmgw_ledger_dropped_rows", "Ledger entries that were lost.")
