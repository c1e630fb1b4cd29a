"""Posting on copies of five networks in a real browser: layouts, delays, refusals, and what is found afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    Credential,
    MediaRef,
    Reconciled,
    ReconciledOutcome,
)
from automation.actions.post_social import PostSocial, PostSocialParams
from tests.sites.networks import NETWORKS, Options, State, create_app
from tests.sites.serving import serve

pytestmark = pytest.mark.browser

TEXT = "Line one #bread\n\nLine three @jo\n  indented 👩‍👩‍👧‍👦 & https://example.com/x"
NEEDS_FILE = ("instagram", "tiktok", "youtube")
PLATFORMS = tuple(NETWORKS)


class Box:
    """A connected account on the copy of one network."""

    def __init__(self, stack: ExitStack, make_context: Callable[..., ActionContext], folder: Path) -> None:
        self._stack, self._make_context, self._folder = stack, make_context, folder
        self.begun = 0
        self.session: dict[str, Any] | None = None
        self.platform = ""
        self.state = State(NETWORKS["linkedin"], Options())
        self.base_url = ""

    def site(self, platform: str, **options: Any) -> None:
        app = create_app(platform, Options(**options))
        self.platform, self.state = platform, app.state.network
        self.base_url = self._stack.enter_context(serve(app))

    def media(self) -> tuple[MediaRef, ...]:
        """One file of the kind that the network takes."""
        kind, name = ("image/png", "a b.png") if self.platform == "instagram" else ("video/mp4", "film.mp4")
        content = b"bytes of " + name.encode()
        digest = hashlib.sha256(content).hexdigest()
        (self._folder / digest).write_bytes(content)
        return (MediaRef(sha256=digest, filename=name, media_type=kind),)

    def context(self, *, handle: str = "acme", password: str = "s3cret", **changes: Any) -> ActionContext:
        def begin() -> None:
            assert self.state.post_attempts == 0, "nothing may be posted before the point of no return"
            self.begun += 1

        values: dict[str, Any] = {
            "account": Account(self.platform, handle, self.base_url),
            "credential": Credential("acme@example.com", password),
            "before_irreversible": begin,
            "load_session": lambda: self.session,
            "save_session": lambda state: setattr(self, "session", state),
            "media_path": lambda ref: self._folder / ref.sha256,
        }
        return self._make_context(**(values | changes))

    def params(self, text: str, *, has_file: bool | None = None) -> PostSocialParams:
        if has_file is None:
            has_file = self.platform in NEEDS_FILE
        media = self.media() if has_file else ()
        return PostSocialParams(platform=self.platform, text=text, media=media)  # type: ignore[arg-type]

    def post(self, text: str = TEXT, *, has_file: bool | None = None, **changes: Any) -> ActionResult:
        return PostSocial().execute(self.params(text, has_file=has_file), self.context(**changes))

    def reconcile(self, text: str, began_at: datetime) -> Reconciled:
        return PostSocial().reconcile(self.params(text), self.context(), began_at)


@pytest.fixture
def box(make_context: Callable[..., ActionContext], tmp_path: Path) -> Iterator[Box]:
    """A box with an account; ``site`` starts its network."""
    folder = tmp_path / "media"
    folder.mkdir()
    with ExitStack() as stack:
        yield Box(stack, make_context, folder)


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies answer at once, so that waiting for them can be short."""
    monkeypatch.setattr("automation.sites.browser_site.CONFIRM_TIMEOUT_S", 2.0)
    monkeypatch.setattr("automation.sites.browser_site.PROFILE_LOOKS_S", (0.0, 0.3))


@pytest.mark.parametrize(
    ("platform", "options", "changes", "code"),
    [
        ("linkedin", {"login_step": "captcha"}, {}, "captcha"),
        ("linkedin", {"drop_newlines": True}, {}, "text_mismatch"),
        ("facebook", {}, {"password": "wrong"}, "login_failed"),
        ("instagram", {}, {"handle": "globex"}, "wrong_account"),
        ("instagram", {"refuse_media": "The file could not be uploaded."}, {}, "media_refused"),
        ("youtube", {"login_step": "code"}, {}, "login_challenge"),
    ],
)
@pytest.mark.slow
def test_nothing_is_posted_when_something_is_wrong(
    box: Box, platform: str, options: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    """Refused logins, puzzles, codes, other accounts, altered texts and refused files end before the click."""
    box.site(platform, **options)
    with pytest.raises(ActionError) as caught:
        box.post(**changes)
    assert caught.value.code == code, caught.value.message
    assert "s3cret" not in caught.value.message
    assert (box.begun, box.state.posts) == (0, [])


@pytest.mark.parametrize("platform", NEEDS_FILE)
def test_networks_of_pictures_take_no_text_alone(box: Box, platform: str) -> None:
    """What the platform never takes is refused before a browser is opened."""
    box.site(platform)
    with pytest.raises(ActionError) as caught:
        box.post("hi", has_file=False)
    assert caught.value.code == "media_refused"


@pytest.mark.slow
def test_a_refused_post_is_quoted_and_known_not_to_be_out(box: Box) -> None:
    """What the platform says instead of taking the post is the error, also where it holds a word like "posted"."""
    box.site("linkedin", refuse_posts="This can’t be posted: you already said that.")
    with pytest.raises(ActionError) as caught:
        box.post("hi")
    assert (caught.value.code, caught.value.is_refused, box.begun) == ("post_refused", True, 1)
    assert "you already said that" in caught.value.message


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    "options",
    [
        {"has_consent": True},
        {"variant": "b", "two_step": True, "slow_s": 0.3, "has_consent": True},
    ],
)
def test_posts_exactly_the_text(box: Box, platform: str, options: dict[str, Any]) -> None:
    """Text and file arrive byte for byte, through a banner, other markup, a login in two steps and slow pages."""
    box.site(platform, **options, has_offer=platform == "instagram")
    has_file = platform in NEEDS_FILE or options.get("variant") != "b"
    result = box.post(has_file=has_file)
    (post,) = box.state.posts
    # YouTube has a title and a description: the empty line between them is gone.
    assert post.text == (TEXT.replace("\n\n", "\n", 1) if platform == "youtube" else TEXT)
    assert post.files == [ref.sha256 for ref in box.params(TEXT, has_file=has_file).media]
    assert result.data["text"] == TEXT
    assert post.id in result.data["url"]
    assert [e.kind for e in result.evidence] == ["screenshot", "screenshot", "url"]


@pytest.mark.slow
def test_a_kept_session_needs_no_login_and_an_expired_one_does(box: Box) -> None:
    """The second post goes without the password; a session that the site forgot is replaced by a new login."""
    box.site("linkedin")
    box.post("First")
    box.state.post_attempts = 0
    box.post("Second", password="not needed")
    assert box.state.login_count == 1
    box.state.sessions.clear()
    box.state.post_attempts = 0
    box.post("Third")
    assert (box.state.login_count, [p.text for p in box.state.posts]) == (2, ["Third", "Second", "First"])


@pytest.mark.slow
@pytest.mark.parametrize("platform", ["facebook", "instagram"])
def test_a_post_that_appears_late_is_settled_by_a_later_look(box: Box, platform: str) -> None:
    """Lost and not yet shown it is unconfirmed; looking again says unknown, then finds it, and never an older one."""
    box.site(platform, lose_answer=True, hidden_looks=3)
    old = box.state.add("acme", TEXT, [], datetime.now(UTC) - timedelta(hours=1))
    began_at = datetime.now(UTC)
    with pytest.raises(ActionError) as caught:
        box.post()
    assert (caught.value.code, caught.value.is_refused, len(box.state.posts)) == ("unconfirmed", False, 2)
    assert box.reconcile(TEXT, began_at).outcome == ReconciledOutcome.UNKNOWN
    found = box.reconcile(TEXT, began_at)
    assert found.outcome == ReconciledOutcome.HAPPENED
    assert found.result is not None
    assert box.state.posts[0].id in found.result.data["url"]
    assert old.id not in found.result.data["url"]
    assert box.state.post_attempts == 1
