"""Weighs the evidence of a message, and the language model's opinion where there is one, into a probability a type.

The weights are made by ``./scripts/eval train`` from the development cases; docs/quality.md says what they reach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.chat.features import NAMES, Evidence, named_vector, word_vector

TYPES = ("null", "post_social", "scrape_url", "fill_form")
"""What a message can ask for; "null" is everything that is answered in words."""

OPINIONS = ("talk", "post", "read", "form")
"""The words with which the language model says the same, in the order of ``TYPES``."""

# How much a block of features counts before learning: without it the many rare ones outweigh the few telling ones.
PAIR_SCALE, WORD_SCALE, OPINION_SCALE = 0.6, 2.0, 0.7
LOWEST_LOG_PROBABILITY = -8.0
WEIGHTS_FILE = "classifier.npz"


def fingerprint() -> str:
    """Names the features, so that weights learned for others are not used with these."""
    return hashlib.sha256("\n".join(NAMES).encode()).hexdigest()[:16]


def vector(evidence: Evidence, opinion: Sequence[float] | None = None) -> NDArray[np.float32]:
    """The scaled features of a message; with an ``opinion`` (a log-probability each of ``OPINIONS``) four more."""
    named = named_vector(evidence)
    named[len(NAMES) :] *= PAIR_SCALE
    parts = [np.ones(1, dtype=np.float32), named, WORD_SCALE * word_vector(evidence)]
    if opinion is not None:
        parts.append(OPINION_SCALE * _relative(opinion))
    return np.concatenate(parts)


def _relative(opinion: Sequence[float]) -> NDArray[np.float32]:
    scores = np.asarray(opinion, dtype=np.float64)
    scores = scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()
    return np.clip(scores, LOWEST_LOG_PROBABILITY, 0.0).astype(np.float32)


def probabilities(evidence: Evidence, opinion: Sequence[float] | None = None) -> dict[str, float]:
    """Type → probability; they add up to 1."""
    weights = _weights()["alone" if opinion is None else "with_opinion"]
    scores = vector(evidence, opinion) @ weights
    shares = np.exp(scores - scores.max())
    return {name: float(share) for name, share in zip(TYPES, shares / shares.sum(), strict=True)}


def opinion_model() -> str:
    """The language model whose opinions the weights were learned with; another's would mislead them."""
    return str(_weights()["opinion_model"])


@cache
def _weights() -> Mapping[str, Any]:
    with (resources.files("app.chat") / WEIGHTS_FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        found = {name: stored[name] for name in stored.files}
    if str(found["fingerprint"]) != fingerprint():
        raise RuntimeError(f"{WEIGHTS_FILE} was learned for other features: run ./scripts/eval train.")
    return {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in found.items()}
