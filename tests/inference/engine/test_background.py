"""Background requests fill the engine and never stand in the way of a person who waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inference.backends.fake import FakeBackend

MakeDriver = Callable[..., Any]


def running(driver: Any) -> list[bool]:
    """For each running sequence whether it is a background one."""
    return [sequence.is_background for sequence in driver.loop.scheduler.running]


def test_background_leaves_one_place_free_for_others(make_driver: MakeDriver) -> None:
    """However many wait, an interactive request is admitted in the next step."""
    driver = make_driver(FakeBackend(end_bias=-20.0), max_sequences=4)
    for number in range(8):
        driver.submit(f"background {number}", 40, is_background=True)
    driver.step(3)
    assert running(driver) == [True] * 3
    driver.submit("a person", 4)
    driver.step()
    assert running(driver) == [True, True, True, False]
    driver.run()
    driver.check()


def test_background_slows_a_person_down_in_few_steps_and_never_stands_still(make_driver: MakeDriver) -> None:
    """Most steps compute the person's answer alone; nobody's output changes."""
    texts = []
    for has_person in (False, True):
        driver = make_driver(FakeBackend(end_bias=-20.0), max_sequences=4)
        heard = [driver.submit(f"background {number}", 30, is_background=True)[1] for number in range(3)]
        driver.step(8)
        if has_person:
            before = [len(other.text) for other in heard]
            _, person = driver.submit("a person", 80)
            steps = 0
            while person.finish_reason is None:
                driver.step()
                steps += 1
            assert steps <= 82
            gained = [len(other.text) - start for other, start in zip(heard, before, strict=True)]
            assert all(8 <= count <= 12 for count in gained)
        driver.run()
        driver.check()
        texts.append([other.text for other in heard])
    assert texts[0] == texts[1]


def test_background_waits_behind_everybody_who_came_later(make_driver: MakeDriver) -> None:
    """With one place only, the interactive request that came last is the next to run."""
    driver = make_driver(FakeBackend(end_bias=-20.0), max_sequences=1)
    driver.submit("running", 3)
    heard = [driver.submit(f"background {number}", 3, is_background=True)[1] for number in range(3)]
    _, person = driver.submit("a person", 3)
    while person.finish_reason is None:
        assert not any(other.items for other in heard)
        driver.step()
    driver.run()
    assert [other.finish_reason for other in heard] == ["length"] * 3
    driver.check()


def test_background_takes_no_place_in_the_queue_and_never_times_out(make_driver: MakeDriver) -> None:
    """The queue's limits are for those who wait for an answer."""
    driver = make_driver(
        FakeBackend(end_bias=-20.0, step_delay_s=0.002), max_sequences=1, queue_limit=0, queue_timeout_s=0.02
    )
    heard = [driver.submit(f"background {number}", 20, is_background=True)[1] for number in range(3)]
    _, person = driver.submit("a person", 2)
    driver.run()
    assert person.error is None
    assert all(other.error is None and other.finish_reason == "length" for other in heard)
    driver.check()


def test_background_gives_its_cells_to_a_person_and_ends_the_same(make_driver: MakeDriver) -> None:
    """An interactive request that does not fit beside them is admitted at once; their outputs do not change."""
    texts = []
    for is_crowded in (False, True):
        driver = make_driver(FakeBackend(context_tokens=128, cell_count=160, end_bias=-20.0), max_sequences=4)
        heard = [driver.submit(str(number) * 30, 20, is_background=True)[1] for number in range(3)]
        driver.step(5)
        if is_crowded:
            driver.submit("p" * 100, 4)
            driver.step()
            assert False in running(driver)
        driver.run()
        driver.check()
        texts.append([other.text for other in heard])
    assert texts[0] == texts[1]
