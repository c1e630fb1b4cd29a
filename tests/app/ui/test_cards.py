"""The card shows exactly what would run, and offers only what can be done."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.client import Action
from app.ui import cards
from tests.app.ui.fake_api import ACTION_TYPES, FakeBox

SCHEMAS = cast(dict[str, dict[str, Any]], {t["name"]: t["params_schema"] for t in ACTION_TYPES})


def proposal(text: str = "We open at 9am", **changes: Any) -> Action:
    """A post that waits for approval."""
    action = FakeBox().propose("post_social", {"platform": "x", "text": text, "account": ""}, None)
    return cast(Action, {**action, **changes})


def test_a_card_with_a_problem_cannot_be_approved() -> None:
    """The button is off and the reason stands beside the value."""
    html = cards.card(proposal("x" * 300), SCHEMAS)
    assert "20 characters too long" in html
    assert 'data-event="approve"' in html
    approve = html[html.index('data-event="approve"') :]
    assert "disabled" in approve[: approve.index(">")]


@pytest.mark.parametrize("status", ["sending", "cancelled", "succeeded", "failed", "rejected", "expired"])
def test_a_decided_card_offers_no_decision(status: str) -> None:
    """No button of a decided card decides again."""
    html = cards.card(proposal(status=status), SCHEMAS)
    assert "data-event=" not in html
    assert cards.STATUS_TEXT[status] in html


def test_the_card_shows_the_exact_text_and_its_length() -> None:
    """Markup and hidden characters in the text are visible, the digest goes with the button."""
    action = proposal("a <b>\u200b")
    html = cards.card(action, SCHEMAS)
    assert "a &lt;b&gt;" in html
    assert "U+200B" in html
    assert "6 / 280" in html
    assert f'data-digest="{action["digest"]}"' in html


def test_a_failed_card_says_why_and_what_to_do() -> None:
    """Message and hint of the error are both there."""
    error = {"code": "login_failed", "message": "X refused the login.", "hint": "Check the password."}
    html = cards.card(proposal(status="failed", error=error), SCHEMAS)
    assert "X refused the login." in html
    assert "Check the password." in html


def test_a_finished_card_ends_with_the_evidence() -> None:
    """Screenshot, final address and what was read are shown; an odd address is no link."""
    evidence = [
        {"kind": "screenshot", "label": "After", "url": "/api/v1/actions/a/evidence/after.png"},
        {"kind": "url", "label": "Final", "url": "javascript:alert(1)"},
    ]
    result = {"summary": "Read it.", "text": "Apples <2 €", "links": [], "final_url": "https://example.org/"}
    html = cards.card(proposal(status="succeeded", result=result, evidence=evidence), SCHEMAS)
    assert '<img src="/api/v1/actions/a/evidence/after.png" alt="After"' in html
    assert "Apples &lt;2 €" in html
    assert 'href="javascript' not in html
    assert 'href="https://example.org/"' in html
    assert "Links" not in html


def test_a_long_result_says_how_much_is_left_out() -> None:
    """A page of 500,000 characters does not fill the browser."""
    html = cards.card(proposal(status="succeeded", result={"summary": "Read.", "text": "x" * 10_000}), SCHEMAS)
    assert "6,000 more characters" in html


def test_a_running_card_says_what_is_going_on() -> None:
    """The worker's phrase is shown with a line that counts the seconds."""
    html = cards.card(
        proposal(status="sending", progress="opening the page", decided_at="2026-11-21T00:00:00Z"), SCHEMAS
    )
    assert "Opening the page…" in html
    assert 'data-since="2026-11-21T00:00:00Z"' in html
    assert "data-live" in html


def test_an_approved_card_can_only_be_cancelled() -> None:
    """And asks once more before it is."""
    html = cards.card(proposal(status="approved"), SCHEMAS)
    assert html.count("data-event=") == 1
    assert 'data-event="cancel"' in html
    assert "data-confirm" in html


def test_a_held_card_says_why_and_until_when() -> None:
    """In place of a spinner."""
    held = {"reason": "Quiet hours: <22:00>.", "until": "2026-11-22T06:00:00Z"}
    html = cards.card(proposal(status="approved", held=held), SCHEMAS)
    assert "Held: Quiet hours: &lt;22:00&gt;." in html
    assert 'datetime="2026-11-22T06:00:00Z"' in html
    assert "h-spinner" not in html


def test_an_unconfirmed_card_asks_what_became_of_it() -> None:
    """With what is known and what a look found; nothing offers to send it again."""
    error = {"code": "interrupted", "message": "It may have gone out.", "hint": "", "looked": "Not on the profile."}
    html = cards.card(proposal(status="unconfirmed", error=error), SCHEMAS)
    assert "It may have gone out." in html
    assert "Not on the profile." in html
    assert 'data-event="settle"' in html
    assert 'data-event="approve"' not in html


def test_media_are_shown_from_this_machine_with_hidden_characters_in_their_names() -> None:
    """Only a hash becomes an address; a name with a bidirectional override shows it."""
    ref = {"sha256": "a" * 64, "filename": "x\u202egnp.exe", "media_type": "image/png", "alt": "<b>"}
    bad = ref | {"sha256": "https://evil.example/" + "a" * 43}
    html = cards.card(proposal(params={"platform": "x", "text": "t", "media": [ref, bad]}), SCHEMAS)
    assert f'src="/api/v1/media/{"a" * 64}?project_id=prj_default"' in html
    assert "U+202E" in html
    assert "evil.example" not in html[: html.index("h-edit")]
    assert "<b>" not in html


def test_a_card_says_who_has_approved_and_who_is_missing() -> None:
    """One of two people."""
    html = cards.card(proposal(people_needed=2, approvals=[{"by": "Ada", "at": "2026-11-21T00:00:00Z"}]), SCHEMAS)
    assert "Approved by Ada. It needs 1 more person." in html
