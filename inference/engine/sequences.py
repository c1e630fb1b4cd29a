"""One request inside the engine: its tokens, how far they are computed, and how its output becomes deltas."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.backends.base import Logits
from inference.engine.base import Delta, FinishReason, Sampling, TokenLogprob, Usage
from inference.engine.constraint import ConstraintState
from inference.engine.detokenizer import Detokenizer
from inference.engine.sampler import Sample, Sampler
from inference.engine.slots import Slot, common_prefix
from inference.engine.speculation import PromptLookup
from inference.errors import InferenceError

Sink = Callable[[Delta | InferenceError], None]


@dataclass(slots=True)
class SequenceTimes:
    """Monotonic seconds of a request's milestones; 0 is not yet."""

    submitted_at_s: float = field(default_factory=time.monotonic)
    admitted_at_s: float = 0.0
    first_token_at_s: float = 0.0


class Sequence:
    """A prompt that grows by sampled and forced tokens until it is finished.

    ``tokens[:computed]`` is in the slot's cells. A preempted sequence loses its slot and keeps everything else, so it
    goes on exactly where it was once its tokens are computed again.
    """

    def __init__(
        self,
        *,
        request_id: str,
        prompt_tokens: list[int],
        max_new_tokens: int,
        sampling: Sampling,
        stop_tokens: frozenset[int],
        detokenizer: Detokenizer,
        token_bytes: list[bytes],
        sink: Sink,
        constraint: ConstraintState | None = None,
        adapter: str | None = None,
        is_background: bool = False,
    ) -> None:
        self.request_id = request_id
        self.adapter = adapter
        self.is_background = is_background
        self.tokens = list(prompt_tokens)
        self.prompt_length = len(prompt_tokens)
        self.max_length = len(prompt_tokens) + max_new_tokens
        self.computed = 0
        self.slot: Slot | None = None
        self.cached_tokens = 0
        self.times = SequenceTimes()
        self.finish_reason: FinishReason | None = None
        self.is_aborted = False
        self.is_failed = False
        self._wants_logprobs = sampling.logprobs is not None
        self._sampler = Sampler(sampling, prompt_tokens)
        self._stop_tokens = stop_tokens
        self._detokenizer = detokenizer
        self._token_bytes = token_bytes
        self._constraint = constraint
        self._text: list[str] = []
        self._forced_tokens = 0
        self._sink = sink
        self._lookup = PromptLookup()

    @property
    def pending(self) -> int:
        """Tokens that must be computed before the next one can be sampled."""
        return len(self.tokens) - self.computed

    @property
    def is_prefilling(self) -> bool:
        """Whether more than the newest token is missing, counting what a preemption lost."""
        return self.computed < self.prompt_length

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be generated."""
        return self.finish_reason is not None

    def guess(self, limit: int) -> list[int]:
        """Tokens that may come next; worth a try only when nothing but the newest token is to be computed."""
        if self.pending != 1 or self.is_prefilling:
            return []
        return self._lookup.guess(self.tokens, min(limit, self.max_length - len(self.tokens) - 1))

    def advance(self, guessed: list[int], rows: Logits) -> None:
        """Sample on from (1 + len(guessed), vocab_size) rows of logits, which are overwritten.

        Row 0 follows the newest token, row n the nth guess; it counts when the guesses up to there came true.
        Raises: ConstraintFailed, ValueError (logits that are not numbers).
        """
        first, at = len(self.tokens), 0
        while not self.is_finished:
            self._advance_one(rows[at])
            new = len(self.tokens) - first  # more than one where the constraint forced some
            if new > len(guessed) or self.tokens[first + at :] != guessed[at:new]:
                break
            at = new
        if guessed:
            self._lookup.learn(len(guessed), common_prefix(guessed, self.tokens[first:]), len(self.tokens))

    def _advance_one(self, logits: Logits) -> None:
        allowed = self._constraint.allowed() if self._constraint is not None else None
        sample = self._sampler.choose(logits, allowed)
        if sample.token in self._stop_tokens:
            self._finish("stop")
            return
        if self._constraint is not None:
            self._constraint.accept(sample.token)
        self._append(sample)
        if not self.is_finished:
            self.jump_forward()

    def jump_forward(self) -> None:
        """Append what the constraint forces, without a model step; ends the output when nothing more is permitted."""
        if self._constraint is None:
            return
        # Forced tokens have no distribution to report, so with logprobs every token is sampled.
        forced = [] if self._wants_logprobs else self._constraint.forced()
        for left, token in zip(range(len(forced) - 1, -1, -1), forced, strict=True):
            self._forced_tokens += 1
            self._append(Sample(token), is_last=left == 0)
            if self.is_finished:
                return
        if self._constraint.is_complete:
            self._finish("stop")

    def fail(self, error: InferenceError) -> None:
        """End the request with an error instead of a result."""
        self.finish_reason = "stop"
        self.is_failed = True
        self._sink(error)

    def _append(self, sample: Sample, *, is_last: bool = True) -> None:
        """Take a token in; ``is_last`` unless the constraint has already accepted more that follow it."""
        self.tokens.append(sample.token)
        if not self.times.first_token_at_s:
            self.times.first_token_at_s = time.monotonic()
        self._sampler.note(sample.token)
        text = self._detokenizer.push(sample.token)
        logprobs = (self._logprob(sample),) if self._wants_logprobs else ()
        if text or logprobs:
            self._text.append(text)
            self._sink(Delta(text, logprobs))
        if self._detokenizer.is_stopped:
            self._finish("stop")
        elif len(self.tokens) >= self.max_length:
            is_whole = is_last and self._constraint is not None and self._constraint.is_complete
            self._finish("stop" if is_whole else "length")

    def _finish(self, reason: FinishReason) -> None:
        text = self._detokenizer.flush()
        self._text.append(text)
        if self._constraint is not None and reason == "stop":
            self._constraint.validate("".join(self._text))
        self.finish_reason = reason
        self._sink(Delta(text, (), reason, self.usage()))

    def _logprob(self, sample: Sample) -> TokenLogprob:
        top = tuple((self._token_bytes[token], logprob) for token, logprob in sample.top)
        return TokenLogprob(self._token_bytes[sample.token], sample.logprob, top)

    def usage(self) -> Usage:
        """What the request has taken so far."""
        now_s, times = time.monotonic(), self.times
        return Usage(
            prompt_tokens=self.prompt_length,
            completion_tokens=len(self.tokens) - self.prompt_length,
            cached_tokens=self.cached_tokens,
            forced_tokens=self._forced_tokens,
            queue_s=max(0.0, times.admitted_at_s - times.submitted_at_s),
            ttft_s=max(0.0, times.first_token_at_s - times.submitted_at_s),
            total_s=now_s - times.submitted_at_s,
        )
