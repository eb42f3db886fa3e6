"""How many tokens will a request use? A guess before it is sent, corrected by what was seen.

Per model, in each worker by itself: how many tokens the provider counted for so many bytes of text, and how
long its answers usually are. A guess that was wrong costs nothing for long: the limits are settled by what
the answer used.
"""

import math
from typing import Final, NamedTuple, Protocol

from llmgw.prices.billing import BYTES_PER_TOKEN

IMAGE_TOKENS: Final = 1000
"""An image, or another file, whatever its size: providers count between 85 and a few thousand."""
START_OUTPUT_TOKENS: Final = 1000
"""An answer's length until enough were seen."""
ENOUGH_ANSWERS: Final = 16
USUAL_PERCENT: Final = 90
"""So many of the answers are no longer than `usual`."""
LEAST_CORRECTION: Final = 0.1
MOST_CORRECTION: Final = 10.0

_MEMORY: Final = 0.98
"""What is left of an earlier answer's weight after each further one: about the last 50 count."""
_START_BYTES: Final = 4096.0
"""The weight of what is assumed at first, so that one short request does not turn everything over."""
_STEPS_PER_DOUBLING: Final = 4
"""The histogram's buckets: each is 19 % wider than the one before."""
_BUCKETS: Final = 28 * _STEPS_PER_DOUBLING
"""Up to 2²⁸ tokens."""
_FORGET_AT: Final = 1024
"""After so many answers all counts are halved."""
_EVERY: Final = 16
"""The quantile is looked up again after so many answers."""


class Facts(Protocol):
    """What the scan of a request tells (`_core.RequestFacts`)."""

    @property
    def text_bytes(self) -> int:
        """Of all text that a model reads."""

    @property
    def images(self) -> int:
        """Images and other files."""

    @property
    def max_output_tokens(self) -> int | None:
        """As the client limits each answer; None: it does not."""

    @property
    def choices(self) -> int:
        """How many answers it asks for."""

    @property
    def user(self) -> str | None:
        """Whom the client names as its user."""


class Need(NamedTuple):
    """What a request will use, as far as can be guessed."""

    input_tokens: int
    """Images included."""
    output_tokens: int


class Estimates:
    """What was seen of one model. For the event loop's thread only."""

    __slots__ = ("_answers", "_bytes", "_counts", "_start", "_tokens", "correction", "usual")

    def __init__(self, max_output_tokens: int | None = None) -> None:
        """`max_output_tokens`: the most that the model can answer; None: unknown."""
        self._start = min(START_OUTPUT_TOKENS, max_output_tokens or START_OUTPUT_TOKENS)
        self._bytes = _START_BYTES
        self._tokens = _START_BYTES / BYTES_PER_TOKEN
        self._counts = [0] * _BUCKETS
        self._answers = 0
        self.correction = 1.0
        """By how much more tokens the provider counts than bytes / 4."""
        self.usual = self._start
        """So many tokens an answer has at most, usually."""

    def need(self, facts: Facts, *, answers: bool = True) -> Need:
        """Of a request. `answers`: False for embeddings and rerank, whose answers have no tokens."""
        text = math.ceil(facts.text_bytes / BYTES_PER_TOKEN * self.correction)
        if not answers:
            return Need(text + facts.images * IMAGE_TOKENS, 0)
        most = facts.max_output_tokens
        output = self.usual if most is None or most > self.usual else most
        return Need(text + facts.images * IMAGE_TOKENS, output * facts.choices)

    def saw_input(self, text_bytes: int, images: int, prompt_tokens: int) -> None:
        """The provider's count for a request with so much in it."""
        tokens = prompt_tokens - images * IMAGE_TOKENS
        if tokens <= 0 or text_bytes <= 0:
            return
        # A ratio of sums, so that the few fixed tokens of a short request do not count like a book.
        self._bytes = self._bytes * _MEMORY + text_bytes
        self._tokens = self._tokens * _MEMORY + tokens
        ratio = self._tokens / self._bytes * BYTES_PER_TOKEN
        self.correction = min(max(ratio, LEAST_CORRECTION), MOST_CORRECTION)

    def saw_output(self, completion_tokens: int) -> None:
        """The length of one whole answer, reasoning included."""
        if completion_tokens <= 0:
            return
        step = math.ceil(math.log2(completion_tokens) * _STEPS_PER_DOUBLING)
        self._counts[min(step, _BUCKETS - 1)] += 1
        self._answers += 1
        if self._answers >= _FORGET_AT:
            self._counts = [count // 2 for count in self._counts]
            self._answers = sum(self._counts)
        if self._answers >= ENOUGH_ANSWERS and self._answers % _EVERY == 0:
            self.usual = self._quantile()

    def _quantile(self) -> int:
        """The upper bound of the bucket that has it."""
        wanted = self._answers * USUAL_PERCENT / 100
        seen = 0
        for step, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return math.ceil(2 ** (step / _STEPS_PER_DOUBLING))
        return self._start
