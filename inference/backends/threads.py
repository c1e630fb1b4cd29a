"""How many threads a step is computed with, found by trying.

A step's threads meet at hundreds of barriers. Beside other work (a browser, say) one of them is often not running when
the others arrive, and all together are then several times slower than one alone; a very small model may be faster on
one thread even on an idle machine. So now and then a step is computed with half or twice as many threads, and whatever
takes less time stays.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

# Steps are of four kinds: one token, a few, a batch, a prompt. What holds for one kind need not hold for another.
LARGEST_OF_KIND = (1, 4, 32)
KNOWN_AFTER_STEPS = 3
# A prompt's step takes so long that the first try waits until a few seconds were spent on prompts.
FIRST_PROMPT_PROBE_AFTER_S = 8.0
# Tries may cost this share of the time, or one step in so many where they cost next to nothing.
PROBE_SHARE = 0.02
PROBE_EVERY_STEPS = 32
# A change must save this share to be made, and a step must take so much longer than usual to be looked into at once.
WORTHWHILE = 0.9
ALARMING = 1.6
SMOOTHING = 0.2


@dataclass(slots=True)
class _Usual:
    """What a step of a certain number of tokens usually takes with the present number of threads."""

    mean_s: float = 0.0
    steps: int = 0

    def learn(self, seconds: float) -> None:
        self.mean_s += (seconds - self.mean_s) * (SMOOTHING if self.steps else 1.0)
        self.steps += 1


@dataclass(slots=True)
class _Kind:
    """Steps of one kind. ``rung`` counts down from all threads; ``credit_s`` of computing must pass before the next
    try; steps are compared with such of the same size only."""

    rung: int = 0
    credit_s: float = 0.0
    probed: int | None = None
    goes_down: bool = True
    usual: dict[int, _Usual] = field(default_factory=dict)


class ThreadCount:
    """Chooses among all threads, a half, a quarter … and one, for each kind of step by itself."""

    def __init__(self, most: int) -> None:
        self._ladder = [most]
        while self._ladder[-1] > 1:
            self._ladder.append((self._ladder[-1] + 1) // 2)
        self._kinds = [*(_Kind() for _ in LARGEST_OF_KIND), _Kind(credit_s=FIRST_PROMPT_PROBE_AFTER_S)]

    def choose(self, tokens: int) -> int:
        """Threads for a step of so many tokens; its time must be told to ``note`` next."""
        kind, usual = self._look_up(tokens)
        if len(self._ladder) > 1 and kind.credit_s <= 0 and usual.steps >= KNOWN_AFTER_STEPS:
            if kind.rung == (len(self._ladder) - 1 if kind.goes_down else 0):
                kind.goes_down = not kind.goes_down
            kind.probed = kind.rung + (1 if kind.goes_down else -1)
        return self._ladder[kind.rung if kind.probed is None else kind.probed]

    def note(self, tokens: int, seconds: float) -> None:
        """Learn from the step that was just computed with the chosen threads."""
        kind, usual = self._look_up(tokens)
        if kind.probed is None:
            if usual.steps >= KNOWN_AFTER_STEPS and seconds > ALARMING * usual.mean_s:
                kind.credit_s = 0.0
            usual.learn(seconds)
            kind.credit_s -= seconds
        elif seconds < WORTHWHILE * usual.mean_s:
            kind.rung, kind.probed, kind.credit_s = kind.probed, None, 0.0
            kind.usual.clear()
        else:
            kind.goes_down, kind.probed = not kind.goes_down, None
            excess_s = seconds - usual.mean_s
            kind.credit_s = max(excess_s / PROBE_SHARE, PROBE_EVERY_STEPS * usual.mean_s)

    def _look_up(self, tokens: int) -> tuple[_Kind, _Usual]:
        number = bisect_left(LARGEST_OF_KIND, tokens)
        size = tokens if number < len(LARGEST_OF_KIND) else -(-tokens // LARGEST_OF_KIND[-1])
        kind = self._kinds[number]
        return kind, kind.usual.setdefault(size, _Usual())
