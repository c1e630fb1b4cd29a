"""How many threads a step is computed with, found by trying.

A step's threads meet at hundreds of barriers. Beside other work (a browser, say) one of them is often not running when
the others arrive, and all together are then several times slower than one alone; a very small model may be faster on
one thread even on an idle machine. So now and then a step is computed with half or twice as many threads, and whatever
takes less time stays.
"""

from __future__ import annotations

from dataclasses import dataclass

# A step of more tokens takes so long that the first try waits until a few seconds were spent on such steps.
QUICK_TOKENS = 32
FIRST_PROBE_AFTER_STEPS = 3
FIRST_PROBE_AFTER_S = 8.0
# Tries may cost this share of the time, or one step in so many where they cost next to nothing.
PROBE_SHARE = 0.02
PROBE_EVERY_STEPS = 32
# A change must save this share to be made, and a step must take so much longer than usual to be looked into at once.
WORTHWHILE = 0.9
ALARMING = 1.6
SMOOTHING = 0.2


@dataclass(slots=True)
class _Shape:
    """Steps of about the same number of tokens. ``rung`` counts down from all threads, ``usual_s`` is per token,
    ``credit_s`` of computing must pass before the next try."""

    rung: int
    credit_s: float
    usual_s: float = 0.0
    steps: int = 0
    probed: int | None = None
    goes_down: bool = True


class ThreadCount:
    """Chooses among all threads, a half, a quarter … and one, for each size of step by itself."""

    def __init__(self, most: int) -> None:
        self._ladder = [most]
        while self._ladder[-1] > 1:
            self._ladder.append((self._ladder[-1] + 1) // 2)
        self._shapes: dict[int, _Shape] = {}
        self._quick_rung = 0  # where a quick step of which nothing is known begins

    def choose(self, tokens: int) -> int:
        """Threads for a step of so many tokens; its time must be told to ``note`` next."""
        shape = self._shape(tokens)
        return self._ladder[shape.rung if shape.probed is None else shape.probed]

    def note(self, tokens: int, seconds: float) -> None:
        """Learn from the step that was just computed with the chosen threads."""
        if len(self._ladder) == 1:
            return
        shape = self._shape(tokens)
        if shape.probed is not None:
            self._decide(shape, shape.probed, tokens, seconds)
            return
        if 0 < shape.usual_s * tokens * ALARMING < seconds:
            shape.credit_s, shape.steps = 0.0, FIRST_PROBE_AFTER_STEPS
        shape.usual_s += (seconds / tokens - shape.usual_s) * (SMOOTHING if shape.usual_s else 1.0)
        shape.credit_s -= seconds
        shape.steps += 1
        if shape.credit_s <= 0 and shape.steps >= FIRST_PROBE_AFTER_STEPS:
            self._begin_probe(shape)

    def _shape(self, tokens: int) -> _Shape:
        # 1, 2, 3 and 4 tokens each alone, then up to 8, 16, 32 …: within them a token takes about as long.
        size = tokens if tokens <= 4 else 1 << (tokens - 1).bit_length()
        shape = self._shapes.get(size)
        if shape is None:
            is_quick = tokens <= QUICK_TOKENS
            shape = _Shape(self._quick_rung, 0.0) if is_quick else _Shape(0, FIRST_PROBE_AFTER_S)
            self._shapes[size] = shape
        return shape

    def _begin_probe(self, shape: _Shape) -> None:
        if shape.rung == (len(self._ladder) - 1 if shape.goes_down else 0):
            shape.goes_down = not shape.goes_down
        shape.probed = shape.rung + (1 if shape.goes_down else -1)

    def _decide(self, shape: _Shape, probed: int, tokens: int, seconds: float) -> None:
        usual_s, shape.probed = shape.usual_s * tokens, None
        if seconds < WORTHWHILE * usual_s:
            shape.rung, shape.usual_s, shape.steps, shape.credit_s = probed, seconds / tokens, 0, 0.0
            if tokens <= QUICK_TOKENS:
                self._quick_rung = probed
            return
        shape.goes_down = not shape.goes_down
        shape.credit_s = max((seconds - usual_s) / PROBE_SHARE, PROBE_EVERY_STEPS * usual_s)
