"""Being logged in on a site in the browser: the kept session, else the login in steps, and whose account it is."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from automation.actions.base import Account, ActionContext, ActionError, Credential
from automation.sites.base import HumanNeeded, LoginExpired, Site, plain_handle
from automation.sites.layout import Login, find, words_of

if TYPE_CHECKING:
    from automation.session import BrowserSession

_ENTRY_TIMEOUT_S = 20.0
_LOGIN_TIMEOUT_S = 45.0
_TICK_MS = 150


def be_logged_in(session: BrowserSession, site: Site, login: Login, home: str, context: ActionContext) -> None:
    """Open ``home``, log in if the site asks for it, keep the session, and check whose account it is.

    Raises: HumanNeeded, LoginExpired, ActionError.
    """
    account = site.account_of(context)
    session.open(home, progress=f"Opening {site.title}")
    if not _is_let_in(session, site, login):
        _log_in(session, site, login, account, context)
        context.save_session(session.page.context.storage_state())  # type: ignore[arg-type]
    _check_identity(session, site, login, account)


def _is_let_in(session: BrowserSession, site: Site, login: Login) -> bool:
    """Wait until the page shows one or the other."""
    from automation.sites.challenges import dismiss_consent

    page, end = session.page, time.monotonic() + min(_ENTRY_TIMEOUT_S, session.remaining_s())
    while time.monotonic() < end:
        session.check()
        dismiss_consent(page)
        if find(page, login.username + login.password + login.logged_out):
            return False
        if skip := find(page, login.skip):
            skip.click(timeout=session.timeout_ms(5))
        elif find(page, login.logged_in):
            return True
        _refuse_challenges(session, site, login)
        page.wait_for_timeout(_TICK_MS)
    raise ActionError(
        f"{site.title} showed neither its composer nor its login.",
        code="site_changed",
        hint=f"Look at the screenshot. {site.title} may be down or have changed; try again later.",
        retryable=True,
    )


def _log_in(session: BrowserSession, site: Site, login: Login, account: Account, context: ActionContext) -> None:
    credential = context.credential
    if credential is None or not credential.password:
        raise LoginExpired(
            f"{site.title} asks for a login, and no password is stored for the account.", hint=site.reconnect_hint
        )
    context.progress(f"Logging in to {site.title}")
    if not find(session.page, login.username + login.password):
        session.open(account.base_url.rstrip("/") + login.path, progress=f"Logging in to {site.title}")
    _Attempt(session, site, login, credential).run()


class _Attempt:
    """One login: whatever step the page shows next is answered once, in whatever order they come."""

    def __init__(self, session: BrowserSession, site: Site, login: Login, credential: Credential) -> None:
        self._session, self._site, self._login, self._credential = session, site, login, credential
        self._has_name = self._has_password = False

    def run(self) -> None:
        """Raises: HumanNeeded, LoginExpired, ActionError."""
        from automation.sites.challenges import dismiss_consent

        session, login, page = self._session, self._login, self._session.page
        end = time.monotonic() + min(_LOGIN_TIMEOUT_S, session.remaining_s())
        while time.monotonic() < end:
            session.check()
            dismiss_consent(page)
            if skip := find(page, login.skip):
                skip.click(timeout=session.timeout_ms(5))
            elif find(page, login.logged_in) and not find(page, login.password):
                return
            _refuse_challenges(session, self._site, login)
            self._refuse_no()
            self._answer()
            page.wait_for_timeout(_TICK_MS)
        raise ActionError(
            f"{self._site.title}'s login did not go on.", code="login_stuck", hint="Try again later.", retryable=True
        )

    def _answer(self) -> None:
        page, login = self._session.page, self._login
        password = None if self._has_password else find(page, login.password)
        name = None if self._has_name else find(page, login.username)
        if password is not None:
            if name is not None:
                name.fill(self._credential.username)
            password.fill(self._credential.password)
            self._has_name = self._has_password = True
            self._press(login.submit)
        elif name is not None and find(page, login.next_step):
            name.fill(self._credential.username)
            self._has_name = True
            self._press(login.next_step)

    def _press(self, marks: tuple[str, ...]) -> None:
        button = find(self._session.page, marks)
        if button is not None:
            button.click(timeout=self._session.timeout_ms(10))
        else:
            self._session.page.keyboard.press("Enter")

    def _refuse_no(self) -> None:
        if not self._has_name:
            return
        if said := words_of(find(self._session.page, self._login.refused)):
            raise LoginExpired(
                f"{self._site.title} refused the login: {said}", code="login_failed", hint=self._site.reconnect_hint
            )


def _refuse_challenges(session: BrowserSession, site: Site, login: Login) -> None:
    """Raises: HumanNeeded when the page asks for what only a person may answer."""
    from automation.sites.challenges import has_captcha

    if has_captcha(session.page):
        raise HumanNeeded(
            f"{site.title} wants a captcha to be solved before it lets the account in; Herald does not solve captchas.",
            code="captcha",
            hint=f"Log in to {site.title} yourself in a browser on this network, then approve the post again.",
        )
    if question := find(session.page, login.asks_more):
        said = words_of(find(session.page, ("[role=dialog]", "main", "form", "body")) or question)
        raise HumanNeeded(
            f"{site.title} asks for more than the password: {said}",
            code="login_challenge",
            hint=f"Log in to {site.title} yourself in a browser, answer the question, then approve the post again.",
        )


def _check_identity(session: BrowserSession, site: Site, login: Login, account: Account) -> None:
    """Raises: LoginExpired when somebody else is logged in, or when it is not to be seen who is."""
    page, wanted = session.page, plain_handle(account.handle)
    end = time.monotonic() + min(8.0, session.remaining_s())
    handles: set[str] = set()
    opener = find(page, login.identity_opener)
    if opener is not None:
        opener.click(timeout=session.timeout_ms(5))
    while not handles and time.monotonic() < end:
        handles = _handles_shown(session, login)
        if not handles:
            page.wait_for_timeout(_TICK_MS)
    if opener is not None:
        page.keyboard.press("Escape")
    if not handles:
        raise ActionError(
            f"{site.title} does not show which account is logged in; nothing was posted.",
            code="account_not_seen",
            hint=f"Look at the screenshot. {site.title} may have changed; try again later.",
        )
    if wanted not in handles:
        raise LoginExpired(
            f"{site.title} is logged in as @{', @'.join(sorted(handles))}, not as @{wanted}; nothing was posted.",
            code="wrong_account",
            hint=site.reconnect_hint,
        )


def _handles_shown(session: BrowserSession, login: Login) -> set[str]:
    """What the first element that names somebody says: further ones may be links to other people."""
    for mark in login.identity:
        for element in session.page.locator(mark).all()[:5]:
            shown = f"{element.get_attribute('href') or ''} {element.text_content() or ''}"
            if found := re.findall(login.identity_pattern, shown):
                return {plain_handle(handle) for handle in found}
    return set()
