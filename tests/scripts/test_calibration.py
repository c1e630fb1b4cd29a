"""The fit of the confidence, and the figures that tell how true it is."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.evaluation.calibration import brier, calibration_error, cross_validated, fitted


@pytest.fixture
def examples() -> tuple[np.ndarray, np.ndarray]:
    """200 examples: the first signal tells, the second is noise, the third tells the opposite."""
    rng = np.random.default_rng(7)
    y = (rng.random(200) < 0.5).astype(float)
    x = np.stack([2 * y + rng.normal(size=200), rng.normal(size=200), -y + rng.normal(size=200)], axis=1)
    return x, y


def test_no_signal_may_speak_against_an_answer(examples: tuple[np.ndarray, np.ndarray]) -> None:
    """What would get a weight below zero gets none."""
    _, weights = fitted(*examples)
    assert weights[0] > 1
    assert weights[2] == 0.0


def test_probabilities_of_unseen_examples_are_better_than_a_coin(examples: tuple[np.ndarray, np.ndarray]) -> None:
    """Each was left out of the fit that judges it."""
    p = cross_validated(*examples)
    assert brier(p, examples[1]) < 0.2
    assert calibration_error(p, examples[1]) < 0.12


def test_the_figures_of_known_cases() -> None:
    """Perfect, a coin, and surely wrong."""
    y = np.array([1.0, 0.0, 1.0, 0.0])
    assert brier(y, y) == calibration_error(y, y) == 0.0
    assert brier(np.full(4, 0.5), y) == 0.25
    assert calibration_error(1 - y, y) == 1.0
