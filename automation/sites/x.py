"""X: its login in steps, its composer and its timeline."""

from __future__ import annotations

import logging
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automation.actions.base import Account, ActionContext, ActionError
from automation.sites.base import HumanNeeded, LoginExpired, Published, Site, TextMeasure, Unconfirmed
from automation.sites.x_text import LIMIT, find_problem, weighted_length, without_urls

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from automation.session import BrowserSession

log = logging.getLogger(__name__)

_COMPOSER = "[data-testid=tweetTextarea_0]"
_POST_BUTTON = "[data-testid=tweetButtonInline], [data-testid=tweetButton]"
_USERNAME = "input[autocomplete=username]"
_PASSWORD = "input[name=password]"  # noqa: S105 - a locator
_LOGIN_BUTTON = "[data-testid=LoginForm_Login_Button]"
_ASKS_MORE = "[data-testid=ocfEnterTextTextInput]"
_LOGGED_OUT = f"{_USERNAME}, a[data-testid=loginButton], a[href='/login']"
_TOAST = "[data-testid=toast]"
_TYPEAHEAD = "[id^=typeaheadDropdown]"
_STEP_TIMEOUT_S = 20.0
_CONFIRM_TIMEOUT_S = 20.0
_CLOCK_SKEW = timedelta(minutes=5)

_READ_EDITABLE = Path(__file__).with_name("read_editable.js").read_text(encoding="utf-8")
_READ_POSTS = Path(__file__).with_name("x_posts.js").read_text(encoding="utf-8")


class X(Site):
    """X, formerly Twitter."""

    platform = "x"
    title = "X"
    default_base_url = "https://x.com"

    def measure(self, text: str) -> TextMeasure:
        """X's weighted length: addresses count 23, emoji and CJK 2, at most 280."""
        return TextMeasure(weighted_length(text), LIMIT, find_problem(text))

    def publish(self, session: BrowserSession, text: str, account: Account, context: ActionContext) -> Published:
        """See ``Site.publish``."""
        base_url = account.base_url.rstrip("/")
        self._be_logged_in(session, base_url, account, context)
        context.progress("Writing the post")
        self._write(session, text)
        button = session.page.locator(_POST_BUTTON).first
        self._wait_enabled(session, button)
        before = {post["url"] for post in session.page.evaluate(_READ_POSTS)}
        session.evidence.screenshot(session.page, "The composer before posting", "composer")
        context.progress("Posting")
        clicked_at = datetime.now(UTC)
        context.before_irreversible()
        button.click(timeout=session.timeout_ms(10))
        context.progress("Looking for the new post")
        published = self._find_published(session, text, account, base_url, before, clicked_at)
        context.save_session(session.page.context.storage_state())  # type: ignore[arg-type]
        return published

    # ---- login

    def _be_logged_in(self, session: BrowserSession, base_url: str, account: Account, context: ActionContext) -> None:
        session.open(f"{base_url}/home", progress="Opening X")
        if self._wait_for_entry(session) == "login":
            self._log_in(session, base_url, context)
            context.save_session(session.page.context.storage_state())  # type: ignore[arg-type]
        self._dismiss_consent(session)
        self._check_handle(session, account)

    def _wait_for_entry(self, session: BrowserSession) -> str:
        """Which of the two pages came: "composer" or "login"."""
        page = session.page
        either = page.locator(f"{_COMPOSER}, {_LOGGED_OUT}").first
        self._wait_visible(session, either, "X showed neither its timeline nor its login.")
        return "composer" if page.locator(_COMPOSER).first.is_visible() else "login"

    def _log_in(self, session: BrowserSession, base_url: str, context: ActionContext) -> None:
        credential, page = context.credential, session.page
        if credential is None:
            raise LoginExpired("X asks for a login, and no password is stored for the account.", hint=_RECONNECT)
        context.progress("Logging in to X")
        self._dismiss_consent(session)
        if not page.locator(_USERNAME).first.is_visible():
            session.open(f"{base_url}/i/flow/login", progress="Logging in to X")
            self._wait_visible(session, page.locator(_USERNAME).first, "X did not show its login.")
        page.locator(_USERNAME).first.fill(credential.username)
        page.get_by_role("button", name="Next", exact=True).click()
        self._wait_step(session, _PASSWORD)
        page.locator(_PASSWORD).fill(credential.password)
        page.locator(_LOGIN_BUTTON).click()
        self._wait_step(session, _COMPOSER)

    def _wait_step(self, session: BrowserSession, wanted: str) -> None:
        """Wait for the login's next step. Raises: HumanNeeded, LoginExpired, ActionError."""
        from automation.sites.challenges import has_captcha

        page, end = session.page, time.monotonic() + _STEP_TIMEOUT_S
        while time.monotonic() < end:
            session.check()
            if page.locator(wanted).first.is_visible():
                return
            if has_captcha(page):
                raise HumanNeeded(
                    "X wants a captcha to be solved before it lets the account in; Herald does not solve captchas.",
                    code="captcha",
                    hint="Log in to X yourself in a browser on this network, then approve the post again.",
                )
            if page.locator(_ASKS_MORE).first.is_visible():
                raise HumanNeeded(
                    f"X asks for more than the password: {_seen(page, 'main, [role=dialog], body')}",
                    code="login_challenge",
                    hint="Log in to X yourself in a browser, answer the question, then approve the post again.",
                )
            if page.locator(_TOAST).first.is_visible():
                raise LoginExpired(f"X refused the login: {_seen(page, _TOAST)}", code="login_failed", hint=_RECONNECT)
            page.wait_for_timeout(150)
        raise ActionError("X's login did not go on.", code="login_stuck", hint="Try again later.", retryable=True)

    def _check_handle(self, session: BrowserSession, account: Account) -> None:
        switcher = session.page.locator("[data-testid=SideNav_AccountSwitcher_Button]").first
        shown = switcher.inner_text() if switcher.count() else ""
        handles = {h.lower() for h in re.findall(r"@(\w+)", shown)}
        wanted = account.handle.strip().lstrip("@").lower()
        if handles and wanted not in handles:
            raise LoginExpired(
                f"X is logged in as @{', @'.join(sorted(handles))}, not as @{wanted}; nothing was posted.",
                code="wrong_account",
                hint=_RECONNECT,
            )

    def _dismiss_consent(self, session: BrowserSession) -> None:
        from automation.sites.challenges import dismiss_consent

        dismiss_consent(session.page)

    # ---- composing

    def _write(self, session: BrowserSession, text: str) -> None:
        """Type ``text`` and compare what stands in the composer with it, character for character."""
        page = session.page
        area = page.locator(_COMPOSER).first
        area.click()
        wanted = text.replace("\r\n", "\n")
        for number, line in enumerate(wanted.split("\n")):
            if number:
                self._close_suggestions(page)
                page.keyboard.press("Enter")
            if line:
                page.keyboard.insert_text(line)
            if re.search(r"[#@$]\w+$", line):
                page.wait_for_timeout(300)  # suggestions for hashtags and names take a moment
        self._close_suggestions(page)
        found = area.evaluate(_READ_EDITABLE)
        if found != wanted and ("\u00a0" in wanted or found.replace("\u00a0", " ") != wanted):
            raise ActionError(
                f"Nothing was posted: X's composer shows another text than the approved one, namely {found[:300]!r}.",
                code="text_mismatch",
                hint="Try again; if it happens each time, shorten the text or remove unusual characters.",
                retryable=True,
            )

    @staticmethod
    def _close_suggestions(page: Page) -> None:
        if page.locator(_TYPEAHEAD).first.is_visible():
            page.keyboard.press("Escape")

    @staticmethod
    def _wait_enabled(session: BrowserSession, button: Locator) -> None:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            session.check()
            if button.is_visible() and button.is_enabled() and button.get_attribute("aria-disabled") != "true":
                return
            session.page.wait_for_timeout(100)
        raise ActionError(
            "X does not let this text be posted: its Post button stays off.",
            code="text_refused",
            hint="Shorten the text and approve it again.",
        )

    # ---- afterwards

    def _find_published(
        self,
        session: BrowserSession,
        text: str,
        account: Account,
        base_url: str,
        before: set[str],
        clicked_at: datetime,
    ) -> Published:
        """The new post, from X's confirmation, the timeline or the profile. Raises: ActionError, Unconfirmed."""
        page, end = session.page, time.monotonic() + min(_CONFIRM_TIMEOUT_S, session.remaining_s() / 2)
        handle = account.handle.strip().lstrip("@").lower()
        url = ""
        while not url and time.monotonic() < end:
            session.check()
            link = page.locator(f"{_TOAST} a[href*='/status/']").first
            if link.is_visible():
                url = str(link.evaluate("a => a.href"))
            elif page.locator(_TOAST).first.is_visible() and (said := _seen(page, _TOAST)) and not _is_sent(said):
                raise ActionError(
                    f"X did not take the post: {said}",
                    code="post_refused",
                    is_refused=True,
                    hint="Edit the text, or look at the account on X, before you approve it again.",
                )
            else:
                url = _matching(page.evaluate(_READ_POSTS), text, handle, before, clicked_at)
            if not url:
                page.wait_for_timeout(250)
        if not url:
            url = self._find_on_profile(session, text, handle, base_url, before, clicked_at)
        return Published(url, self._read_back(session, url, text))

    def _find_on_profile(
        self, session: BrowserSession, text: str, handle: str, base_url: str, before: set[str], clicked_at: datetime
    ) -> str:
        reason = "it is not on the profile"
        try:
            session.open(f"{base_url}/{handle}", progress="Looking at the profile")
            session.settle()
            url = _matching(session.page.evaluate(_READ_POSTS), text, handle, before, clicked_at)
            if url:
                return url
        except ActionError as error:
            reason = f"the profile could not be read ({error.message.rstrip('.')})"
        raise Unconfirmed(
            f"Post was clicked, but X did not confirm it and {reason}: it may or may not have gone out.",
            hint=f"Look at {base_url}/{handle} before you propose it again; Herald does not repeat it by itself.",
        )

    @staticmethod
    def _read_back(session: BrowserSession, url: str, text: str) -> str:
        """The post's text on its own page. It is out already, so that a page that fails to load is no failure."""
        try:
            session.open(url, progress="Opening the new post")
            session.page.locator("article[data-testid=tweet]").first.wait_for(timeout=session.timeout_ms(10))
            posts = session.page.evaluate(_READ_POSTS)
        except Exception as error:
            log.warning("the new post could not be opened: %s", error)
            return text
        return next((post["text"] for post in posts if post["url"] == url), text)

    @staticmethod
    def _wait_visible(session: BrowserSession, locator: Locator, otherwise: str) -> None:
        from playwright.sync_api import TimeoutError as PlaywrightTimeout

        try:
            locator.wait_for(state="visible", timeout=session.timeout_ms(_STEP_TIMEOUT_S))
        except PlaywrightTimeout as error:
            session.check()
            raise ActionError(
                otherwise,
                code="site_changed",
                hint="Look at the screenshot. X may be down or have changed; try again later.",
                retryable=True,
            ) from error


_RECONNECT = "Connect the account again with its current password: herald accounts add x"


def _seen(page: Page, selector: str) -> str:
    """The beginning of an element's text, in one line and in quotation marks: the site's words, shown, not followed."""
    text = " ".join((page.locator(selector).first.inner_text() or "").split())
    return f"“{text[:200]}”" if text else ""


def _is_sent(said: str) -> bool:
    return bool(re.search(r"\bsent\b|\bposted\b", said, re.I))


def _matching(posts: list[dict[str, Any]], text: str, handle: str, before: set[str], clicked_at: datetime) -> str:
    """The address of the account's post with this text that was not there before, or an empty string."""
    wanted = "".join(without_urls(text).split())
    for post in posts:
        is_own = f"/{handle}/status/" in post["url"].lower()
        is_same = "".join(without_urls(post["bare"]).split()) == wanted
        if post["url"] not in before and is_own and is_same and _is_recent(post["at"], clicked_at):
            return str(post["url"])
    return ""


def _is_recent(stamp: str, clicked_at: datetime) -> bool:
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return False
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) >= clicked_at - _CLOCK_SKEW
