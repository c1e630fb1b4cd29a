"""Finds the fields and the button of a form: by a recipe where the page is as it was, else by looking at it anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automation.forms.matching import Field
from automation.forms.reading import READ_BUTTONS, FormPage, find_form, read_page
from automation.recipes import Kind, Recipe, Step, located

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle, Frame

    from automation.session import BrowserSession

_WAIT_FOR_STEPS_S = 3.0


@dataclass(slots=True)
class FoundForm:
    """The form of a run: which field each name means, and whether a recipe said so."""

    page: FormPage
    fields: dict[str, Field]
    is_replayed: bool

    @property
    def frame(self) -> Frame:
        """The frame that the form is in."""
        return self.page.frames[next(iter(self.fields.values())).frame]

    def first_elements(self) -> list[ElementHandle]:
        """One element of each field."""
        return [element for one in self.fields.values() for element in self.page.elements(one)[:1]]

    def recipe(self, kind: Kind, submit: Step) -> Recipe:
        """What a later run may follow."""
        fields = {name: step_of(one) for name, one in self.fields.items()}
        return Recipe(origin=kind.origin, path=kind.path, fields=fields, submit=submit)


def find_fields(session: BrowserSession, names: list[str], recipe: Recipe | None) -> FoundForm:
    """The fields that the names mean. Raises: ActionError with code ``fields_not_found``; nothing was typed then."""
    if recipe is not None:
        followed = _follow(session, recipe)
        if followed is not None:
            return followed
    form_page, assignment = find_form(session, names)
    return FoundForm(form_page, assignment.fields, is_replayed=False)


def find_button(frame: Frame, recipe: Recipe | None) -> ElementHandle | None:
    """The recipe's button, if it is there as it was."""
    if recipe is None:
        return None
    handle = frame.evaluate_handle(READ_BUTTONS, None)
    candidates = [Step(**raw) for raw in handle.evaluate("h => h.buttons")]
    index = located(recipe.submit, [_without_empty(step) for step in candidates])
    if index is None:
        return None
    return handle.evaluate_handle("(h, i) => h.elements[i]", index).as_element()


def button_step(frame: Frame, button: ElementHandle | None) -> Step:
    """The button as a recipe's step; a form that has none is sent by the browser itself."""
    if button is None:
        return Step(title="", marks={})
    read = frame.evaluate_handle(READ_BUTTONS, button).evaluate("h => h.buttons[0]")
    return _without_empty(Step(**read))


def step_of(one: Field) -> Step:
    """The field as a recipe's step."""
    name = one.names[0] if one.names else ""
    return _without_empty(Step(title=one.title, marks={"role": f"{one.kind}: {name}", **one.marks}))


def _without_empty(step: Step) -> Step:
    return Step(title=step.title, marks={name: value for name, value in step.marks.items() if value})


def _follow(session: BrowserSession, recipe: Recipe) -> FoundForm | None:
    """The recipe's fields, all of one form, each where it was; waits a little for forms that scripts build."""
    waited = 0.0
    while True:
        form_page = read_page(session.page)
        candidates = [step_of(one) for one in form_page.fields]
        places = {name: located(step, candidates) for name, step in recipe.fields.items()}
        found = {name: form_page.fields[index] for name, index in places.items() if index is not None}
        is_whole = len(found) == len(recipe.fields) == len(set(places.values()))
        if is_whole and len({(one.frame, one.group) for one in found.values()}) == 1:
            return FoundForm(form_page, found, is_replayed=True)
        if waited >= _WAIT_FOR_STEPS_S:
            return None
        session.check()
        session.page.wait_for_timeout(500)
        waited += 0.5 if not form_page.fields else 1.5
