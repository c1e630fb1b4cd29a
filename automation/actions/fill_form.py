"""``fill_form``: fill the form at an address with the given values and submit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

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
from automation.recipes import Kind, Recipe, changes, confirmation_of, is_same_button, kind_of, parsed
from automation.urls import WebAddress, normalise_url

if TYPE_CHECKING:
    from automation.forms.submitting import Answer, Submission
    from automation.session import BrowserSession

FieldName = Annotated[str, Field(min_length=1, max_length=200)]
FieldValue = Annotated[str, Field(max_length=10_000)]


class Mapping(Params):
    """Where a changed page now takes the values, as a person was shown it and approved it.

    ``fields`` maps each name to what the page calls its field, ``button`` is what its button says, and ``changes`` is
    what is not as it was when the form was last sent.
    """

    fields: Annotated[dict[FieldName, Annotated[str, Field(max_length=300)]], Field(min_length=1, max_length=50)]
    button: Annotated[str, Field(max_length=300)]
    changes: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=60)]


class FillFormParams(Params):
    """The form's address and the values that the user gave, none invented.

    ``fields`` maps what a person would call the field (its label, name or placeholder) to the value to enter.
    """

    url: WebAddress
    fields: Annotated[dict[FieldName, FieldValue], Field(min_length=1, max_length=50)]
    # Set by Herald alone, in the proposal that follows a run which found the page changed; no model is offered it.
    mapping: SkipJsonSchema[Mapping | None] = Field(default=None, exclude_if=lambda value: value is None)


class PageChanged(ActionError):
    """The form is not as it was when it was last sent; nothing was submitted. ``proposal`` says how it would go now."""

    code = "page_changed"


class FillForm(ActionType[FillFormParams]):
    """Fills one form, checks that every value stands in it, submits it and reports the page's answer."""

    name = "fill_form"
    title = "Fill in a form"
    description = "Fill in and submit the form at the address that the user gave, with the values that the user gave."
    risk = Risk.WRITE
    params_class = FillFormParams

    def preview(self, params: FillFormParams, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """The address and every field with its exact value; after a change of the page, where each one goes."""
        lines = [address_line(params.url)]
        places = params.mapping.fields if params.mapping else {}
        for name, value in params.fields.items():
            problem = "The field's name is empty." if not name.strip() else ""
            if params.mapping and name not in places:
                problem = "The page was not looked at for this field; propose the form anew."
            notes = [hidden_note(value), hidden_note(name) and f"the field's name {hidden_note(name)}"]
            if name in places:
                notes.append(f"goes into “{places[name]}”")
            lines.append(PreviewLine(name, value, note="; ".join(n for n in notes if n), problem=problem))
        if params.mapping:
            lines.append(PreviewLine("Button", params.mapping.button or "none: the browser sends the form"))
            lines.append(PreviewLine("Changed since the form was last sent", "\n".join(params.mapping.changes)))
        return tuple(lines)

    def recipe_kind(self, params: FillFormParams) -> Kind | None:
        """The page and the names of the values."""
        return kind_of(normalise_url(params.url), params.fields)

    def execute(self, params: FillFormParams, context: ActionContext) -> ActionResult:
        """Fill in and submit. Raises: ActionError."""
        from automation.browser import open_browser  # late: the web process never loads Playwright

        url = normalise_url(params.url)
        kind = kind_of(url, params.fields)
        with open_browser(context) as session:
            session.open(url)
            session.settle()
            filled, submission, recipe, is_replayed = _fill_in(session, params, kind)
            session.evidence.screenshot(session.page, "The form before it was submitted", "filled")
            context.progress("Submitting the form")
            answer = submission.submit()
            session.evidence.screenshot(session.page, "The page's answer", "answer")
            session.evidence.text(answer.text, "What the page answered", "answer")
            session.evidence.url(answer.final_url, "Where it ended")
            _raise_if_refused(session, answer)
            seen = confirmation_of(answer.final_url, answer.status, answer.text, params.fields.values())
            context.save_recipe(recipe.model_copy(update={"confirmation": seen}).model_dump(mode="json"))
        return ActionResult(
            summary=_summary(answer),
            data={
                "url": url,
                "final_url": answer.final_url,
                "status": answer.status,
                "filled": filled,
                "answer": answer.text,
                "is_answered": bool(answer.text),
                "is_replayed": is_replayed,
            },
            evidence=session.evidence.items,
        )


def _fill_in(
    session: BrowserSession, params: FillFormParams, kind: Kind
) -> tuple[dict[str, str], Submission, Recipe, bool]:
    """Find and fill every field: what stands where, the submit control (checked), the way there, whether it was known.

    Raises: PageChanged when the way is not the one that an earlier run took, or that was approved.
    """
    from automation.forms.filling import fill
    from automation.forms.following import find_button, find_fields
    from automation.forms.submitting import Submission
    from automation.sites.challenges import dismiss_consent, has_captcha

    dismiss_consent(session.page)
    known = parsed(session.context.recipe, kind)
    session.context.progress("Looking for the fields" if known is None else "Following the way of the last time")
    form = find_fields(session, list(params.fields), known)
    if has_captcha(session.page):
        raise ActionError(
            "Nothing was submitted: the form has a captcha, and Herald does not solve captchas.",
            code="captcha",
            hint="Fill in this form yourself.",
        )

    def way() -> tuple[Submission, Recipe]:
        submission = Submission(session, form.frame, form.first_elements(), find_button(form.frame, known))
        recipe = form.recipe(kind, submission.step())
        _require_approved(session, params, known, recipe, is_replayed=form.is_replayed)
        return submission, recipe

    if known is not None and not form.is_replayed and params.mapping is None:
        way()  # raises: nothing is typed into fields that nobody has approved
    filled: dict[str, str] = {}
    for name, one in form.fields.items():
        session.check()
        session.context.progress(f"Filling in {one.title[:60]}")
        value = params.fields[name]
        fill(session.page, one, form.page.elements(one), value)
        filled[one.title] = "•••" if one.kind == "password" else value
    submission, recipe = way()  # only now: some buttons appear once the form is filled in
    submission.prepare()
    return filled, submission, recipe, form.is_replayed


def _require_approved(
    session: BrowserSession, params: FillFormParams, known: Recipe | None, found: Recipe, *, is_replayed: bool
) -> None:
    """Raises: PageChanged unless the page is as an earlier run knew it, or exactly this change of it was approved."""
    fields = {name: step.title for name, step in found.fields.items()}
    if params.mapping is not None:
        if params.mapping.fields == fields and params.mapping.button == found.submit.title:
            return
        told = ["The page changed again after this was approved."]
    elif known is None or (is_replayed and is_same_button(known, found)):
        return
    else:
        told = []
    told += changes(known, found) if known is not None else []
    session.evidence.screenshot(session.page, "The page, which has changed", "changed")
    session.context.save_recipe(found.model_dump(mode="json"))
    error = PageChanged(
        f"Nothing was submitted: the form is not as it was when it was last sent. {' '.join(told)}",
        hint="Look at the new proposal, which shows where each value would go now, and approve or reject it.",
    )
    mapping = Mapping(fields=fields, button=found.submit.title, changes=told)
    error.proposal = params.model_copy(update={"mapping": mapping}).model_dump(mode="json")
    raise error


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
