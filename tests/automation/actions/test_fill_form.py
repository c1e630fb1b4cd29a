"""Filling forms in a real browser: nothing is guessed, nothing is sent twice, the answer is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from automation.actions.base import ActionContext, ActionError, ActionResult
from automation.actions.fill_form import FillForm, FillFormParams

pytestmark = pytest.mark.browser
Site = tuple[str, list[dict[str, Any]]]

BOOKING = {
    "Name": "Ann Lee",
    "e-mail": "ann@example.com",
    "guests": "4 people",
    "date": "24 December 2026",
    "time": "7:30 pm",
    "where would you like to sit": "terrace",
    "extras": "High chair, birthday cake",
    "I accept the house rules": "yes",
}


class Run:
    """Fills one form and remembers whether the point of no return was passed."""

    def __init__(self, make_context: Callable[..., ActionContext], site: Site) -> None:
        self.base, self.sent = site
        self.begun = 0
        self._context = make_context(before_irreversible=self._begin, timeout_s=45)

    def _begin(self) -> None:
        assert self.sent == [], "nothing may be sent before the point of no return"
        self.begun += 1

    def __call__(self, path: str, fields: dict[str, str]) -> ActionResult:
        return FillForm().execute(FillFormParams(url=self.base + path, fields=fields), self._context)


@pytest.fixture
def fill(make_context: Callable[..., ActionContext], form_site: Site) -> Run:
    """Fills a form of the test site."""
    return Run(make_context, form_site)


@pytest.mark.parametrize(
    ("path", "fields", "code", "words"),
    [
        (
            "/contact",
            {"name": "A", "fax": "1", "IBAN": "2"},
            "fields_not_found",
            ("“fax”, “IBAN”", "“Your name”", "“Message”"),
        ),
        ("/thanks", {"name": "A"}, "fields_not_found", ("no form",)),
        ("/steps", {"Street": "Mill Lane"}, "fields_not_found", ("Street (in Sender)", "Street (in Recipient)")),
        ("/booking", BOOKING | {"guests": "9"}, "value_refused", ("Number of guests", "“2 people”")),
        ("/booking", BOOKING | {"date": "03/04/2026"}, "value_refused", ("2026-12-24",)),
        ("/limits", {"nickname": "averylongname", "email": "a@b.de"}, "value_refused", ("at most 10", "has 13")),
        ("/limits", {"shout": "quiet", "email": "a@b.de"}, "value_refused", ("'QUIET'",)),
        ("/limits", {"email": "nonsense"}, "form_invalid", ("“Email”", "'@'")),
        ("/limits", {"nickname": "x"}, "form_invalid", ("“Email”", "fill out")),
        ("/captcha", {"name": "A"}, "captcha", ("captcha",)),
    ],
)
def test_nothing_is_submitted_when_something_does_not_fit(
    fill: Run, path: str, fields: dict[str, str], code: str, words: tuple[str, ...]
) -> None:
    """Missing and ambiguous fields, refused values and captchas end before the point of no return."""
    with pytest.raises(ActionError) as caught:
        fill(path, fields)
    assert caught.value.code == code, caught.value.message
    assert all(word in caught.value.message for word in words), caught.value.message
    assert (fill.begun, fill.sent, caught.value.retryable) == (0, [], False)
    assert [e.kind for e in caught.value.evidence] == ["screenshot"]


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/contact", {"name": "A", "email": "ann", "message": "hi"}, "Please enter a valid e-mail address."),
        ("/booking", BOOKING | {"I accept the house rules": "no"}, "Please accept the house rules."),
        ("/strict", {"code": "AB"}, "This code has been used already."),
    ],
)
def test_a_site_that_says_no_is_quoted(fill: Run, path: str, fields: dict[str, str], words: str) -> None:
    """Validation errors of the server and of scripts end in an error that quotes them."""
    with pytest.raises(ActionError) as caught:
        fill(path, fields)
    assert caught.value.code == "form_rejected"
    assert words in caught.value.message
    assert fill.begun == 1


@pytest.mark.parametrize(
    ("path", "fields", "kind", "sent", "answer"),
    [
        (
            "/contact",
            {"name": "Ann Lee", "email": "ann@example.com", "message": "Hello\nthere", "phone": "+44 20 7946 0018"},
            "contact",
            {"full_name": "Ann Lee", "message": "Hello\r\nthere", "phone": "+44 20 7946 0018", "website": ""},
            "We have your message and will answer",
        ),
        (
            "/booking",
            BOOKING,
            "booking",
            {"guests": "4", "date": "2026-12-24", "time": "19:30", "seat": "out", "extras": ["highchair", "cake"]},
            "Booked! Your reference is JB-0001.",
        ),
        (
            "/widgets",
            {
                "Flavour": "dark chocolate",
                "Town": "Bristol",
                "Size": "large",
                "Wrap as a gift": "yes",
                "words on the cake": "Hi",
            },
            "cake",
            {"flavour": "Dark chocolate", "town": "Bristol", "size": "Large", "gift": "true", "note": "Hi"},
            "Booked!",
        ),
        ("/multi", {"name": "A", "email": "a@b.de", "what do you need": "x"}, "quote", {"need": "x"}, "quote form"),
        ("/newsletter", {"email": "a@b.de"}, "newsletter", {"email": "a@b.de"}, "You are on the list."),
        (
            "/table",
            {"first name": "A", "phone": "123456", "best time to call": "afternoon"},
            "table",
            {"f3": "123456"},
            "Done",
        ),
        ("/shadow", {"feedback": "good"}, "feedback", {"feedback": "good"}, "Done"),
        ("/late", {"name": "x"}, "late", {"name": "x"}, "Done"),
        ("/overlay", {"name": "x"}, "overlay", {"name": "x"}, "Done"),
        ("/framed", {"name": "A", "email": "a@b.de", "message": "hi"}, "contact", {"full_name": "A"}, "Thank you!"),
        ("/slow", {"name": "x"}, "slow", {"name": "x"}, "arrived after a while"),
        ("/silent", {"name": "x"}, "silent", {"name": "x"}, ""),
        (
            "/steps",
            {"sender street": "Mill Lane", "parcel weight": "2"},
            "steps",
            {"s1": "Mill Lane", "s2": ""},
            "Done",
        ),
    ],
)
def test_forms_of_every_build_are_sent_once(
    fill: Run, path: str, fields: dict[str, str], kind: str, sent: dict[str, Any], answer: str
) -> None:
    """Labels, aria, tables, scripts, own widgets, shadow roots, frames and banners: the values arrive, once."""
    result = fill(path, fields)
    assert [item["kind"] for item in fill.sent] == [kind]
    assert sent.items() <= fill.sent[0]["values"].items()
    assert fill.begun == 1
    assert answer in result.data["answer"]
    assert bool(answer) == result.data["is_answered"]
    assert [e.filename[:2] for e in result.evidence] == ["01", "02", "03", ""]


def test_passwords_are_not_kept(fill: Run) -> None:
    """What is typed into a password field is in no result."""
    result = fill("/multi", {"email": "a@b.de", "password": "hunter2"})
    assert fill.sent[0] == {"kind": "login", "values": {"email": "a@b.de", "password": "hunter2"}}
    assert "hunter2" not in str(result)
