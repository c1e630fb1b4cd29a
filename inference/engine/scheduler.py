"""Decides each step: who is admitted, what is computed, who gives way. Knows tokens and cells, never text or HTTP.

First come, first served. Sequences that are already generating go first in every step; the rest of the step's token
budget goes to prompts, in chunks, so that a long prompt never holds up running answers for long. Background sequences
wait behind all others, leave one place in the batch free, give way when cells are short, and take part in few of the
steps in which others take part: a full batch computes a step several times slower than one answer alone.

An adapter changes the weights for a whole step, so sequences with different ones take turns.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from inference.backends.base import Backend, Span
from inference.engine.sequences import Sequence
from inference.engine.slots import SlotTable, common_prefix
from inference.engine.speculation import StepCosts
from inference.errors import QueueTimeout

# A prompt waits for another that is computing the same beginning when waiting saves at least so many tokens.
MIN_AWAITED_TOKENS = 32
# Background sequences take part in one of so many steps while others run: enough not to stand still for ever.
BACKGROUND_EVERY_STEPS = 8
# Steps before another adapter gets its turn: a change makes llama.cpp build its graph anew.
ADAPTER_TURN_STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the running batch. ``step_tokens`` is the budget of a step with nothing but prompts,
    ``mixed_step_tokens`` of one in which answers are generated too, ``guess_step_tokens`` of one that computes a single
    answer with what is guessed to come next; 1 never guesses."""

    max_sequences: int
    step_tokens: int = 256
    mixed_step_tokens: int = 96
    guess_step_tokens: int = 8
    queue_timeout_s: float = 120.0


class Scheduler:
    """The waiting queue, the running batch and the slots. Used by the engine's one thread only."""

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.slots = SlotTable(backend)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._limits = limits
        self._background_limit = max(1, limits.max_sequences - 1)
        self.preempted = 0
        self._background_turn = 0  # 0 is theirs
        self._adapter: str | None = None
        self._adapter_steps = 0
        self._max_batch_tokens = backend.info.max_batch_tokens
        self.costs = StepCosts()
        self._guess_tokens = limits.guess_step_tokens if backend.info.can_trim else 1

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self.waiting or self.running)

    def add(self, sequence: Sequence) -> None:
        """Queue a new sequence, before those that run in the background unless it is one of them."""
        if sequence.is_background:
            self.waiting.append(sequence)
        else:
            self.waiting.insert(self._interactive_count(), sequence)

    def put_back(self, sequence: Sequence) -> None:
        """Queue a sequence that was admitted before, as the next of its kind."""
        sequence.slot, sequence.computed = None, 0
        self.waiting.insert(self._interactive_count() if sequence.is_background else 0, sequence)

    def _interactive_count(self) -> int:
        return sum(not other.is_background for other in self.waiting)

    def retire(self) -> None:
        """Take finished and aborted sequences out and keep their tokens as cached prefixes."""
        for sequence in [s for s in self.running if s.is_finished or s.is_aborted]:
            self.running.remove(sequence)
            if sequence.slot is not None:
                self.slots.release(sequence.slot, keep=True)
                sequence.slot = None
        if any(s.is_finished or s.is_aborted for s in self.waiting):
            self.waiting = deque(s for s in self.waiting if not (s.is_finished or s.is_aborted))

    def plan(self) -> list[tuple[Sequence, Span]]:
        """Admit who fits and choose what the next step computes. Every span's cells are free when this returns."""
        self._expire()
        self._admit()
        self._background_turn = (self._background_turn + 1) % BACKGROUND_EVERY_STEPS
        guess_tokens = self._guess_tokens
        while True:
            planned = self._spans(guess_tokens)
            needed = sum(len(span.tokens) for _, span in planned)
            if self.slots.make_room(needed):
                return planned
            guess_tokens = 1  # nobody gives way to a guess
            if len(self.running) == 1:
                return self._shrunk(planned)
            self._preempt(self._youngest_background() or self.running[-1])

    def commit(self, sequence: Sequence, span: Span) -> int:
        """Note that a planned span was computed and keep what the sequence really says; returns how much that is."""
        assert sequence.slot is not None
        kept = common_prefix(span.tokens, sequence.tokens[span.position : span.position + len(span.tokens)])
        self.slots.extend(sequence.slot, span.tokens)
        sequence.computed = self.slots.cut(sequence.slot, span.position + kept)
        return kept

    def _expire(self) -> None:
        oldest_s = time.monotonic() - self._limits.queue_timeout_s
        late = [
            s
            for s in self.waiting
            if s.times.submitted_at_s < oldest_s and not s.times.admitted_at_s and not s.is_background
        ]
        for sequence in late:
            sequence.fail(
                QueueTimeout(
                    f"The request waited {self._limits.queue_timeout_s:.0f} s for its turn, which is the limit. "
                    "Send it again when there is less to do.",
                    retry_after_s=10.0,
                )
            )
        if late:
            self.retire()

    def _admit(self) -> None:
        skipped: list[Sequence] = []
        while self.waiting and len(self.running) < self._limits.max_sequences:
            sequence = self.waiting.popleft()
            if sequence.is_background and len(self.running) >= self._background_limit:
                self.waiting.appendleft(sequence)
                break
            if self._should_await_prefix(sequence):
                skipped.append(sequence)
                continue
            is_admitted = self._admit_one(sequence)
            while not is_admitted and not sequence.is_background and (victim := self._youngest_background()):
                self._preempt(victim)
                is_admitted = self._admit_one(sequence)
            if not is_admitted:
                self.waiting.appendleft(sequence)
                break
        self.waiting.extendleft(reversed(skipped))

    def _admit_one(self, sequence: Sequence) -> bool:
        if self.running:
            owed = sum(other.pending for other in self.running)
            cached = self.slots.longest_prefix(sequence.tokens, sequence.adapter)
            needed = owed + len(sequence.tokens) - cached + len(self.running)
            # What can be reclaimed takes a while to count, so it is counted only when it matters.
            if needed > self.slots.free_cells and needed > self.slots.free_cells + self.slots.reclaimable_cells():
                return False
        found = self.slots.acquire(sequence.tokens, sequence.adapter)
        if found is None:
            return False
        sequence.slot, sequence.computed = found
        if not sequence.times.admitted_at_s:
            sequence.times.admitted_at_s = time.monotonic()
            sequence.cached_tokens = sequence.computed
        self.running.append(sequence)
        return True

    def _should_await_prefix(self, sequence: Sequence) -> bool:
        """Whether a running prompt is about to compute a beginning that this one shares."""
        prefilling = [s for s in self.running if s.is_prefilling and s.adapter == sequence.adapter]
        if not prefilling:
            return False
        known = self.slots.longest_prefix(sequence.tokens, sequence.adapter)
        for other in prefilling:
            start, end = other.computed, other.prompt_length
            ours = sequence.tokens[: len(sequence.tokens) - 1]
            goal = min(end, len(ours), start + MIN_AWAITED_TOKENS)
            if goal - known >= MIN_AWAITED_TOKENS and other.tokens[:goal] == ours[:goal]:
                return True
        return False

    def _spans(self, guess_tokens: int) -> list[tuple[Sequence, Span]]:
        taking_part = self._taking_part()
        generating = [s for s in taking_part if not s.is_prefilling]
        prefilling = [s for s in taking_part if s.is_prefilling]
        budget = self._limits.step_tokens
        if generating:
            budget = max(self._limits.mixed_step_tokens, sum(s.pending for s in generating))
        budget = min(budget, self._max_batch_tokens)
        planned: list[tuple[Sequence, Span]] = []
        for sequence in generating + prefilling:
            count = min(sequence.pending, budget)
            if count == 0:
                continue
            assert sequence.slot is not None
            start = sequence.computed
            tokens = sequence.tokens[start : start + count]
            rows = 1 if count == sequence.pending else 0
            if generating == [sequence] and not prefilling:
                # With more answers at once a step is full of arithmetic already.
                guessed = sequence.guess(guess_tokens - 1)
                if guessed and self.costs.pays(len(guessed)):
                    tokens, rows = tokens + guessed, rows + len(guessed)
            planned.append((sequence, Span(sequence.slot.number, start, tokens, rows)))
            budget -= count
        return planned

    def _taking_part(self) -> list[Sequence]:
        """Who is computed in this step, as far as turns decide that."""
        chosen = self.running
        if self._background_turn:
            chosen = [s for s in chosen if not s.is_background] or chosen
        adapters = list(dict.fromkeys(s.adapter for s in chosen))
        if len(adapters) < 2:
            return chosen
        self._adapter_steps += 1
        if self._adapter not in adapters or self._adapter_steps > ADAPTER_TURN_STEPS:
            position = adapters.index(self._adapter) if self._adapter in adapters else -1
            self._adapter = adapters[(position + 1) % len(adapters)]
            self._adapter_steps = 0
        return [s for s in chosen if s.adapter == self._adapter]

    def _shrunk(self, planned: list[tuple[Sequence, Span]]) -> list[tuple[Sequence, Span]]:
        """The one sequence that is left, cut to the cells that are left."""
        (sequence, span), free = planned[0], self.slots.free_cells
        if free == 0:
            return []
        tokens = span.tokens[:free]
        rows = span.logit_rows if len(tokens) == len(span.tokens) else 0
        return [(sequence, Span(span.slot, span.position, tokens, rows))]

    def _youngest_background(self) -> Sequence | None:
        return next((s for s in reversed(self.running) if s.is_background), None)

    def _preempt(self, sequence: Sequence) -> None:
        """Take a sequence out of the batch; it is computed again, from whatever prefix is cached then."""
        self.running.remove(sequence)
        assert sequence.slot is not None
        self.slots.release(sequence.slot, keep=False)
        self.preempted += 1
        self.put_back(sequence)
