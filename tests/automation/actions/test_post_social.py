"""Posting on a copy of X in a real browser: what cannot be posted is not, what was posted is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from automation.actions.base import Account, ActionContext, ActionError, ActionResult, Credential
from automation.actions.post_social import PostSocial, PostSocialParams
from automation.sites.base import Post
from automation.sites.x import X
from tests.sites.serving import serve
from tests.sites.social import Options, State, create_app

pytestmark = pytest.mark.browser


class Box:
    """A connected account on a copy of X."""

    def __init__(self, stack: ExitStack, make_context: Callable[..., ActionContext]) -> None:
        self._stack, self._make_context = stack, make_context
        self.begun = 0
        self.session: dict[str, Any] | None = None
        self.state = State(Options())
        self.base_url = ""

    def site(self, **options: Any) -> None:
        app = create_app(Options(**options))
        self.state = app.state.social
        self.base_url = self._stack.enter_context(serve(app))

    def post(self, text: str, *, handle: str = "acme", password: str = "s3cret", **changes: Any) -> ActionResult:
        def begin() -> None:
            assert self.state.post_attempts == 0, "nothing may be posted before the point of no return"
            self.begun += 1

        context = self._make_context(
            account=Account("x", handle, self.base_url),
            credential=Credential("acme", password),
            before_irreversible=changes.pop("before_irreversible", begin),
            load_session=lambda: self.session,
            save_session=lambda state: setattr(self, "session", state),
            **changes,
        )
        return PostSocial().execute(PostSocialParams(platform="x", text=text), context)


@pytest.fixture
def box(make_context: Callable[..., ActionContext]) -> Iterator[Box]:
    """A box with an account; ``site`` starts its copy of X."""
    with ExitStack() as stack:
        yield Box(stack, make_context)


@pytest.mark.parametrize(
    ("options", "changes", "code"),
    [
        ({}, {"password": "wrong"}, "login_failed"),
        ({"login_step": "captcha"}, {}, "captcha"),
        ({"login_step": "unusual"}, {}, "login_challenge"),
        ({}, {"handle": "globex"}, "wrong_account"),
        ({"drop_newlines": True}, {}, "text_mismatch"),
    ],
)
def test_nothing_is_posted_when_something_is_wrong(
    box: Box, options: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    """A refused login, a puzzle, another account and a composer that alters the text end before the click."""
    box.site(**options)
    with pytest.raises(ActionError) as caught:
        box.post("one\ntwo", **changes)
    assert caught.value.code == code, caught.value.message
    assert "s3cret" not in caught.value.message
    assert (box.begun, box.state.posts) == (0, [])
    assert caught.value.evidence[-1].kind == "screenshot"


def test_over_long_text_never_opens_a_browser(box: Box) -> None:
    """The limit is checked again before anything starts."""
    with pytest.raises(ActionError) as caught:
        box.post("a" * 281)
    assert caught.value.code == "text_refused"


def test_a_commit_that_fails_stops_the_click(box: Box) -> None:
    """When the point of no return cannot be recorded, the button is not clicked."""

    def refuse() -> None:
        raise ActionError("disk full")

    box.site()
    with pytest.raises(ActionError, match="disk full"):
        box.post("hi", before_irreversible=refuse)
    assert box.state.post_attempts == 0


def test_a_refused_post_is_quoted(box: Box) -> None:
    """What the platform says instead of taking the post is the error."""
    box.site(refuse_posts="Whoops! You already said that.")
    with pytest.raises(ActionError) as caught:
        box.post("hi")
    assert caught.value.code == "post_refused"
    assert "Whoops! You already said that." in caught.value.message
    assert (box.begun, caught.value.retryable) == (1, False)


def test_a_lost_answer_is_unconfirmed(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clicked but not confirmed is its own error, which says to look before trying again."""
    monkeypatch.setattr("automation.sites.browser_site.CONFIRM_TIMEOUT_S", 1.0)
    monkeypatch.setattr("automation.sites.browser_site.PROFILE_LOOKS_S", (0.0, 0.2))
    box.site(lose_answer=True)
    with pytest.raises(ActionError) as caught:
        box.post("hi")
    assert (caught.value.code, caught.value.retryable) == ("unconfirmed", False)
    assert "/acme" in caught.value.hint
    assert len(box.state.posts) == 1


def test_posts_exactly_the_text_and_keeps_the_session(box: Box) -> None:
    """Line breaks, hashtags, names, emoji and markup arrive byte for byte; the next post needs no login."""
    box.site(has_consent=True)
    text = "Line one #bread\n\nLine three @jo\n  indented 👩‍👩‍👧‍👦 <b>&amp; https://example.com/x"
    said: list[str] = []
    result = box.post(text, progress=said.append)
    assert [post.text for post in box.state.posts] == [text]
    assert result.data["text"] == text
    assert result.data["url"] == f"{box.base_url}/acme/status/{box.state.posts[0].id}"
    assert result.summary == f"Posted on X as @acme: {result.data['url']}"
    assert [(e.kind, e.url) for e in result.evidence] == [
        ("screenshot", ""),
        ("screenshot", ""),
        ("url", result.data["url"]),
    ]
    assert said[-3:] == ["Posting", "Looking for the new post", "Opening the new post"]
    box.state.post_attempts = 0
    box.post("Second", password="not needed any more")
    assert box.state.login_count == 1
    assert [post.text for post in box.state.posts] == [text, "Second"]


def test_expired_session_logs_in_again(box: Box) -> None:
    """A stored session that the site forgot is replaced by a new login."""
    box.site(hide_toast=True)
    box.session = {"cookies": [{"name": "auth_token", "value": "old", "url": box.base_url}], "origins": []}
    result = box.post("Found in the timeline")
    assert box.state.login_count == 1
    assert result.data["url"].endswith(str(box.state.posts[0].id))


def test_measure_is_xs_own() -> None:
    """The card measures as the composer does."""
    measure = X().check(Post("日本 https://example.com"))
    assert (measure.length, measure.limit, measure.problem) == (28, 280, "")
