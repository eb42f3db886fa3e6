"""The way to Redis: one client of each worker, whatever the URL says, for limits, reasoning and responses.

    connect(url) ──► RedisClient.run(commands) ──► one answer for each, in one round trip
      redis://            pool       the connections to one server
      redis+sentinel://   sentinel   asks the sentinels which server it is
      redis+cluster://    cluster    knows which node has a key; a node's commands go in one round trip

# Connections
A round trip has a connection for itself. One is opened when all others are in use, and closed when it was
not needed for `IDLE_S`. So a worker with limits has 1 at rest: that by which leases are renewed each second.
Under load it has at most 5 for limits (`limits.redis.server.LANES` and the keeper's) and `CACHE_CONNECTIONS`
for reasoning and kept responses, of a cluster to each node. Sentinels are asked by connections of their own,
which are closed at once.

# What the user may
With an ACL, a user needs these, where reasoning and kept responses have other keys than limits:

    user llmgw on >PASSWORD resetkeys ~{llmgw}:* ~llmgw:reasoning:* resetchannels -@all
         +get +set +getex +unlink                          reasoning and kept responses
         +evalsha +eval +time +info +del +exists +pexpire +hget +hset +hdel +hincrby +hmget +hgetall
         +zadd +zrem +zrangebyscore                        limits
         +select                                           a database other than 0
         +cluster|slots +asking                            a cluster
and at a sentinel `+sentinel|get-master-addr-by-name`.

# Who must not be asked twice
A call of the limits that may have been executed is never sent again (`once`). What a cluster answers with
MOVED, ASK or TRYAGAIN was not executed, so that is.
"""

from llmgw.redis.client import CACHE_CONNECTIONS, Command, RedisClient
from llmgw.redis.connecting import connect
from llmgw.redis.failures import is_for_the_operator, reason_of

__all__ = ["CACHE_CONNECTIONS", "Command", "RedisClient", "connect", "is_for_the_operator", "reason_of"]
