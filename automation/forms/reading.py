"""Reads the fields of all frames of a page and finds the one form that a request is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from automation.errors import ActionError
from automation.forms.matching import Assignment, Field, Option, match

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Frame, JSHandle, Page

    from automation.session import BrowserSession

_CSS_PATH = Path(__file__).with_name("path.js").read_text(encoding="utf-8").strip()
_READ_FIELDS = Path(__file__).with_name("read_fields.js").read_text(encoding="utf-8").replace("CSS_PATH", _CSS_PATH)
READ_BUTTONS = Path(__file__).with_name("read_buttons.js").read_text(encoding="utf-8").replace("CSS_PATH", _CSS_PATH)
_WAIT_FOR_FORM_S = 6.0


@dataclass(slots=True)
class FormPage:
    """All fields of a page, and their elements."""

    fields: list[Field] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    handles: list[JSHandle] = field(default_factory=list)
    form_names: dict[tuple[int, int], str] = field(default_factory=dict)

    def elements(self, of: Field) -> list[ElementHandle]:
        """The field's elements: one, or all members of a radio or checkbox group."""
        members = self.handles[of.frame].evaluate_handle("(h, i) => h.elements[i]", of.index)
        found = (p.as_element() for p in members.get_properties().values())
        return [element for element in found if element is not None]


def read_page(page: Page) -> FormPage:
    """Read every field of every frame."""
    from playwright.sync_api import Error

    result = FormPage()
    for frame in page.frames:
        try:
            handle = frame.evaluate_handle(_READ_FIELDS)
            data = handle.evaluate("h => ({fields: h.fields, names: h.form_names})")
        except Error:  # a frame that goes away while it is read has no form for us
            continue
        number = len(result.frames)
        result.frames.append(frame)
        result.handles.append(handle)
        for index, raw in enumerate(data["fields"]):
            options = tuple(Option(**option) for option in raw.pop("options"))
            names = tuple(dict.fromkeys(raw.pop("names")))
            result.fields.append(Field(index=index, frame=number, names=names, options=options, **raw))
        for group, name in enumerate(data["names"]):
            result.form_names[(number, group)] = name
    return result


def find_form(session: BrowserSession, wanted: list[str]) -> tuple[FormPage, Assignment]:
    """The form that has all wanted fields. Waits a little for forms that scripts build.

    Raises: ActionError with code ``fields_not_found``; nothing has been typed by then.
    """
    waited = 0.0
    while True:
        form_page = read_page(session.page)
        assignment = _best_assignment(form_page, wanted)
        if assignment is not None and assignment.is_complete:
            return form_page, assignment
        if waited >= _WAIT_FOR_FORM_S or (assignment is not None and assignment.ambiguous and waited > 1):
            raise _not_found(session.page.url, form_page, assignment, wanted)
        session.check()
        session.page.wait_for_timeout(500)
        waited += 0.5 if not form_page.fields else 2.0


def _best_assignment(form_page: FormPage, wanted: list[str]) -> Assignment | None:
    groups: dict[tuple[int, int], list[Field]] = {}
    for one in form_page.fields:
        groups.setdefault((one.frame, one.group), []).append(one)
    if not groups:
        return None
    tried = [(match(wanted, members), members) for members in groups.values()]
    complete = [(a, members) for a, members in tried if a.is_complete]
    if not complete:
        return max(tried, key=lambda pair: (len(pair[0].fields) + len(pair[0].ambiguous), -pair[0].cost))[0]
    if len(complete) > 1:  # several forms would take it: the one that asks for no more than is given
        satisfied = [(a, m) for a, m in complete if all(f in a.fields.values() for f in m if f.required)]
        complete = satisfied or complete
    lowest = min(a.cost for a, _ in complete)
    best = [a for a, _ in complete if a.cost == lowest]
    if len(best) == 1:
        return best[0]
    both = Assignment()
    for name in wanted:
        both.ambiguous[name] = [a.fields[name] for a in best]
    return both


def _not_found(url: str, form_page: FormPage, assignment: Assignment | None, wanted: list[str]) -> ActionError:
    if assignment is None:
        return ActionError(
            f"There is no form at {url}, so nothing was filled in.",
            code="fields_not_found",
            hint="Check the address: some sites show their form on another page, or after a login.",
        )
    reasons = []
    if assignment.missing:
        reasons.append("no field was found for " + _listed(assignment.missing))
    for name, candidates in assignment.ambiguous.items():
        titles = [_place(form_page, c) for c in candidates]
        reasons.append(f"“{name}” could mean several fields: {_listed(titles)}")
    known = list(dict.fromkeys(one.title for one in form_page.fields if not one.disabled))[:40]
    return ActionError(
        f"Nothing was submitted: {'; '.join(reasons)}. The page's fields are: {_listed(known)}.",
        code="fields_not_found",
        hint="Edit the action to use the page's own names for the fields, then approve it.",
    )


def _place(form_page: FormPage, one: Field) -> str:
    place = one.section or form_page.form_names.get((one.frame, one.group), "")
    return f"{one.title} (in {place})" if place else one.title


def _listed(names: list[str]) -> str:
    return ", ".join(f"“{name[:80]}”" for name in names)
