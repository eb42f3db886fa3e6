"""Machines with workers, played on a clock of their own: reserve, settle, store, and now and then a kill."""

import heapq
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from benches.limits.judge import Budget, Concurrency, Rate
from benches.limits.traffic import PROJECT_SIZE, Ask, Client, S, asks
from llmgw._core import LimitPlan, LimitTable, Refusal, Reservation

WORKERS: Final = 4
"""Of each machine."""
FLUSH_NS: Final = S // 5
"""How often the ledger's rows are written."""
_PROJECT_SHARE: Final = 0.6
"""What a project may have, of what its keys may have together."""
_IDLE_NS: Final = 7200 * S
_REASONS: Final = ("requests", "tokens", "tokens", "concurrency", "budget", "budget")
"""Of a refusal, by the place of the limit in the plan."""
_FIRST_BUDGET: Final = 4


class Names(NamedTuple):
    """All limits of one client."""

    requests: str
    tokens: tuple[str, str]
    """Of the key and of its project; so are the budgets."""
    concurrency: str
    budgets: tuple[str, str]


class Machine:
    """One machine: its share of every limit, its workers, and the books beside them."""

    def __init__(self, clients: Sequence[Client], machines: int) -> None:
        self.requests: dict[str, Rate] = {}
        self.tokens: dict[str, Rate] = {}
        self.concurrency: dict[str, Concurrency] = {}
        self.budgets: dict[str, Budget] = {}
        self._machines = machines
        self.names = [self._limits_of(client, clients) for client in clients]
        table = LimitTable.in_memory(entries=16 * len(clients) + 64, slots=WORKERS + 2)
        tables = [table, *(table.another_slot() for _ in range(WORKERS - 1))]
        self.workers = [Worker(self, each) for each in tables]

    def plan(self, worker: "Worker", client: Client) -> LimitPlan:
        """All limits of a client, compiled once."""
        plan = worker.plans.get(client.number)
        if plan is None:
            names = self.names[client.number]
            plan = worker.plans[client.number] = LimitPlan(
                worker.table,
                [
                    (names.requests, "requests", self.requests[names.requests].limit),
                    *((name, "tokens", self.tokens[name].limit) for name in names.tokens),
                ],
                [
                    (names.concurrency, "requests", self.concurrency[names.concurrency].limit),
                    *((name, "nano", self.budgets[name].amount) for name in names.budgets),
                ],
            )
        return plan

    def held(self, now_ns: int) -> int:
        """What is held of concurrency and budgets, by whomever."""
        usages = (self.workers[0].table.usage(name, now_ns) for name in (*self.concurrency, *self.budgets))
        return sum(usage[1] for usage in usages if usage is not None)

    def _limits_of(self, client: Client, clients: Sequence[Client]) -> Names:
        key, project = f"key:{client.number}", f"project:{client.project}"
        names = Names(
            f"rpm:{key}",
            (f"tpm:{key}", f"tpm:{project}"),
            f"concurrent:{key}",
            (f"budget:{key}", f"budget:{project}"),
        )
        first = client.project * PROJECT_SIZE
        mates = clients[first : first + PROJECT_SIZE]
        tokens = client.tpm, round(sum(each.tpm for each in mates) * _PROJECT_SHARE)
        amounts = client.budget_nano, round(sum(each.budget_nano for each in mates) * _PROJECT_SHARE)
        self.requests[names.requests] = Rate(self._share(client.rpm))
        self.concurrency[names.concurrency] = Concurrency(self._share(client.concurrent))
        for name, limit in zip(names.tokens, tokens, strict=True):
            self.tokens.setdefault(name, Rate(self._share(limit)))
        for name, amount in zip(names.budgets, amounts, strict=True):
            self.budgets.setdefault(name, Budget(self._share(amount)))
        return names

    def _share(self, limit: int) -> int:
        """Of a limit that is smaller than the number of machines, each grants one."""
        return max(limit // self._machines, 1)


@dataclass(eq=False)
class Worker:
    """One process. A killed one gets a successor in its place."""

    machine: Machine
    table: LimitTable
    plans: dict[int, LimitPlan] = field(default_factory=dict)
    running: dict["Running", None] = field(default_factory=dict)
    unwritten: list["Running"] = field(default_factory=list)


@dataclass(eq=False)
class Running:
    """A request that was granted."""

    ask: Ask
    worker: Worker
    reservation: Reservation

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        return self.worker.machine

    @property
    def names(self) -> Names:
        """Its limits."""
        return self.machine.names[self.ask.client.number]

    def reserved_tokens(self, name: str) -> int:
        """A guess that is larger than a whole limit is cut."""
        return min(self.ask.input_tokens + self.ask.output_tokens, self.machine.tokens[name].limit)


class _Arrival(NamedTuple):
    ask: Ask
    following: Iterator[Ask]


_Event: TypeAlias = _Arrival | Running | None
"""None: a worker is killed."""


class _Agenda:
    """What happens, in the order of time."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, _Event]] = []
        self._order = count()

    def __iter__(self) -> Iterator[tuple[int, _Event]]:
        while self._events:
            at_ns, _, event = heapq.heappop(self._events)
            yield at_ns, event

    def add(self, at_ns: int, event: _Event) -> None:
        heapq.heappush(self._events, (at_ns, next(self._order), event))

    def arrival(self, now_ns: int, stream: Iterator[Ask]) -> None:
        """The next request of a client, if there is one."""
        ask = next(stream, None)
        if ask is not None:
            self.add(max(ask.at_ns, now_ns), _Arrival(ask, stream))


class World:
    """Everything that happens."""

    def __init__(self, machines: int, clients: Sequence[Client], rng: random.Random) -> None:
        """Several machines have no Redis here: each grants its share."""
        self._clients = clients
        self._rng = rng
        self.machines = [Machine(clients, machines) for _ in range(machines)]
        self.counts: Counter[str] = Counter()
        """`asked`, `granted`, `killed`, and refusals by what was full."""
        self._end_ns = 0

    def play(self, minutes: float, kills: int) -> None:
        """So many minutes, with so many killed workers; then everything comes to its end."""
        until_ns = round(minutes * 60) * S
        agenda = _Agenda()
        for client in self._clients:
            agenda.arrival(0, asks(client, until_ns, self._rng))
        for _ in range(kills):
            agenda.add(round(self._rng.uniform(0.1, 0.9) * until_ns), None)
        flush_ns = FLUSH_NS
        for now_ns, event in agenda:
            while flush_ns <= now_ns:
                self._write(flush_ns)
                flush_ns += FLUSH_NS
            if event is None:
                self._kill(now_ns)
            elif isinstance(event, Running):
                self._end(event, now_ns)
            else:
                running = self._ask(event.ask, now_ns)
                if running is not None:
                    agenda.add(now_ns + event.ask.lasts_ns, running)
                agenda.arrival(now_ns, event.following)
        self._write(flush_ns)
        self._end_ns = flush_ns

    def leaked(self) -> int:
        """What is still held for nobody, over all machines. 0 is right."""
        return sum(machine.held(self._end_ns + _IDLE_NS) for machine in self.machines)

    def _ask(self, ask: Ask, now_ns: int) -> Running | None:
        machine = self._rng.choice(self.machines)
        worker = self._rng.choice(machine.workers)
        names = machine.names[ask.client.number]
        self.counts["asked"] += 1
        result = machine.plan(worker, ask.client).reserve(
            now_ns, input_tokens=ask.input_tokens, output_tokens=ask.output_tokens, cost_nano=ask.guess_nano
        )
        if isinstance(result, Refusal):
            self.counts[_REASONS[result.index]] += 1
            if _REASONS[result.index] == "budget":
                machine.budgets[names.budgets[result.index - _FIRST_BUDGET]].refused(ask.guess_nano)
            return None
        running = Running(ask, worker, result)
        self.counts["granted"] += 1
        machine.requests[names.requests].grant(now_ns, 1)
        machine.concurrency[names.concurrency].begin()
        for name in names.tokens:
            machine.tokens[name].grant(now_ns, running.reserved_tokens(name))
        for name in names.budgets:
            machine.budgets[name].begin(ask.guess_nano, ask.real_nano)
        worker.running[running] = None
        return running

    def _end(self, running: Running, now_ns: int) -> None:
        worker, ask, machine, names = running.worker, running.ask, running.machine, running.names
        if running not in worker.running:
            return  # killed
        del worker.running[running]
        machine.concurrency[names.concurrency].now -= 1
        for name in names.tokens:
            machine.tokens[name].correct(now_ns, ask.real_tokens - running.reserved_tokens(name))
        if ask.is_free:
            running.reservation.cancel(now_ns)
            for name in names.budgets:
                machine.budgets[name].lose(ask.guess_nano, ask.real_nano)
            return
        running.reservation.settle(now_ns, tokens=ask.real_tokens, cost_nano=ask.real_nano)
        for name in names.budgets:
            machine.budgets[name].end(ask.guess_nano, ask.real_nano)
        worker.unwritten.append(running)

    def _write(self, now_ns: int) -> None:
        """What the ledgers' threads do: rows first, then the base, then the holds are given back."""
        for machine in self.machines:
            for worker in machine.workers:
                written, worker.unwritten = worker.unwritten, []
                for running in written:
                    for name in running.names.budgets:
                        budget = machine.budgets[name]
                        budget.write(running.ask.real_nano)
                        worker.table.raise_base(name, budget.spent)
                    running.reservation.stored()
            machine.workers[0].table.sweep(now_ns)

    def _kill(self, now_ns: int) -> None:
        """One worker dies with all that it was doing; another one takes its place."""
        machine = self._rng.choice(self.machines)
        at = self._rng.randrange(1, WORKERS)
        dead = machine.workers[at]
        dead.table.abandon()
        self.counts["killed"] += len(dead.running)
        for running in dead.running:
            machine.concurrency[running.names.concurrency].now -= 1
            for name in running.names.budgets:
                machine.budgets[name].lose(running.ask.guess_nano, running.ask.real_nano)
        for running in dead.unwritten:
            for name in running.names.budgets:
                machine.budgets[name].unwritten -= running.ask.real_nano  # its row is lost
        dead.running, dead.unwritten = {}, []
        survivor = machine.workers[0].table
        survivor.sweep(now_ns)
        machine.workers[at] = Worker(machine, survivor.another_slot())
