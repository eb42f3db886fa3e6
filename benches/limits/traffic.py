"""Who asks for how much, and what it comes to: bursts, greed and long streams, drawn by a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

S: Final = 1_000_000_000
"""Nanoseconds."""
PROJECT_SIZE: Final = 20
"""Keys of one project."""
MODELS: Final = ("large", "small")
NANO_PER_TOKEN: Final[dict[str, tuple[int, int]]] = {"large": (2_000, 12_000), "small": (500, 2_000)}
"""Prices of input and output."""

Manner = Literal["steady", "bursts", "greedy", "streams"]
_MANNERS: Final[tuple[Manner, ...]] = ("steady", "bursts", "greedy", "streams")
_WEIGHTS: Final = (6, 3, 1, 2)


@dataclass(frozen=True)
class Client:
    """One key, with its limits."""

    number: int
    manner: Manner
    rpm: int
    tpm: int
    concurrent: int
    budget_nano: int

    @property
    def project(self) -> int:
        """Its project's number."""
        return self.number // PROJECT_SIZE


@dataclass(frozen=True)
class Ask:
    """One request: what is guessed of it, and what it will really use."""

    at_ns: int
    client: Client
    model: str
    input_tokens: int
    output_tokens: int
    real_input_tokens: int
    real_output_tokens: int
    lasts_ns: int
    is_free: bool
    """The upstream refuses it: nothing is used."""

    @property
    def guess_nano(self) -> int:
        """Its cost as it is reserved."""
        return cost(self.model, self.input_tokens, self.output_tokens)

    @property
    def real_tokens(self) -> int:
        """What it uses in the end."""
        return 0 if self.is_free else self.real_input_tokens + self.real_output_tokens

    @property
    def real_nano(self) -> int:
        """What it costs in the end."""
        return 0 if self.is_free else cost(self.model, self.real_input_tokens, self.real_output_tokens)


def cost(model: str, input_tokens: int, output_tokens: int) -> int:
    """In 10⁻⁹ of the currency's unit."""
    of_input, of_output = NANO_PER_TOKEN[model]
    return input_tokens * of_input + output_tokens * of_output


def clients(count: int, rng: random.Random) -> list[Client]:
    """The keys."""
    return [
        Client(
            number=number,
            manner=rng.choices(_MANNERS, _WEIGHTS)[0],
            rpm=rng.choice((5, 20, 60, 300)),
            tpm=rng.choice((10_000, 60_000, 300_000)),
            concurrent=rng.choice((2, 10, 100)),
            budget_nano=rng.choice((200_000_000, 2_000_000_000, 20_000_000_000)),
        )
        for number in range(count)
    ]


def asks(client: Client, until_ns: int, rng: random.Random) -> Iterator[Ask]:
    """All that one key asks, in the order of time."""
    at_ns = round(rng.uniform(0, 60) * S)
    while at_ns < until_ns:
        many = 1
        if client.manner == "bursts":
            many = max(2, round(client.rpm * rng.uniform(0.5, 3)))
        for _ in range(many):
            yield _ask(client, at_ns, rng)
            at_ns += round(rng.expovariate(1) * S / 1000)
        at_ns += round(rng.expovariate(1) * S * _pause_s(client))


def _pause_s(client: Client) -> float:
    pauses: dict[Manner, float] = {
        "steady": 90 / client.rpm,
        "bursts": 60.0,
        "greedy": 8 / client.rpm,
        "streams": 30.0,
    }
    return pauses[client.manner]


def _ask(client: Client, at_ns: int, rng: random.Random) -> Ask:
    guess = round(rng.lognormvariate(6, 1)) + 1
    output = 1000
    real_output = min(round(rng.lognormvariate(6.2, 0.9)) + 1, 32_000)
    lasts_s = rng.uniform(60, 600) if client.manner == "streams" else rng.lognormvariate(1, 0.8)
    return Ask(
        at_ns=at_ns,
        client=client,
        model=rng.choice(MODELS),
        input_tokens=guess,
        output_tokens=output,
        real_input_tokens=max(1, round(guess * rng.uniform(0.7, 1.3))),
        real_output_tokens=real_output,
        lasts_ns=round(lasts_s * S),
        is_free=rng.random() < 0.03,
    )
