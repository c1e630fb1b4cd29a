"""The next token is chosen as OpenAI and vLLM define it, and the same way for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from inference.engine.base import Sampling
from inference.engine.sampler import Sampler

ROW = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], dtype=np.float32))


def draw(
    count: int = 4000, row: Any = ROW, allowed: Any = None, prompt: tuple[int, ...] = (), **params: Any
) -> Counter[int]:
    sampler = Sampler(Sampling(**{"seed": 7, **params}), prompt)
    return Counter(sampler.choose(row.copy(), allowed).token for _ in range(count))


def test_nothing_permitted_is_an_error() -> None:
    """An empty set of permitted tokens never yields a token."""
    with pytest.raises(ValueError, match="no token is permitted"):
        Sampler(Sampling(), ()).choose(ROW.copy(), np.array([], dtype=np.int64))


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_logits_that_are_not_numbers_are_an_error(value: float) -> None:
    """A broken model does not pass as an answer."""
    with pytest.raises(ValueError, match="not finite"):
        Sampler(Sampling(), ()).choose(np.full(5, value, dtype=np.float32), None)


def test_temperature_zero_takes_the_most_likely() -> None:
    """Greedy decoding has no randomness."""
    assert draw(50, temperature=0.0) == Counter({0: 50})


def test_the_distribution_is_followed() -> None:
    """Plain sampling reproduces the probabilities."""
    counts = draw(20000)
    shares = [counts[token] / 20000 for token in range(5)]
    assert np.allclose(shares, np.exp(ROW), atol=0.015)


def test_temperature_sharpens_and_flattens() -> None:
    """Half the temperature squares the odds."""
    counts = draw(20000, temperature=0.5)
    squared = np.exp(ROW) ** 2
    assert np.allclose([counts[token] / 20000 for token in range(5)], squared / squared.sum(), atol=0.015)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({"top_k": 2}, {0, 1}),
        ({"top_p": 0.49}, {0}),
        ({"top_p": 0.51}, {0, 1}),
        ({"top_p": 0.89}, {0, 1, 2}),
        ({"min_p": 0.25}, {0, 1, 2}),
        ({"top_k": 3, "top_p": 0.8}, {0, 1}),
        ({"top_p": 1e-9}, {0}),
    ],
)
def test_filters_keep_the_head_of_the_distribution(params: dict[str, Any], kept: set[int]) -> None:
    """top_k, top_p and min_p drop exactly the tail that they define."""
    assert set(draw(**params)) == kept


def test_the_nucleus_is_right_when_it_is_larger_than_the_sorted_head() -> None:
    """With a flat distribution over many tokens nearly all of them stay in the nucleus."""
    row = np.zeros(5000, dtype=np.float32)
    seen = draw(20000, row=row, top_p=0.99)
    assert len(seen) > 4700


def test_only_permitted_tokens_are_chosen() -> None:
    """A mask is obeyed whatever the logits say."""
    assert set(draw(allowed=np.array([2, 4]))) == {2, 4}
    assert draw(20, allowed=np.array([3]), temperature=0.0) == Counter({3: 20})


def test_the_same_seed_draws_the_same_tokens() -> None:
    """Two requests with one seed agree, with another they differ."""

    def run(seed: int | None) -> list[int]:
        sampler = Sampler(Sampling(seed=seed), ())
        return [sampler.choose(ROW.copy(), None).token for _ in range(64)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert run(None) != run(None)


def test_logit_bias_forbids_and_forces() -> None:
    """-100 keeps a token out, +100 leaves no other."""
    assert 0 not in draw(logit_bias={0: -100.0})
    assert set(draw(logit_bias={4: 100.0})) == {4}


def test_penalties_count_what_was_generated() -> None:
    """Presence counts once, frequency every time, repetition also the prompt."""
    flat = np.zeros(3, dtype=np.float32)

    def after(noted: list[int], prompt: tuple[int, ...] = (), **params: float) -> Any:
        sampler = Sampler(Sampling(temperature=0.0, **params), prompt)
        for token in noted:
            sampler.note(token)
        row = flat + np.array([0.5, 0.4, 0.3], dtype=np.float32)
        return sampler.choose(row, None).token, row

    token, row = after([0, 0], presence_penalty=0.15)
    assert token == 1
    assert row[0] == pytest.approx(0.35)
    token, row = after([0, 0], frequency_penalty=0.15)
    assert row[0] == pytest.approx(0.2)
    assert token == 1
    token, row = after([1], prompt=(0,), repetition_penalty=2.0)
    assert token == 2
    assert row.tolist() == pytest.approx([0.25, 0.2, 0.3])


def test_logprobs_are_those_of_the_unmodified_distribution() -> None:
    """Temperature and masks do not show in the reported probabilities; alternatives come most likely first."""
    sample = Sampler(Sampling(temperature=0.1, logprobs=3), ()).choose(ROW.copy(), np.array([2]))
    assert sample.token == 2
    assert sample.logprob == pytest.approx(np.log(0.15), abs=1e-4)
    assert [token for token, _ in sample.top] == [0, 1, 2]
    assert sample.top[0][1] == pytest.approx(np.log(0.5), abs=1e-4)
