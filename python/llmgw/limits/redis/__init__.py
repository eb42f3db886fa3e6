"""Limits and budgets that several machines share, by Redis.

`limits` is what the governor asks, `plan` what is asked for, `script` and `limits.lua` how; `server` is the
Redis and its failures, `share` what this machine takes meanwhile, `keeper` how Redis is told and comes back.

# What may be wrong, and by how much
* While Redis is there, nothing: all machines together never get more than the limit, but for a picosecond a
  charge. What a request uses beyond its reservation is owed by a rate, and spent of a budget, as on one
  machine.
* Redis goes: a machine's rates begin as full as its workers last saw them, each of which knows only what it
  was told itself. What others have taken since is unknown, so that a minute may have up to the machine's
  share too much. Who holds more than its share of places or money at that moment keeps it until its requests
  end; the others take theirs all the same.
* Redis is gone: of a budget, what other machines have stored in the last `LEARN_BASES_S`.
* Redis is back: nothing that this worker had or let through in the last minute is forgotten. If its data are
  lost, rates are as full as the workers last saw them. A reservation that nobody waited for is not made,
  unless the server's clock was set back meanwhile; its lease ends then.
* Failover, by sentinels or in a cluster, and a restart from a file: as if all data were lost, since nobody
  knows which last writes are. Rates are as full as the workers last saw them, places and money are told anew,
  and until every worker has told what it has (`keeper.SETTLE_S`), each machine takes its share. A slot that
  moves to another node is the same; while it moves, a cluster can't run the script, so that is an outage.
* Two servers believe to be the master, and machines reach one each: each grants the limit. `min-replicas-to-
  write` of the server is against that.
* A worker is killed: what it held is held until its lease ends, `LEASE_S`.
* The server's clock is set forward: rates and leases take it for time that has passed. Back: for none.
* Redis evicts keys for want of memory: a rate that is forgotten is empty. The keys in use are the last to
  go.
"""

from llmgw.limits.redis.limits import Decision, RedisLimits, SharedPlan
from llmgw.limits.redis.plan import SharedRefusal
from llmgw.limits.redis.reservation import SharedReservation

__all__ = ["Decision", "RedisLimits", "SharedPlan", "SharedRefusal", "SharedReservation"]
