"""Submits a filled form once and reads what the page answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automation.errors import ActionError
from automation.forms.following import button_step
from automation.recipes import Step

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Frame, JSHandle, Page, Request, Response

    from automation.session import BrowserSession

_FIND_SUBMIT = Path(__file__).with_name("find_submit.js").read_text(encoding="utf-8")
_ANSWER_TIMEOUT_S = 15.0
_QUIET_S = 0.7
MAX_ANSWER_CHARS = 4_000

# What the browser itself would say against submitting: [[field, message], …].
_BROWSER_OBJECTIONS = """({form, button}) => {
  if (!form || !form.elements || form.noValidate || (button && button.formNoValidate)) return [];
  const name = (e) => ((e.labels && e.labels[0] && e.labels[0].innerText) || e.getAttribute('aria-label')
    || e.placeholder || e.name || e.id || e.type).replace(/\\s+/g, ' ').trim().slice(0, 100);
  return [...form.elements].filter(e => e.willValidate && !e.validity.valid).map(e => [name(e), e.validationMessage]);
}"""
_SNAPSHOT = Path(__file__).with_name("snapshot.js").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came after the submit.

    Attributes:
        text: what the page shows that it did not show before.
        status: the HTTP status of the page or request that took the form; 0 when none was seen.
        objections: what the page says against the values; empty when it took them.
    """

    final_url: str
    text: str
    status: int
    objections: tuple[str, ...] = ()


@dataclass  # without slots: Playwright keeps its handler beside the method
class _Traffic:
    """Requests that carry data away while the form is submitted."""

    pending: set[Any] = field(default_factory=set)
    answers: list[tuple[str, int]] = field(default_factory=list)

    def on_request(self, request: Request) -> None:
        if request.method not in ("GET", "HEAD", "OPTIONS") and request.resource_type in ("fetch", "xhr", "document"):
            self.pending.add(request)

    def on_response(self, response: Response) -> None:
        if response.request in self.pending:
            self.answers.append((response.url, response.status))

    def on_end(self, request: Request) -> None:
        self.pending.discard(request)


class Submission:
    """The submit control of the form that holds the given elements: ``chosen``, if it is part of that form."""

    def __init__(
        self,
        session: BrowserSession,
        frame: Frame,
        elements: list[ElementHandle],
        chosen: ElementHandle | None = None,
    ) -> None:
        self._session = session
        self._frame = frame
        self._found: JSHandle = frame.evaluate_handle(_FIND_SUBMIT, [elements, chosen])
        self._button = self._found.get_property("button").as_element()
        self._form = self._found.get_property("form").as_element()
        self._is_covered = False

    def step(self) -> Step:
        """The button as a recipe's step."""
        return button_step(self._frame, self._button)

    def prepare(self) -> None:
        """Check that the form can be submitted. Raises: ActionError; nothing has been submitted then."""
        if self._button is None and self._form is None:
            raise ActionError(
                "Nothing was submitted: the form has no button that would send it.",
                code="submit_not_found",
                hint="Look at the screenshot; the form may have further steps that Herald cannot see.",
            )
        objections = self._found.evaluate(_BROWSER_OBJECTIONS)
        if objections:
            told = "; ".join(f"“{name.rstrip(' *:')}”: {message}" for name, message in objections)
            raise ActionError(
                f"Nothing was submitted: the form does not accept these fields: {told}",
                code="form_invalid",
                hint="Edit the values, or add the fields that are missing, and approve the action again.",
            )
        self._wait_enabled()
        if self._button is not None and not self._try_click():  # something lies over it
            from automation.sites.challenges import dismiss_consent

            dismiss_consent(self._session.page)
            self._is_covered = not self._try_click()

    def submit(self) -> Answer:
        """Click, once, and wait for the answer. ``before_irreversible`` is called right before the click.

        Raises: ActionError.
        """
        session, page = self._session, self._session.page
        before = self._frame.evaluate(_SNAPSHOT)
        traffic = _Traffic()
        popups: list[Page] = []
        page.on("request", traffic.on_request)
        page.on("response", traffic.on_response)
        page.on("requestfinished", traffic.on_end)
        page.on("requestfailed", traffic.on_end)
        page.on("popup", lambda popup: popups.append(popup))  # noqa: PLW0108 - Playwright cannot wrap a built-in
        session.main_response = None
        session.accepts_questions = True
        session.context.before_irreversible()
        self._click()
        session.context.progress("Waiting for the page's answer")
        after = self._wait_for_answer(before, traffic)
        if popups:
            return self._popup_answer(popups[-1])
        return self._judge(before, after, traffic)

    def _click(self) -> None:
        """Submit exactly once. Whether the button can be clicked was tried before."""
        from playwright.sync_api import Error

        if self._button is None:
            assert self._form is not None
            self._form.evaluate("f => f.requestSubmit()")
        elif self._is_covered:
            self._button.evaluate("b => b.click()")
        else:
            try:
                self._button.click(timeout=5_000, no_wait_after=True)
            except Error as error:
                self._session.check()
                raise ActionError(
                    "The form's button was clicked, but the browser did not confirm it: the form may or may not have "
                    "been sent.",
                    code="unconfirmed",
                    hint="Check with the site before you propose it again; Herald does not repeat it by itself.",
                ) from error

    def _try_click(self) -> bool:
        """Whether the button can be clicked where it stands; nothing is clicked."""
        from playwright.sync_api import Error

        assert self._button is not None
        try:
            self._button.click(timeout=3_000, trial=True)
        except Error:
            return False
        return True

    def _wait_enabled(self) -> None:
        if self._button is None:
            return
        for _ in range(20):
            if self._button.is_enabled() and self._button.get_attribute("aria-disabled") != "true":
                return
            self._session.page.wait_for_timeout(200)
        raise ActionError(
            "Nothing was submitted: the form's button stays off with these values.",
            code="form_invalid",
            hint="A field may be missing or have a value that the page does not accept; look at the screenshot.",
        )

    def _wait_for_answer(self, before: dict[str, Any], traffic: _Traffic) -> dict[str, Any]:
        """The page's state after it answered: a new page, or a changed one that has come to rest."""
        from playwright.sync_api import Error

        session, page = self._session, self._session.page
        end = time.monotonic() + min(_ANSWER_TIMEOUT_S, session.remaining_s() * 0.8)
        latest, changed_at = before, time.monotonic()
        while time.monotonic() < end:
            page.wait_for_timeout(150)
            session.check()
            if session.main_response is not None:
                session.settle(3.0)
                return self._snapshot(page.main_frame) or before
            try:
                current = self._frame.evaluate(_SNAPSHOT)
            except Error:
                continue  # it is navigating
            if current != latest or traffic.pending:
                latest, changed_at = current, time.monotonic()
            is_quiet = time.monotonic() - changed_at >= _QUIET_S
            if is_quiet and latest != before and (session.dialogs or traffic.answers or _has_news(before, latest)):
                break
        return latest

    def _snapshot(self, frame: Frame) -> dict[str, Any] | None:
        from playwright.sync_api import Error

        for _ in range(5):
            try:
                return dict(frame.evaluate(_SNAPSHOT))
            except Error:
                self._session.page.wait_for_timeout(200)
        return None

    def _judge(self, before: dict[str, Any], after: dict[str, Any], traffic: _Traffic) -> Answer:
        session = self._session
        status = session.main_response.status if session.main_response else 0
        if not status and traffic.answers:
            status = traffic.answers[-1][1]
        news = _news(before, after)
        told = list(dict.fromkeys([*session.dialogs, *news]))
        objections: list[str] = []
        if after["has_form"]:
            new_errors = [e for e in after["errors"] if e not in before["errors"] and len(e) > 1]
            if after["invalid"] and set(after["invalid"]) - set(before["invalid"]):
                new_errors = new_errors or [s for s in after["status"] if s not in before["status"]] or news[:5]
                new_errors = new_errors or [f"invalid: {name}" for name in after["invalid"]]
            objections = new_errors
        if status >= 400:
            objections = objections or told[:5] or [f"HTTP status {status}"]
        return Answer(
            final_url=session.page.url,
            text="\n".join(told)[:MAX_ANSWER_CHARS],
            status=status,
            objections=tuple(objections[:10]),
        )

    def _popup_answer(self, popup: Page) -> Answer:
        from playwright.sync_api import Error

        text = ""
        try:
            popup.wait_for_load_state("domcontentloaded", timeout=8_000)
            text = popup.inner_text("body", timeout=3_000)
        except Error:
            text = "a new window"
        return Answer(popup.url, text[:MAX_ANSWER_CHARS], 0)


def _has_news(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return (
        bool(_news(before, after)) or after["invalid"] != before["invalid"] or before["has_form"] != after["has_form"]
    )


def _news(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines that were not there before; live regions first."""
    known = {*before["lines"], *before["status"]}
    status = [line for line in after["status"] if line not in known]
    covered = " ".join(status)
    return [*status, *(line for line in after["lines"] if line not in known and line not in covered)]
