"""Guesses of what a request will use, and how they get better."""

from typing import NamedTuple

import pytest

from llmgw.limits.estimates import (
    ENOUGH_ANSWERS,
    IMAGE_TOKENS,
    MOST_CORRECTION,
    START_OUTPUT_TOKENS,
    Estimates,
    Need,
)


class Facts(NamedTuple):
    """What a scan tells."""

    text_bytes: int = 0
    images: int = 0
    max_output_tokens: int | None = None
    choices: int = 1
    user: str | None = None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(), Need(0, START_OUTPUT_TOKENS)),
        (Facts(400), Need(100, START_OUTPUT_TOKENS)),
        (Facts(401), Need(101, START_OUTPUT_TOKENS)),
        (Facts(400, images=2), Need(100 + 2 * IMAGE_TOKENS, START_OUTPUT_TOKENS)),
        (Facts(400, max_output_tokens=5), Need(100, 5)),
        (Facts(400, max_output_tokens=0), Need(100, 0)),
        (Facts(400, max_output_tokens=5, choices=3), Need(100, 15)),
        (Facts(400, max_output_tokens=32_000), Need(100, START_OUTPUT_TOKENS)),
    ],
)
def test_at_first(facts: Facts, expected: Need) -> None:
    assert Estimates().need(facts) == expected


def test_a_model_that_answers_less_than_the_start_value() -> None:
    assert Estimates(256).need(Facts()).output_tokens == 256
    assert Estimates(100_000).need(Facts()).output_tokens == START_OUTPUT_TOKENS


def test_embeddings_and_rerank_have_no_answer_of_tokens() -> None:
    assert Estimates().need(Facts(400), answers=False) == Need(100, 0)


@pytest.mark.parametrize("bytes_per_token", [1.5, 3.0, 4.0, 5.5])
def test_the_correction_follows_what_was_counted(bytes_per_token: float) -> None:
    estimates = Estimates()
    for _ in range(200):
        estimates.saw_input(12_000, 1, int(12_000 / bytes_per_token) + IMAGE_TOKENS)
    assert estimates.need(Facts(12_000)).input_tokens == pytest.approx(12_000 / bytes_per_token, rel=0.03)


def test_a_short_request_with_a_long_template_turns_nothing_over() -> None:
    estimates = Estimates()
    for _ in range(50):
        estimates.saw_input(40_000, 0, 10_000)
    estimates.saw_input(2, 0, 30)
    assert estimates.correction == pytest.approx(1.0, rel=0.01)


def test_the_correction_has_bounds() -> None:
    estimates = Estimates()
    for _ in range(500):
        estimates.saw_input(1, 0, 10**9)
    assert estimates.correction == MOST_CORRECTION


def test_what_tells_nothing_changes_nothing() -> None:
    estimates = Estimates()
    estimates.saw_input(0, 0, 12)
    estimates.saw_input(100, 1, 800)
    estimates.saw_output(0)
    assert (estimates.correction, estimates.usual) == (1.0, START_OUTPUT_TOKENS)


def test_the_usual_answer_is_as_long_as_nine_of_ten() -> None:
    estimates = Estimates()
    for tokens in range(1, 1001):
        estimates.saw_output(tokens)
    assert 900 <= estimates.usual <= 900 * 1.2


def test_the_usual_answer_waits_for_enough_of_them() -> None:
    estimates = Estimates()
    for _ in range(ENOUGH_ANSWERS - 1):
        estimates.saw_output(3)
    assert estimates.usual == START_OUTPUT_TOKENS
    estimates.saw_output(3)
    assert 3 <= estimates.usual <= 4


def test_the_usual_answer_forgets() -> None:
    estimates = Estimates()
    for _ in range(2000):
        estimates.saw_output(10)
    for _ in range(3000):
        estimates.saw_output(5000)
    assert 5000 <= estimates.usual <= 6000


def test_an_absurd_count_does_no_harm() -> None:
    estimates = Estimates()
    for _ in range(30):
        estimates.saw_output(2**62)
    assert estimates.usual >= 2**27
