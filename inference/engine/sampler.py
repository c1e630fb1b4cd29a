"""Chooses the next token of one sequence from a row of logits. No loop runs over the vocabulary.

Order of operations, as vLLM has it: logit bias, penalties, mask, temperature, min_p, top_k, top_p.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.backends.base import Logits
from inference.engine.base import Sampling

# Enough of the distribution's head for almost every top_p; the whole vocabulary is sorted only when it is not.
HEAD_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """The chosen token; log-probabilities only when they were asked for."""

    token: int
    logprob: float = 0.0
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """One request's sampling state: its random stream and the counts of what it has generated.

    The same seed, prompt and settings choose the same tokens as long as the logits are the same.
    """

    def __init__(self, params: Sampling, prompt_tokens: Sequence[int]) -> None:
        self._params = params
        self._random = np.random.Generator(
            np.random.PCG64(secrets.randbits(64) if params.seed is None else params.seed)
        )
        self._counts: Counter[int] = Counter()
        has_repetition = params.repetition_penalty != 1.0
        self._prompt = np.unique(np.asarray(prompt_tokens, dtype=np.int64)) if has_repetition else None
        self._bias = (
            np.fromiter(params.logit_bias.keys(), dtype=np.int64),
            np.fromiter(params.logit_bias.values(), dtype=np.float32),
        )

    def note(self, token: int) -> None:
        """Count a token of the output, sampled or forced."""
        self._counts[token] += 1

    def choose(self, logits: Logits, allowed: NDArray[np.int64] | None) -> Sample:
        """Choose from a row (vocab_size,), which may be overwritten. ``allowed`` lists the permitted tokens.

        Raises: ValueError when nothing is permitted or the logits are not numbers.
        """
        params = self._params
        raw = logits.copy() if params.logprobs is not None else None
        self._adjust(logits)
        candidates, scores = (None, logits) if allowed is None else (allowed, logits[allowed])
        if scores.size == 0:
            raise ValueError("no token is permitted")
        token = self._pick(candidates, scores)
        if raw is None:
            return Sample(token)
        return _with_logprobs(raw, token, params.logprobs or 0)

    def _adjust(self, logits: Logits) -> None:
        params = self._params
        if self._bias[0].size:
            logits[self._bias[0]] += self._bias[1]
        if self._counts and (params.presence_penalty or params.frequency_penalty):
            tokens = np.fromiter(self._counts.keys(), dtype=np.int64)
            counts = np.fromiter(self._counts.values(), dtype=np.float32)
            logits[tokens] -= params.presence_penalty + params.frequency_penalty * counts
        if self._prompt is not None:
            seen = np.union1d(self._prompt, np.fromiter(self._counts.keys(), dtype=np.int64))
            values = logits[seen]
            logits[seen] = np.where(values > 0, values / params.repetition_penalty, values * params.repetition_penalty)

    def _pick(self, candidates: NDArray[np.int64] | None, scores: Logits) -> int:
        params = self._params
        best = int(np.argmax(scores))
        if not np.isfinite(scores[best]):
            raise ValueError("the logits are not finite numbers")
        if params.temperature <= 0 or scores.size == 1:
            return best if candidates is None else int(candidates[best])
        order: NDArray[np.int64] | None = None
        weights = np.exp((scores - scores[best]) / np.float32(params.temperature))
        if params.min_p > 0:
            weights[weights < params.min_p] = 0.0
        if params.top_k > 0 and params.top_k < weights.size:
            order = _descending_head(weights, params.top_k)
            weights = weights[order]
        if params.top_p < 1.0:
            kept = _nucleus(weights, params.top_p)
            order = kept if order is None else order[kept]
            weights = weights[kept]
        sums = np.cumsum(weights, dtype=np.float64)
        index = int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
        index = min(index, weights.size - 1)
        if order is not None:
            index = int(order[index])
        return index if candidates is None else int(candidates[index])


def _descending_head(weights: Logits, count: int) -> NDArray[np.int64]:
    """Indices of the ``count`` largest weights, largest first."""
    head = np.argpartition(weights, -count)[-count:] if count < weights.size else np.arange(weights.size)
    return head[np.argsort(-weights[head], kind="stable")]


def _nucleus(weights: Logits, top_p: float) -> NDArray[np.int64]:
    """Indices of the smallest set of largest weights whose share reaches ``top_p``; at least one."""
    total = float(weights.sum(dtype=np.float64))
    for count in (HEAD_TOKENS, weights.size):
        order = _descending_head(weights, min(count, weights.size))
        sums = np.cumsum(weights[order], dtype=np.float64)
        if sums[-1] >= top_p * total or order.size == weights.size:
            keep = int(np.searchsorted(sums, top_p * total, side="left")) + 1
            return order[:keep]
    raise AssertionError("unreachable: the second round sorts everything")


def _with_logprobs(raw: Logits, token: int, top_count: int) -> Sample:
    shifted = raw - raw.max()
    normalizer = float(np.log(np.exp(shifted, dtype=np.float64).sum()))
    top: tuple[tuple[int, float], ...] = ()
    if top_count:
        head = _descending_head(shifted, top_count)
        top = tuple((int(at), float(shifted[at]) - normalizer) for at in head)
    return Sample(token, float(shifted[token]) - normalizer, top)
