"""Redis servers of the tests' own that stand in for each other: sentinels with theirs, and a cluster."""

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from tests.support.processes import free_port, wait_until
from tests.support.redis import RedisServer

FORM_TIMEOUT_S = 60.0
"""A sentinel whose clock seems to have jumped does nothing for 30 s."""
DOWN_AFTER_MS = 2000
"""So long a server is silent before the others take it for dead: longer than a busy machine holds one up."""
SLOTS = 16_384
MASTER = "mymaster"


class Sentinel(RedisServer):
    """The same program as a server; it writes what it knows into its config."""

    def __init__(self, folder: Path, watched: int, password: str) -> None:
        """`watched`: the master's port. `password`: the servers', and its own."""
        self._file = folder / f"sentinel-{free_port()}.conf"
        config = f"""bind 127.0.0.1
dir {folder}
sentinel monitor {MASTER} 127.0.0.1 {watched} 2
sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}
sentinel failover-timeout {MASTER} 3000
"""
        if password:
            config += f"sentinel auth-pass {MASTER} {password}\nrequirepass {password}\n"
            config += f"sentinel sentinel-pass {password}\n"
        self._file.write_text(config, "utf-8")
        super().__init__(folder, password=password)

    def _arguments(self, _folder: Path) -> list[str]:
        return [str(self._file), "--port", str(self.port), "--sentinel"]


class Sentinels:
    """A master, a replica and three sentinels, of which two must agree."""

    def __init__(self, stack: ExitStack, folder: Path, *, password: str = "") -> None:
        """`password`: of the servers and of the sentinels."""
        self.password = password
        self.master = stack.enter_context(RedisServer(folder, password=password))
        follow = ("--replicaof", f"127.0.0.1 {self.master.port}")
        self.replica = stack.enter_context(RedisServer(folder, *follow, password=password))
        self.sentinels = [stack.enter_context(Sentinel(folder, self.master.port, password)) for _ in range(3)]
        wait_until(self._is_whole, "the sentinels know each other", timeout_s=FORM_TIMEOUT_S)

    @property
    def url(self) -> str:
        """For llmgw."""
        secret = f":{self.password}@" if self.password else ""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        options = f"?sentinel_password={self.password}" if self.password else ""
        return f"redis+sentinel://{secret}{hosts}/{MASTER}/0{options}"

    def _is_whole(self) -> bool:
        told = [sentinel.run("INFO", "sentinel")["master0"] for sentinel in self.sentinels]
        return [(each["status"], each["slaves"], each["sentinels"]) for each in told] == [("ok", 1, 3)] * 3


class Node(RedisServer):
    """Of a cluster."""

    def __init__(self, folder: Path) -> None:
        """It writes what it knows into a file there."""
        name = f"nodes-{free_port()}.conf"
        self.bus = free_port()
        bus = ("--cluster-port", str(self.bus))
        timeout = ("--cluster-node-timeout", str(DOWN_AFTER_MS), "--cluster-replica-validity-factor", "0")
        super().__init__(folder, "--cluster-enabled", "yes", "--cluster-config-file", name, *bus, *timeout)
        self.id: str = self.run("CLUSTER", "MYID")
        """What the others call it."""


class RedisCluster:
    """Three masters with a third of the slots each, and a replica of the one that has the limits."""

    def __init__(self, stack: ExitStack, folder: Path, slot: int) -> None:
        """`slot`: of the limits."""
        self.slot = slot
        masters = [stack.enter_context(Node(folder)) for _ in range(3)]
        self.replica = stack.enter_context(Node(folder))
        self.nodes = [*masters, self.replica]
        self.others: list[Node] = []
        for node, (first, end) in zip(masters, pairwise((0, SLOTS // 3, 2 * SLOTS // 3, SLOTS)), strict=True):
            node.run("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            if first <= slot < end:
                self.owner = node
            else:
                self.others.append(node)
        for node in self.nodes[1:]:
            masters[0].run("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        wait_until(self.is_whole, "the cluster is whole", timeout_s=FORM_TIMEOUT_S)
        self.replica.run("CLUSTER", "REPLICATE", self.owner.id)
        wait_until(self._has_replica, "it has a replica", timeout_s=FORM_TIMEOUT_S)

    @property
    def url(self) -> str:
        """For llmgw: one node, which has no limits."""
        return f"redis+cluster://127.0.0.1:{self.others[0].port}"

    def is_whole(self) -> bool:
        """Every node knows of all slots and nodes."""
        told = [node.run("CLUSTER", "INFO") for node in self.nodes]
        return all("cluster_state:ok" in each and "cluster_known_nodes:4" in each for each in told)

    def move_slot(self, source: Node, target: Node, *, between: Callable[[], None]) -> None:
        """As the tools of Redis do it: key by key. `between`: done while it is at both."""
        target.run("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source.id)
        source.run("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target.id)
        between()
        while keys := source.run("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            source.run("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *self.others):
            node.run("CLUSTER", "SETSLOT", self.slot, "NODE", target.id)

    def _has_replica(self) -> bool:
        told = self.replica.run("INFO", "replication")
        return told.get("master_link_status") == "up" and self.is_whole()
