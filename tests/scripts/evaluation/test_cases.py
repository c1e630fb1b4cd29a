"""The cases themselves: sound, and no near-copies on both sides."""

from __future__ import annotations

import re

from app.chat.dictation import dictation_of
from app.chat.features import evidence_of
from automation.urls import normalise_url
from scripts.evaluation.cases import Case, load_cases

DEV, TEST = load_cases("dev"), load_cases("test")
SAME_TEMPLATE = 0.8


def _words(case: Case) -> frozenset[str]:
    return frozenset(re.findall(r"<\w+>|\w+", evidence_of(case.turns[-1]).frame))


def test_no_author_and_no_template_stands_on_both_sides() -> None:
    """Otherwise the test cases would measure memory."""
    assert not {case.author for case in DEV} & {case.author for case in TEST}
    known = [(case.id, _words(case)) for case in DEV]
    for case in TEST:
        words = _words(case)
        if len(words) >= 6:
            near = [id_ for id_, other in known if len(words & other) / len(words | other) >= SAME_TEMPLATE]
            assert not near, f"{case.id} is nearly {near}"


def test_every_case_is_sound() -> None:
    """What is expected stands in what the user said, or in the draft that was shown."""
    for case in [*DEV, *TEST]:
        _check(case)


def _check(case: Case) -> None:
    assert len(case.replies) == len(case.turns) - 1, case.id
    said = " ".join(
        [*case.turns, *(reply["reply"] for reply in case.replies), *(str(r["action"]) for r in case.replies)]
    )
    if case.expected is None:
        return
    params = case.expected["params"]
    if case.type == "post_social":
        text = params["text"]
        exact = text if isinstance(text, str) else text.get("drafted", "")
        assert exact in said, case.id
        return
    normalise_url(params["url"])
    assert params["url"].casefold() in said.casefold(), case.id
    assert all(value in said for value in params.get("fields", {}).values()), case.id


def test_there_are_enough_cases_of_every_kind() -> None:
    """Languages, styles, several turns and every type on both sides."""
    assert len(DEV) + len(TEST) >= 600
    for side in (DEV, TEST):
        assert {case.type for case in side} == {"null", "post_social", "scrape_url", "fill_form"}
        assert len({case.language for case in side}) >= 3
        assert any(len(case.turns) > 1 for case in side)
        assert any(dictation_of(case.turns[-1]) for case in side)
