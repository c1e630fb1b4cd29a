"""What a site module declares of its web pages: addresses, and marks by which their parts are found.

A mark is a Playwright selector. Every part has several, because sites show different markup to different visitors: the
first one of which something visible is found wins. Marks of meaning (roles, names, labels) stand beside test ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Marks = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The login of a site, in one step (name and password together) or several.

    Attributes:
        path: where it is.
        logged_in: what only somebody who is logged in sees.
        logged_out: what says that nobody is, besides the login's own fields.
        next_step: the button after the name, where the password comes on a page of its own.
        refused: where the site says that it does not accept the login.
        asks_more: a question for more than the password; a person must answer it.
        skip: the button that goes past an offer after the login ("Save your login info?").
        identity: what shows who is logged in, as text or as a link to the own profile.
        identity_opener: what must be clicked for that to be seen.
        identity_pattern: takes the handle out of that text or address; group 1.
    """

    path: str
    logged_in: Marks
    username: Marks
    password: Marks
    submit: Marks
    identity: Marks
    identity_pattern: str
    identity_opener: Marks = ()
    logged_out: Marks = ()
    next_step: Marks = ()
    refused: Marks = ()
    asks_more: Marks = ()
    skip: Marks = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Composer:
    """Where a post is put together.

    Attributes:
        opener: what opens it on the home page; empty where it stands there.
        path: its own page instead, if it has one.
        editors: one for each text that the site takes (see ``BrowserSite.texts``), in that order.
        media_opener: what must be clicked before the file input is there.
        file_input: the input that takes files; it is usually hidden.
        media_pending, media_ready, media_failed: what is to be seen while a file is sent, after it, and when refused.
        after_media: buttons on the way from the files to the text, in their order.
        suggestions: a list that opens at hashtags and names and would swallow the Enter key.
        before_publish: choices and buttons on the way from the text to the publish button, in their order.
        optional_next: a button that some visitors must press before they see the one that publishes.
        publish: the button that publishes.
    """

    publish: Marks
    editors: tuple[Marks, ...]
    path: str = ""
    opener: Marks = ()
    media_opener: Marks = ()
    file_input: Marks = ("input[type=file]",)
    media_pending: Marks = ()
    media_ready: Marks = ()
    media_failed: Marks = ()
    after_media: tuple[Marks, ...] = ()
    suggestions: Marks = ()
    before_publish: tuple[Marks, ...] = ()
    optional_next: Marks = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Where posts are seen: what the site says after publishing, the account's list of posts, a post's own page.

    ``post`` … ``time`` and those that begin with ``own_`` are CSS selectors. ``body`` empty: the list shows no texts
    and the newest posts are opened. ``link`` is an address inside a post; ``link_from`` instead makes it from an
    attribute of the post: (attribute, address with ``{}``).
    """

    path: str
    post: str
    own_post: str
    own_body: str
    link: str = ""
    link_from: tuple[str, str] = ("", "")
    body: str = ""
    time: str = ""
    own_time: str = ""
    notice: Marks = ()
    sent_words: str = r"\bsent\b|\bposted\b|\bshared\b|\bpublished\b|\bsuccessful\b"
    pending_words: str = r"\bposting\b|\bsharing\b|\bpublishing\b|\buploading\b|\bprocessing\b"
    sent_link: Marks = ()


def find(page: Page, marks: Marks) -> Locator | None:
    """The first visible element of the first mark that has one, or None."""
    for mark in marks:
        visible = page.locator(mark).filter(visible=True).first
        if visible.count():
            return visible
    return None


def words_of(found: Locator | None) -> str:
    """The beginning of an element's text, in one line and in quotation marks: the site's words, shown, not followed."""
    text = " ".join((found.inner_text() or "").split()) if found is not None else ""
    return f"“{text[:200]}”" if text else ""
