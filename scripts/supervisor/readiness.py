"""Waits until the app says that everything is ready, and tells meanwhile what is being waited for."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_POLL_S = 0.5
_ANSWER_TIMEOUT_S = 5.0


class NotReady(Exception):
    """Herald did not get ready, and will not by waiting."""


@dataclass(frozen=True, slots=True)
class Health:
    """One answer of ``/readyz``; ``waits_for`` is empty when everything is ready."""

    waits_for: str
    failure: str = ""


def read_health(answer: dict[str, Any] | None) -> Health:
    """Say in words what the answer of ``/readyz`` means; None stands for no answer."""
    if answer is None:
        return Health("Starting the app")
    inference = answer.get("inference") or {}
    match inference.get("status"):
        case "ready":
            worker = answer.get("worker") or {}
            if worker.get("status") in {"ready", "ok"}:
                return Health("" if answer.get("status") == "ok" else "Opening the database")
            return Health("Starting the worker")
        case "failed":
            return Health("", f"The model could not be loaded: {inference.get('detail') or 'no detail was given'}")
        case "loading":
            return Health("Loading the model")
        case _:
            return Health("Starting inference")


def fetch(url: str) -> dict[str, Any] | None:
    """The JSON body of ``url`` whatever its status (``/readyz`` answers 503 until ready); None when nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy: it is this machine
    try:
        with opener.open(url, timeout=_ANSWER_TIMEOUT_S) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return None
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def wait_until_ready(
    url: str, show: Callable[[str, float], None], keep_going: Callable[[], bool], limit_s: float
) -> bool:
    """Poll ``url`` until everything is ready; False when ``keep_going`` says no.

    ``show`` is called with what is waited for and the seconds so far.

    Raises: NotReady when the model failed to load, or after ``limit_s`` seconds.
    """
    started = time.monotonic()
    next_poll = started
    health = Health("Starting the app")
    while keep_going():
        now = time.monotonic()
        if now >= next_poll:
            health = read_health(fetch(url))
            next_poll = time.monotonic() + _POLL_S
        if health.failure:
            raise NotReady(health.failure)
        if not health.waits_for:
            return True
        if now - started > limit_s:
            raise NotReady(f"Herald was not ready after {limit_s:.0f} s; it was still at: {health.waits_for}.")
        show(health.waits_for, now - started)
        time.sleep(0.1)
    return False
