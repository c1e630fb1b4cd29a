"""Compares what was proposed with what a case expects, and adds the outcomes up."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.chat.platforms import can_post_to
from automation.errors import ActionError
from automation.urls import normalise_url
from scripts.evaluation.cases import Case

TYPES = ("null", "post_social", "scrape_url", "fill_form")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case came to.

    Attributes:
        wanted, got: action types, "null" for none; ``got`` "invalid" when the product answered with an error.
        is_exact: right type and exactly the right params.
        seconds: the last turn's time, 0 where no turn was run.
        detail: what was proposed or which error came.
    """

    id: str
    wanted: str
    got: str
    is_exact: bool
    seconds: float
    detail: str


def wanted_type(case: Case) -> str:
    """The expected type on this box: a network that it cannot post to is answered in words."""
    if case.expected and case.type == "post_social" and not can_post_to(case.expected["params"]["platform"]):
        return "null"
    return case.type


def is_exact(case: Case, action: dict[str, Any] | None, reply_before: str) -> bool:
    """Whether ``action`` is exactly what the case expects.

    Args:
        reply_before: the assistant's reply before the last turn, where a draft stands.
    """
    got_type = action["type"] if action else "null"
    if got_type != wanted_type(case):
        return False
    if action is None or case.expected is None:
        return True
    got, want = action["params"], case.expected["params"]
    match got_type:
        case "post_social":
            return got["platform"] == want["platform"] and _is_text(got["text"], want["text"], reply_before)
        case "scrape_url":
            return _is_same_page(got["url"], want["url"])
        case _:
            return _is_same_page(got["url"], want["url"]) and _folded(got["fields"]) == _folded(want["fields"])


def _is_text(got: str, want: str | dict[str, Any], reply_before: str) -> bool:
    if isinstance(want, str):
        return got == want
    return bool(got.strip()) and ("drafted" not in want or got in reply_before)


def _is_same_page(got: str, want: str) -> bool:
    try:
        return normalise_url(got) == normalise_url(want)
    except ActionError:
        return False


def _folded(fields: dict[str, str]) -> dict[str, str]:
    return {name.casefold(): value for name, value in fields.items()}


def print_report(outcomes: Sequence[Outcome], cases: dict[str, Case], *, shows_failures: bool = True) -> None:
    """The figures, the confusion table and the failures."""
    null = [o for o in outcomes if o.wanted == "null"]
    print(f"cases             {len(outcomes)}")
    print(f"right type        {_share(sum(o.got == o.wanted for o in outcomes), len(outcomes))}")
    print(f"exact params      {_share(sum(o.is_exact for o in outcomes), len(outcomes))}")
    acting = [o for o in outcomes if o.wanted != "null"]
    print(f"  of the actions  {_share(sum(o.is_exact for o in acting), len(acting))}")
    print(f"false on null     {_share(sum(o.got not in {'null', 'invalid'} for o in null), len(null))}")
    print(f"invalid           {sum(o.got == 'invalid' for o in outcomes)}")
    if timed := sorted(o.seconds for o in outcomes if o.seconds):
        p95 = timed[min(len(timed) - 1, round(0.95 * len(timed)))]
        print(f"seconds a turn    p50 {statistics.median(timed):.2f}, p95 {p95:.2f}")
    columns = [*TYPES, "invalid"]
    print("\nwanted \\ got  " + "".join(f"{name:>12}" for name in columns))
    for row in TYPES:
        counts = Counter(o.got for o in outcomes if o.wanted == row)
        print(f"{row:14}" + "".join(f"{counts[name]:>12}" for name in columns))
    if shows_failures:
        print()
        for o in outcomes:
            if not o.is_exact:
                print(f"{o.wanted} → {o.got}: {o.id}: {' || '.join(cases[o.id].turns)!r}\n    {o.detail}")


def _share(count: int, of: int) -> str:
    return f"{count / of:7.2%}  ({count} of {of})" if of else "   none"
