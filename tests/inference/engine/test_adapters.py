"""Requests with different adapters run side by side and never see each other's cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inference.backends.fake import FakeBackend
from inference.engine.scheduler import ADAPTER_TURN_STEPS

MakeDriver = Callable[..., Any]
ADAPTERS = (None, "brand", "legal")
PROMPT = "Write a post about the new bread, in our voice. "


def make_backend(**options: Any) -> FakeBackend:
    return FakeBackend(end_bias=-20.0, adapters=("brand", "legal"), **options)


def alone(make_driver: MakeDriver, **request: Any) -> str:
    driver = make_driver(make_backend())
    _, heard = driver.submit(**request)
    driver.run()
    return str(heard.text)


def test_a_prefix_is_not_shared_across_adapters(make_driver: MakeDriver) -> None:
    """The same prompt is computed once for each adapter, and once more for nobody."""
    driver = make_driver(make_backend())
    cached = []
    for adapter in (*ADAPTERS, *ADAPTERS):
        _, heard = driver.submit(PROMPT, 4, adapter=adapter)
        driver.run()
        cached.append(heard.usage.cached_tokens)
        assert heard.text == alone(make_driver, prompt=PROMPT, max_tokens=4, adapter=adapter)
    assert cached[:3] == [0, 0, 0]
    assert min(cached[3:]) >= len(PROMPT) - 1
    driver.check()


@pytest.mark.parametrize("cells", [4096, 160])
def test_adapters_take_turns_and_outputs_stay_their_own(make_driver: MakeDriver, cells: int) -> None:
    """With room and without, every output is that of the request alone, and none stands still for long."""
    requests = [
        {"prompt": f"{PROMPT}{number % 4}", "max_tokens": 30, "adapter": ADAPTERS[number % 3]} for number in range(9)
    ]
    driver = make_driver(make_backend(context_tokens=120, cell_count=cells))
    heard = [driver.submit(**request)[1] for request in requests]
    driver.step(4 * (ADAPTER_TURN_STEPS + 1))
    if cells == 4096:
        assert all(item.text for item in heard[:8])
    driver.run()
    for request, item in zip(requests, heard, strict=True):
        assert item.error is None
        assert item.text == alone(make_driver, **request)
    driver.check()
