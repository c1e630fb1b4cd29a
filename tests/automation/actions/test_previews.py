"""What the cards show before approval, and the schemas that the model is held to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from automation.actions.base import Account
from automation.actions.fill_form import FillForm, FillFormParams
from automation.actions.post_social import PostSocial, PostSocialParams
from automation.actions.registry import ACTION_TYPES
from automation.actions.scrape_url import ScrapeUrl, ScrapeUrlParams

ACME = Account("x", "@acme", "https://x.com")
LOCAL = Account("x", "globex", "http://127.0.0.1:9101")


def post(text: str = "hi", account: str = "") -> PostSocialParams:
    return PostSocialParams(platform="x", text=text, account=account)


def test_params_refuse_what_is_not_theirs() -> None:
    """Unknown keys, unknown platforms and missing values are validation errors."""
    for bad in (
        {"platform": "x", "text": "a", "when": "now"},
        {"platform": "myspace", "text": "a"},
        {"platform": "x", "text": ""},
    ):
        with pytest.raises(ValidationError):
            PostSocialParams.model_validate(bad)
    with pytest.raises(ValidationError):
        FillFormParams.model_validate({"url": "x", "fields": {}})


@pytest.mark.parametrize(
    ("accounts", "account", "problem"),
    [
        ((), "", "herald accounts add x"),
        ((Account("bluesky", "acme", "https://bsky.app"),), "", "No X account"),
        ((ACME,), "other", "@other is not connected"),
        ((ACME, LOCAL), "", "@acme, @globex"),
    ],
)
def test_account_problems_stop_approval(accounts: tuple[Account, ...], account: str, problem: str) -> None:
    """No account, a wrong one or an open choice is a problem that says what to do, and no account is bound."""
    action, params = PostSocial(), post(account=account)
    line = next(line for line in action.preview(params, accounts) if line.label == "Account")
    assert problem in line.problem
    assert action.account_for(params, accounts) is None


def test_over_long_and_hidden_text_is_shown_as_such() -> None:
    """The text line carries the exact text, its length, its hidden characters and the problem."""
    line = PostSocial().preview(post("a" * 281), (ACME,))[2]
    assert (line.note, "at most 280" in line.problem) == ("281 / 280", True)
    line = PostSocial().preview(post("pay\u202e now"), (ACME,))[2]
    assert line.value == "pay\u202e now"
    assert "1 invisible character: U+202E" in line.note


def test_a_post_that_can_run() -> None:
    """Platform, account and text; the only account is taken, a named one is found in any spelling."""
    lines = PostSocial().preview(post("We open at 9am tomorrow!"), (ACME,))
    assert [(line.label, line.value, line.problem) for line in lines] == [
        ("Platform", "X", ""),
        ("Account", "@acme", ""),
        ("Text", "We open at 9am tomorrow!", ""),
    ]
    assert lines[2].note == "24 / 280"
    assert PostSocial().account_for(post(account="@GLOBEX"), (ACME, LOCAL)) == LOCAL
    assert PostSocial().preview(post(account="globex"), (ACME, LOCAL))[1].note == "on http://127.0.0.1:9101"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a.example/b", "javascript:alert(1)", "https://", "a b"])
def test_an_address_that_cannot_be_opened_is_refused_with_the_reason(url: str) -> None:
    """Such an action is never proposed: there is nothing to approve in it."""
    with pytest.raises(ValidationError, match=r"cannot be opened|names no site|contains a space"):
        ScrapeUrlParams(url=url)
    with pytest.raises(ValidationError):
        FillFormParams(url=url, fields={"name": "Jo"})


def test_address_and_field_lines() -> None:
    """Addresses are shown as they will be opened, fields with their exact values."""
    assert ScrapeUrl().preview(ScrapeUrlParams(url="example.com"), ())[0].value == "https://example.com/"
    lines = FillForm().preview(FillFormParams(url="example.com", fields={"Name": " Jo\u200b ", " ": "x"}), ())
    assert [(line.label, line.value) for line in lines[1:]] == [("Name", " Jo\u200b "), (" ", "x")]
    assert "U+200B" in lines[1].note
    assert lines[2].problem


def test_every_type_is_described_and_its_schema_is_closed() -> None:
    """The registry's names, titles and schemas are what the model and the API rely on."""
    assert set(ACTION_TYPES) == {"post_social", "scrape_url", "fill_form"}
    for name, action in ACTION_TYPES.items():
        schema = action.params_class.model_json_schema()
        assert action.name == name
        assert action.title
        assert action.description.endswith(".")
        assert schema["additionalProperties"] is False
