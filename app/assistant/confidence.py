"""How likely an answer is right: a logistic regression over four signals, fitted by ``./scripts/eval assistant``."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from functools import cache
from importlib import resources
from typing import Any

from app.assistant.records import Signals

MIN_CONFIDENCE = 0.5
_CLIP = 0.001


def features_of(signals: Signals) -> tuple[float, ...]:
    """What the regression weighs: the log-odds of both probabilities, similarity, overlap."""
    return (_log_odds(signals.answered), _log_odds(signals.stated), signals.similarity, signals.overlap)


def confidence_of(signals: Signals) -> float:
    """The probability, 0 to 1, that an answer from these lines is right."""
    fitted = coefficients()
    total = fitted["intercept"] + sum(w * x for w, x in zip(fitted["weights"], features_of(signals), strict=True))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


@cache
def coefficients() -> dict[str, Any]:
    """The fitted numbers and how they were made."""
    stored: dict[str, Any] = json.loads(
        resources.files("app.assistant").joinpath("confidence.json").read_text(encoding="utf-8")
    )
    assert len(stored["weights"]) == len(astuple(Signals(0, 0, 0, 0)))
    return stored


def _log_odds(probability: float) -> float:
    p = min(1 - _CLIP, max(_CLIP, probability))
    return math.log(p / (1 - p))
