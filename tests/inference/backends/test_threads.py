"""The number of threads follows what is measured, and trying costs little."""

from __future__ import annotations

from collections.abc import Callable

from inference.backends.threads import ThreadCount


def run(count: ThreadCount, steps: int, cost: Callable[[int], float], tokens: int = 1) -> list[int]:
    """Steps of a machine on which a step with n threads takes cost(n) seconds; returns the threads of each."""
    chosen = []
    for _ in range(steps):
        chosen.append(count.choose(tokens))
        count.note(tokens, cost(chosen[-1]))
    return chosen


def idle(threads: int) -> float:
    return 0.08 / threads


def beside_other_work(threads: int) -> float:
    return 0.08 if threads == 1 else 0.4


def test_long_steps_are_tried_late_on_an_idle_machine() -> None:
    """A long prompt is not made longer by a try in its first seconds, and hardly later."""
    chosen = run(ThreadCount(4), 400, idle, 256)
    assert chosen[:300].count(4) == 300
    assert chosen.count(4) >= 399


def test_long_steps_beside_other_work_are_helped_too() -> None:
    """After a few seconds of slow steps, and at once when steps become slow."""
    assert run(ThreadCount(2), 60, beside_other_work, 256)[-20:].count(1) == 20
    count = ThreadCount(2)
    run(count, 20, idle, 256)
    assert run(count, 20, beside_other_work, 256)[-10:].count(1) == 10


def test_one_thread_is_all_there_is() -> None:
    """Nothing to choose on one core."""
    assert set(run(ThreadCount(1), 100, idle)) == {1}


def test_trying_costs_little_on_an_idle_machine() -> None:
    """All threads stay in use, and tries take a fiftieth of the time."""
    chosen = run(ThreadCount(4), 2000, idle)
    assert chosen.count(4) > 0.95 * len(chosen)
    assert sum(map(idle, chosen)) < 1.025 * len(chosen) * idle(4)


def test_other_work_is_noticed_and_its_end_too() -> None:
    """Within a second or so the slower way is left, and later the faster one is found again."""
    count = ThreadCount(2)
    assert run(count, 100, idle)[-1] == 2
    busy = run(count, 400, beside_other_work)
    assert busy[:40].count(2) <= 12
    assert busy[40:].count(1) > 0.95 * len(busy[40:])
    again = run(count, 600, idle)
    assert again[-20:].count(2) >= 18


def test_sizes_are_learnt_apart() -> None:
    """One token at a time may want one thread while eight want all."""
    count = ThreadCount(2)
    for _ in range(40):
        run(count, 5, lambda threads: 0.01 * threads, 1)
        run(count, 5, idle, 8)
    assert run(count, 40, lambda threads: 0.01 * threads, 1).count(1) >= 36
    assert run(count, 40, idle, 7).count(2) >= 36


def test_many_cores_are_climbed_in_halves() -> None:
    """16 threads go down to where it is fastest, and stay there."""
    count = ThreadCount(16)
    run(count, 500, lambda threads: abs(threads - 4) + 1.0)
    assert run(count, 50, lambda threads: abs(threads - 4) + 1.0).count(4) >= 46
