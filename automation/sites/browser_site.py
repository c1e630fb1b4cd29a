"""Publishing through a site's own web pages: the flow that all of them share. What differs is data (``layout``)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from automation.actions.base import ActionContext, ActionError
from automation.sites.base import Post, Published, Site, Unconfirmed, plain_handle
from automation.sites.layout import Composer, Login, Timeline, find, words_of
from automation.sites.timeline import SeenPost, is_match, is_same_text, parse_time, read_own_page, read_posts

if TYPE_CHECKING:
    from automation.session import BrowserSession

log = logging.getLogger(__name__)

CONFIRM_TIMEOUT_S = 20.0
PROFILE_LOOKS_S = (0.0, 3.0, 6.0)
_CLOCK_SKEW = timedelta(minutes=5)
_LOOK_UP_SKEW = timedelta(minutes=1)
_MAX_OPENED = 4
_LINK_AFTER_S = 1.5  # a site that links to the new post does so soon after it says that it is out
_NEGATION = r"\bnot\b|n[’']t\b|\bunable\b|\bfailed\b"


class BrowserSite(Site):
    """A site without an interface for programs that its users may have."""

    home: ClassVar[str]
    """The path where somebody who is logged in lands."""
    login: ClassVar[Login]
    composer: ClassVar[Composer]
    timeline: ClassVar[Timeline]
    own_url: ClassVar[str] = ""
    """What the addresses of an account's posts contain, ``{handle}`` in it; empty when they do not tell whose it is."""

    def texts(self, post: Post) -> tuple[str, ...]:
        """What goes into each of the composer's editors."""
        return (post.text,)

    def text_shown(self, post: Post) -> str:
        """The part of the text by which the post is recognised on its own page and in lists."""
        return post.text

    def time_of(self, url: str, shown: str) -> datetime | None:
        """When a post was made, from what the page shows; sites whose post numbers carry the time say better."""
        return parse_time(shown, datetime.now(UTC))

    def publish(self, post: Post, context: ActionContext) -> Published:
        """See ``Site.publish``."""
        from automation.browser import open_browser  # late: the web process never loads Playwright

        self.account_of(context)
        with open_browser(context, storage_state=context.load_session()) as session:
            return _Run(self, session, post, context).publish()

    def look_up(self, post: Post, context: ActionContext, began_at: datetime) -> Published | None:
        """See ``Site.look_up``: the account's own list of posts, read while logged in."""
        from automation.browser import open_browser

        self.account_of(context)
        with open_browser(context, storage_state=context.load_session()) as session:
            return _Run(self, session, post, context).look_up(began_at)


class _Run:
    """One post on one site in one browser."""

    def __init__(self, site: BrowserSite, session: BrowserSession, post: Post, context: ActionContext) -> None:
        self._site, self._session, self._post, self._context = site, session, post, context
        account = site.account_of(context)
        self._base_url, self._handle = account.base_url.rstrip("/"), plain_handle(account.handle)

    def publish(self) -> Published:
        """Raises: ActionError, Unconfirmed."""
        from automation.sites.composing import named_files

        with named_files(self._post.media, self._context) as paths:
            return self._publish(paths)

    def _publish(self, paths: list[Path]) -> Published:
        from automation.sites.composing import Composition

        site, session, context, post = self._site, self._session, self._context, self._post
        self._be_logged_in()
        before = {seen.url for seen in self._posts_here()}
        composition = Composition(session, site.composer, site.title)
        composition.open(self._base_url)
        composition.attach(paths, context)
        context.progress("Writing the post")
        composition.write(site.texts(post))
        button = composition.ready_button()
        session.evidence.screenshot(session.page, "The composer before posting", "composer")
        context.progress("Posting")
        clicked_at = datetime.now(UTC)
        context.before_irreversible()
        button.click(timeout=session.timeout_ms(10))
        context.progress("Looking for the new post")
        url = self._confirmed(before, clicked_at - _CLOCK_SKEW)
        published = self._read_back(url)
        context.save_session(session.page.context.storage_state())  # type: ignore[arg-type]
        return published

    def look_up(self, began_at: datetime) -> Published | None:
        """Raises: ActionError when the profile could not be read."""
        self._be_logged_in()
        url = self._on_profile(began_at - _LOOK_UP_SKEW, before=())
        if not url:
            self._session.evidence.screenshot(self._session.page, "The profile, without the post", "profile")
            return None
        return self._read_back(url)

    def _be_logged_in(self) -> None:
        from automation.sites.login import be_logged_in

        be_logged_in(self._session, self._site, self._site.login, self._base_url + self._site.home, self._context)

    # ---- afterwards

    def _confirmed(self, before: Collection[str], since: datetime) -> str:
        """The new post's address. Raises: ActionError when the site refused it, Unconfirmed when it said nothing."""
        session, site = self._session, self._site
        end = time.monotonic() + min(CONFIRM_TIMEOUT_S, session.remaining_s() / 2)
        has_said_sent = False
        while time.monotonic() < end:
            session.check()
            if link := find(session.page, site.timeline.sent_link):
                return str(link.evaluate("a => a.href || a.value || a.textContent.trim()"))
            if not has_said_sent and self._has_said_sent():
                has_said_sent = True
                end = min(end, time.monotonic() + _LINK_AFTER_S)
            if url := self._match(self._own_posts_here(), before, since):
                return url
            session.page.wait_for_timeout(250)
        reason = "it is not on the profile"
        for wait in PROFILE_LOOKS_S:
            try:
                session.page.wait_for_timeout(wait * 1_000)
                if url := self._on_profile(since, before):
                    return url
            except ActionError as error:
                reason = f"the profile could not be read ({error.message.rstrip('.')})"
                break
        where = self._base_url + site.timeline.path.format(handle=self._handle)
        raise Unconfirmed(
            f"Post was clicked, but {site.title} did not confirm it and {reason}: it may or may not have gone out.",
            hint=f"Look at {where} before you propose it again; Herald does not repeat it by itself.",
        )

    def _has_said_sent(self) -> bool:
        """Whether the site says that the post is out. Raises: ActionError when it says anything else."""
        notice = find(self._session.page, self._site.timeline.notice)
        said = words_of(notice)
        if not said or re.search(self._site.timeline.pending_words, said, re.I):
            return False
        if re.search(self._site.timeline.sent_words, said, re.I) and not re.search(_NEGATION, said, re.I):
            return True
        raise ActionError(
            f"{self._site.title} did not take the post: {said}",
            code="post_refused",
            is_refused=True,
            hint=f"Edit the text, or look at the account on {self._site.title}, before you approve it again.",
        )

    def _on_profile(self, since: datetime, before: Collection[str]) -> str:
        """The post's address from the account's list of posts, or an empty string. Raises: ActionError."""
        session, timeline = self._session, self._site.timeline
        session.open(self._base_url + timeline.path.format(handle=self._handle), progress="Looking at the profile")
        session.settle()
        seen = self._posts_here()
        if timeline.body:
            return self._match(seen, before, since)
        new = [p for p in seen if p.url not in before and (p.at is None or p.at >= since)]
        for candidate in new[:_MAX_OPENED]:
            session.open(candidate.url, progress="Looking at the newest posts")
            own = self._own_page()
            if own is not None and self._match([own], before, since):
                return candidate.url
        return ""

    def _posts_here(self) -> list[SeenPost]:
        return read_posts(self._session.page, self._site.timeline, self._site.time_of)

    def _own_posts_here(self) -> list[SeenPost]:
        """Of the posts on this page those that are the account's by their address; a feed shows others' as well."""
        mark = self._site.own_url.format(handle=self._handle)
        if not mark or not self._site.timeline.body:
            return []
        return [seen for seen in self._posts_here() if mark in seen.url.casefold()]

    def _match(self, posts: list[SeenPost], before: Collection[str], since: datetime) -> str:
        text = self._site.text_shown(self._post)
        return next((seen.url for seen in posts if is_match(seen, text, since, before)), "")

    def _own_page(self) -> SeenPost | None:
        page, timeline = self._session.page, self._site.timeline
        page.locator(timeline.own_post).locator(timeline.own_body).first.wait_for(timeout=self._session.timeout_ms(10))
        return read_own_page(page, timeline, self._site.time_of)

    def _read_back(self, url: str) -> Published:
        """The post's text on its own page. It is out already, so that a page that fails to load is no failure."""
        session = self._session
        text = self._post.text
        try:
            session.open(url, progress="Opening the new post")
            own = self._own_page()
            if own is not None and not is_same_text(own, self._site.text_shown(self._post)):
                text = own.text  # the platform changed it: what it shows is what was published
        except Exception as error:
            log.warning("the new post could not be opened: %s", error)
        session.evidence.screenshot(session.page, "The published post", "published")
        session.evidence.url(url, "The post")
        return Published(url, text, session.evidence.items)
