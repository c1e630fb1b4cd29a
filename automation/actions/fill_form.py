"""``fill_form``: fill the form at an address with the given values and submit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    Params,
    PreviewLine,
    Risk,
)
from automation.actions.scrape_url import address_line
from automation.hidden_text import hidden_note
from automation.urls import WebAddress, normalise_url

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle

    from automation.forms.submitting import Answer, Submission
    from automation.session import BrowserSession

FieldName = Annotated[str, Field(min_length=1, max_length=200)]
FieldValue = Annotated[str, Field(max_length=10_000)]


class FillFormParams(Params):
    """The form's address and the values that the user gave, none invented.

    ``fields`` maps what a person would call the field (its label, name or placeholder) to the value to enter.
    """

    url: WebAddress
    fields: Annotated[dict[FieldName, FieldValue], Field(min_length=1, max_length=50)]


class FillForm(ActionType[FillFormParams]):
    """Fills one form, checks that every value stands in it, submits it and reports the page's answer."""

    name = "fill_form"
    title = "Fill in a form"
    description = "Fill in and submit the form at the address that the user gave, with the values that the user gave."
    risk = Risk.WRITE
    params_class = FillFormParams

    def preview(self, params: FillFormParams, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """The address and every field with its exact value."""
        lines = [address_line(params.url)]
        for name, value in params.fields.items():
            problem = "The field's name is empty." if not name.strip() else ""
            notes = [hidden_note(value), hidden_note(name) and f"the field's name {hidden_note(name)}"]
            lines.append(PreviewLine(name, value, note="; ".join(n for n in notes if n), problem=problem))
        return tuple(lines)

    def execute(self, params: FillFormParams, context: ActionContext) -> ActionResult:
        """Fill in and submit. Raises: ActionError."""
        from automation.browser import open_browser  # late: the web process never loads Playwright

        url = normalise_url(params.url)
        with open_browser(context) as session:
            session.open(url)
            session.settle()
            filled, submission = _fill_in(session, params.fields)
            session.evidence.screenshot(session.page, "The form before it was submitted", "filled")
            context.progress("Submitting the form")
            answer = submission.submit()
            session.evidence.screenshot(session.page, "The page's answer", "answer")
            session.evidence.text(answer.text, "What the page answered", "answer")
            session.evidence.url(answer.final_url, "Where it ended")
            _raise_if_refused(session, answer)
        return ActionResult(
            summary=_summary(answer),
            data={
                "url": url,
                "final_url": answer.final_url,
                "status": answer.status,
                "filled": filled,
                "answer": answer.text,
                "is_answered": bool(answer.text),
            },
            evidence=session.evidence.items,
        )


def _fill_in(session: BrowserSession, values: dict[str, str]) -> tuple[dict[str, str], Submission]:
    """Find and fill every field; returns what stands where, and the submit control, checked."""
    from automation.forms.filling import fill
    from automation.forms.reading import find_form
    from automation.forms.submitting import Submission
    from automation.sites.challenges import dismiss_consent, has_captcha

    dismiss_consent(session.page)
    session.context.progress("Looking for the fields")
    form_page, assignment = find_form(session, list(values))
    if has_captcha(session.page):
        raise ActionError(
            "Nothing was submitted: the form has a captcha, and Herald does not solve captchas.",
            code="captcha",
            hint="Fill in this form yourself.",
        )
    filled: dict[str, str] = {}
    elements: list[ElementHandle] = []
    for name, one in assignment.fields.items():
        session.check()
        session.context.progress(f"Filling in {one.title[:60]}")
        members = form_page.elements(one)
        fill(session.page, one, members, values[name])
        elements.extend(members[:1])
        filled[one.title] = "•••" if one.kind == "password" else values[name]
    frame = form_page.frames[next(iter(assignment.fields.values())).frame]
    submission = Submission(session, frame, elements)
    submission.prepare()
    return filled, submission


def _raise_if_refused(session: BrowserSession, answer: Answer) -> None:
    from automation.sites.challenges import has_captcha

    if answer.objections:
        told = "; ".join(f"“{line}”" for line in answer.objections)
        raise ActionError(
            f"The site did not accept the form. It says: {told[:1_500]}",
            code="form_rejected",
            is_refused=answer.status < 500,  # a server that failed may have taken it all the same
            hint="Look at the screenshot, edit the values and approve the action again.",
        )
    if not answer.text and has_captcha(session.page):
        raise ActionError(
            "The site asked for a captcha after the form was sent, so it has probably not taken it.",
            code="captcha",
            hint="Fill in this form yourself.",
        )


def _summary(answer: Answer) -> str:
    first = " ".join(answer.text.split())
    if not first:
        status = f" (HTTP status {answer.status})" if answer.status else ""
        return f"Submitted the form; the page gave no visible answer{status}."
    return f"Submitted the form; the page answered: “{first[:280]}{'…' if len(first) > 280 else ''}”"
