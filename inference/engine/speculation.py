"""Guesses the next tokens of an answer from what stands in its own prompt and output, for answers that quote.

The model checks all guesses in one step, and a guess counts only when it is the token that would have been sampled, so
the output is the same with and without. Source: https://github.com/apoorvumang/prompt-lookup-decoding
"""

from __future__ import annotations

NGRAM_TOKENS = 3  # shorter ones are found everywhere and followed by anything
FIRST_GUESS_TOKENS = 2
FIRST_PAUSE_TOKENS = 4
LONGEST_PAUSE_TOKENS = 64
# Computing guesses must cost at most this share of computing as many tokens one by one.
WORTHWHILE = 0.8
TRY_AGAIN_EVERY = 32
SMOOTHING = 0.2


class StepCosts:
    """What steps of one sequence take, by their number of tokens, and so whether guesses pay on this machine.

    They do where a step waits for memory, so that more tokens cost little; where it waits for arithmetic they do not.
    """

    def __init__(self) -> None:
        self._means_s: dict[int, float] = {}
        self._refusals = 0

    def note(self, tokens: int, seconds: float) -> None:
        """Learn from a step of one sequence."""
        mean_s = self._means_s.get(tokens)
        self._means_s[tokens] = seconds if mean_s is None else mean_s + (seconds - mean_s) * SMOOTHING

    def pays(self, guessed: int) -> bool:
        """Whether so many guesses, if they come true, save time; now and then true all the same, to measure again."""
        one_s, all_s = self._means_s.get(1), self._means_s.get(1 + guessed)
        if one_s is None or all_s is None or all_s <= WORTHWHILE * (1 + guessed) * one_s:
            return True
        self._refusals += 1
        return self._refusals % TRY_AGAIN_EVERY == 0


class PromptLookup:
    """One request's guesses. They grow while they are right; after a wrong one there is a pause that doubles."""

    def __init__(self) -> None:
        self._following: dict[tuple[int, ...], int] = {}
        self._indexed = NGRAM_TOKENS
        self._guess_tokens = FIRST_GUESS_TOKENS
        self._pause_tokens = FIRST_PAUSE_TOKENS
        self._resume_at = 0

    def guess(self, tokens: list[int], limit: int) -> list[int]:
        """At most ``limit`` tokens that may follow: those that followed the last tokens where they stood before."""
        if limit < 1 or len(tokens) < max(self._resume_at, NGRAM_TOKENS + 1):
            return []
        for at in range(self._indexed, len(tokens)):
            self._following[tuple(tokens[at - NGRAM_TOKENS : at])] = at
        self._indexed = max(self._indexed, len(tokens))
        start = self._following.get(tuple(tokens[-NGRAM_TOKENS:]))
        return [] if start is None else tokens[start : start + min(limit, self._guess_tokens)]

    def learn(self, guessed: int, accepted: int, length: int) -> None:
        """Note how many guesses were right; ``length`` is that of the request's tokens now."""
        if accepted == guessed:
            self._guess_tokens = 2 * guessed
            self._pause_tokens = FIRST_PAUSE_TOKENS
            return
        self._guess_tokens = max(FIRST_GUESS_TOKENS, accepted)
        if accepted == 0:
            self._resume_at = length + self._pause_tokens
            self._pause_tokens = min(2 * self._pause_tokens, LONGEST_PAUSE_TOKENS)
