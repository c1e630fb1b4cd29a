"""Requests join, share, give way and leave without ever changing each other's output. Every cell is accounted for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from inference.backends.base import CacheExhausted, DecodeFailed
from inference.backends.fake import FakeBackend
from inference.engine.base import Delta
from inference.errors import EngineFailed, NotReady, QueueFull, QueueTimeout

MakeDriver = Callable[..., Any]


def alone(prompt: str, max_tokens: int, make_driver: MakeDriver) -> str:
    """The output of a request that has the engine to itself."""
    driver = make_driver(FakeBackend(end_bias=-20.0))
    _, heard = driver.submit(prompt, max_tokens)
    driver.run()
    return str(heard.text)


def test_a_full_queue_refuses_with_a_time_to_come_back(make_driver: MakeDriver) -> None:
    """The bound counts running and waiting requests; the refusal names both numbers."""
    driver = make_driver(FakeBackend(), queue_limit=2, max_sequences=1)
    for _ in range(3):
        driver.submit("hello")
    with pytest.raises(QueueFull, match="3 requests are running or waiting, at most 3") as caught:
        driver.submit("hello")
    assert caught.value.retry_after_s is not None
    driver.run()
    driver.submit("hello")
    driver.run()
    driver.check()


def test_aborts_on_their_way_take_nobodys_place(make_driver: MakeDriver) -> None:
    """Many clients that leave at once do not make the queue look full."""
    driver = make_driver(FakeBackend(), queue_limit=4, max_sequences=1)
    ids = [driver.submit("hello")[0] for _ in range(4)]
    driver.step()
    for _ in range(10):
        driver.loop.abort("somebody else")
    driver.loop._settle()
    assert driver.loop.unfinished == 4
    driver.submit("hello")
    for request_id in ids:
        driver.loop.abort(request_id)
    driver.run()
    assert driver.loop.unfinished == 0
    driver.check()


def test_a_request_that_waits_too_long_is_told(make_driver: MakeDriver) -> None:
    """Its turn does not come, so it ends with an error, and the running one goes on."""
    driver = make_driver(FakeBackend(end_bias=-20.0, step_delay_s=0.002), max_sequences=1, queue_timeout_s=0.05)
    _, first = driver.submit("first", 100)
    _, second = driver.submit("second", 4)
    driver.step(60)
    assert isinstance(second.error, QueueTimeout)
    driver.run()
    assert first.finish_reason == "length"
    driver.check()


def test_nothing_is_taken_while_closing(driver: Any) -> None:
    """After close a submission is refused instead of being lost."""
    driver.loop.close()
    with pytest.raises(NotReady):
        driver.submit("hello")


def test_one_request_ends_at_its_limit(driver: Any) -> None:
    """The limit on new tokens is exact and reported as such."""
    _, heard = driver.submit("hello", 10)
    driver.run()
    assert heard.finish_reason == "length"
    assert (heard.usage.prompt_tokens, heard.usage.completion_tokens) == (5, 10)
    assert len(heard.text) == 10
    driver.check()


def test_the_models_own_end_is_a_stop(make_driver: MakeDriver) -> None:
    """An end token finishes the output and is not shown."""
    driver = make_driver(FakeBackend(end_bias=50.0))
    _, heard = driver.submit("hello", 10)
    driver.run()
    assert (heard.finish_reason, heard.text, heard.usage.completion_tokens) == ("stop", "", 0)


def test_a_stop_string_ends_the_output_before_it(driver: Any, make_driver: MakeDriver) -> None:
    """Text up to the stop string is delivered, the string is not."""
    whole = alone("hello", 40, make_driver)
    stop = whole[10:13]
    _, heard = driver.submit("hello", 40, stop=(stop,))
    driver.run()
    assert heard.finish_reason == "stop"
    assert heard.text == whole[: whole.index(stop)]


def test_requests_in_one_batch_do_not_change_each_other(driver: Any, make_driver: MakeDriver) -> None:
    """Each of many concurrent outputs equals what it is alone."""
    prompts = [f"prompt {number} " * (number + 1) for number in range(20)]
    heard = [driver.submit(prompt, 5 + number)[1] for number, prompt in enumerate(prompts)]
    driver.run()
    for number, prompt in enumerate(prompts):
        assert heard[number].text == alone(prompt, 5 + number, make_driver)
    assert driver.backend.largest_batch >= 4
    driver.check()


def test_requests_join_a_running_batch(driver: Any, make_driver: MakeDriver) -> None:
    """A late request is decoded together with the early one, which goes on."""
    _, early = driver.submit("early", 40)
    driver.step(8)
    before = len(early.text)
    _, late = driver.submit("late", 4)
    driver.step(6)
    assert late.finish_reason == "length"
    assert early.finish_reason is None
    assert len(early.text) > before
    driver.run()
    assert early.text == alone("early", 40, make_driver)
    assert late.text == alone("late", 4, make_driver)


def test_a_long_prompt_does_not_hold_up_running_answers(driver: Any) -> None:
    """While 400 tokens are prefilled in chunks, the running request gets a token in every step."""
    _, running = driver.submit("run", 60)
    driver.step(2)
    driver.submit("long " * 80, 4)
    for _ in range(10):
        before = len(running.text)
        driver.step()
        assert len(running.text) == before + 1


def test_a_shared_prefix_is_computed_once(driver: Any) -> None:
    """A second request with the same beginning computes only its own end, and says so."""
    prefix = "system prompt that everybody shares, long enough. " * 4
    driver.submit(prefix + "one", 4)
    driver.run()
    computed = driver.backend.decoded_tokens
    _, second = driver.submit(prefix + "two", 4)
    driver.run()
    assert second.usage.cached_tokens == len(prefix)
    assert driver.backend.decoded_tokens - computed == 3 + 3
    driver.check()


def test_simultaneous_requests_with_one_prefix_compute_it_once(driver: Any) -> None:
    """Requests that arrive together wait for the first to compute their common beginning."""
    prefix = "a brand context that all of these requests have in common. " * 5
    heard = [driver.submit(f"{prefix}{number}", 3)[1] for number in range(8)]
    driver.run()
    assert all(item.finish_reason == "length" for item in heard)
    assert driver.backend.decoded_tokens < 2 * len(prefix)
    driver.check()


def test_a_conversation_keeps_its_cells_between_turns(driver: Any) -> None:
    """The next turn's prompt repeats the first turn and its answer; only the new message is computed."""
    _, first = driver.submit("user: hello there, how are you today?\n", 20)
    driver.run()
    history = "user: hello there, how are you today?\n" + first.text
    _, second = driver.submit(history + "\nuser: more", 4)
    driver.run()
    assert second.usage.cached_tokens == len(history) - 1
    driver.check()


def test_cached_outputs_equal_fresh_ones(driver: Any, make_driver: MakeDriver) -> None:
    """A prefix from the cache never changes an output, also when it was trimmed."""
    prompts = ["abcdefghijklmnop" + tail for tail in ("", "q", "qrs", "qrstuvwxyz", "X", "qrX")]
    for prompt in prompts * 2:
        _, heard = driver.submit(prompt, 6)
        driver.run()
        assert heard.text == alone(prompt, 6, make_driver)
        driver.check()


def test_the_least_recently_used_prefix_is_forgotten_first(make_driver: MakeDriver) -> None:
    """When cells run short the oldest unused prefix goes, the newest stays."""
    driver = make_driver(FakeBackend(context_tokens=100, cell_count=130, end_bias=-20.0))
    for letter in "abc":
        driver.submit(letter * 50, 2)
        driver.run()
    _, newest = driver.submit("c" * 50 + "!", 2)
    driver.run()
    assert newest.usage.cached_tokens == 50
    _, oldest = driver.submit("a" * 50 + "!", 2)
    driver.run()
    assert oldest.usage.cached_tokens == 0
    driver.check()


def test_when_cells_run_out_the_youngest_gives_way_and_goes_on_later(make_driver: MakeDriver) -> None:
    """Outputs that together outgrow the cache are all finished, unchanged by preemption."""
    driver = make_driver(FakeBackend(context_tokens=120, cell_count=150, end_bias=-20.0), max_sequences=4)
    prompts = [f"{number} grows " for number in range(4)]
    heard = [driver.submit(prompt, 70)[1] for prompt in prompts]
    driver.run()
    for prompt, item in zip(prompts, heard, strict=True):
        assert item.finish_reason == "length"
        assert item.text == alone(prompt, 70, make_driver)
    driver.check()


def test_an_aborted_request_frees_its_place_at_once(make_driver: MakeDriver) -> None:
    """Running or waiting, it disappears, and the next in line is admitted."""
    driver = make_driver(FakeBackend(end_bias=-20.0), max_sequences=1)
    first_id, first = driver.submit("first", 100)
    second_id, second = driver.submit("second", 100)
    _, third = driver.submit("third", 3)
    driver.step(5)
    driver.loop.abort(second_id)
    driver.loop.abort(first_id)
    driver.run()
    assert first.finish_reason is None
    assert second.items == []
    assert third.finish_reason == "length"
    assert driver.loop.counters.aborted == 2
    driver.check()


def test_a_failed_step_fails_what_is_running_and_the_engine_goes_on(driver: Any) -> None:
    """The requests in flight get an error; the next one is served from a clean cache."""
    _, first = driver.submit("first", 10)
    driver.step(2)
    driver.backend.fail_next = DecodeFailed("the device is on fire")
    driver.step()
    assert isinstance(first.error, EngineFailed)
    assert "on fire" in first.error.message
    _, second = driver.submit("second", 4)
    driver.run()
    assert second.finish_reason == "length"
    driver.check()


def test_a_cache_that_is_fuller_than_the_ledger_says_is_rebuilt(driver: Any, make_driver: MakeDriver) -> None:
    """No request is lost when backend and ledger disagree; everything is computed again."""
    _, heard = driver.submit("hello", 10)
    driver.step(4)
    driver.backend.fail_next = CacheExhausted()
    driver.run()
    assert heard.text == alone("hello", 10, make_driver)
    driver.check()


def test_cells_that_went_astray_are_found_when_idle(driver: Any, make_driver: MakeDriver) -> None:
    """A ledger that does not add up is noticed, counted and replaced by an empty cache."""
    _, first = driver.submit("hello", 4)
    driver.run()
    assert driver.loop.counters.cache_problems == 0
    driver.loop.scheduler.slots._owners[987654] += 1
    _, second = driver.submit("hello", 4)
    driver.run()
    assert driver.loop.counters.cache_problems == 1
    driver.check()
    assert first.text == second.text == alone("hello", 4, make_driver)


def test_an_engine_that_keeps_failing_takes_no_more_requests(driver: Any) -> None:
    """After three failures in a row callers are told to restart it instead of waiting for ever."""
    for number in range(3):
        driver.submit(f"request {number}", 4)
        driver.backend.fail_next = DecodeFailed("broken")
        driver.step()
    with pytest.raises(NotReady, match="failed 3 times"):
        driver.submit("one more")


@pytest.mark.parametrize("seed", range(6))
def test_random_traffic_leaves_nothing_unaccounted(seed: int, make_driver: MakeDriver) -> None:
    """Joins, aborts, shared prefixes, preemptions and failures in any order: each request ends, each cell is known."""
    rng = random.Random(seed)
    backend = FakeBackend(context_tokens=160, cell_count=400, slot_count=10)
    driver = make_driver(backend, max_sequences=6)
    prefixes = ["brand voice: " + "x" * 30, "another system prompt, rather long as they are", ""]
    live: dict[str, Any] = {}
    for _ in range(400):
        if rng.random() < 0.35 and len(live) < 20:
            prompt = rng.choice(prefixes) + "".join(rng.choices("abcd", k=rng.randint(1, 40)))
            request_id, heard = driver.submit(prompt, rng.randint(1, 60), temperature=rng.choice([0.0, 1.0]), seed=seed)
            live[request_id] = (heard, prompt)
        if live and rng.random() < 0.08:
            request_id = rng.choice(list(live))
            driver.loop.abort(request_id)
            del live[request_id]
        if rng.random() < 0.01:
            backend.fail_next = rng.choice([DecodeFailed("random"), CacheExhausted()])
        driver.step()
        driver.check()
    backend.fail_next = None
    driver.run()
    driver.check()
    for heard, _ in live.values():
        last = heard.items[-1]
        assert isinstance(last, EngineFailed) or (isinstance(last, Delta) and last.finish_reason is not None)
    assert driver.loop.unfinished == 0
    assert not any(slot.is_held for slot in driver.loop.scheduler.slots.slots)
