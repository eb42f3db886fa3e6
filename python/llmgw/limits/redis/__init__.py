"""Limits and budgets that several machines share, by Redis."""

from llmgw.limits.redis.limits import Decision, RedisLimits, SharedPlan
from llmgw.limits.redis.plan import SharedRefusal
from llmgw.limits.redis.reservation import SharedReservation

__all__ = ["Decision", "RedisLimits", "SharedPlan", "SharedRefusal", "SharedReservation"]
