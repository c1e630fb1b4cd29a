"""Forms that were filled in before: replayed without a search, and never submitted unseen after a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from automation.actions.base import ActionContext, ActionResult
from automation.actions.fill_form import FillForm, FillFormParams, PageChanged
from automation.forms import following
from tests.sites.changing import FIRST, Changing, create_app
from tests.sites.serving import serve

pytestmark = pytest.mark.browser
VALUES = {"name": "Ann Lee", "email": "ann@example.com", "seat": "terrace"}
SENT = {"full_name": "Ann Lee", "mail": "ann@example.com", "seat": "out"}


class Box:
    """Fills the form in, with the recipes that were kept before."""

    def __init__(self, url: str, site: Changing, make_context: Callable[..., ActionContext]) -> None:
        self.url, self.site = url + "/book", site
        self.recipe: dict[str, Any] | None = None
        self.healed: dict[str, Any] | None = None
        self.begun = 0
        self._make_context = make_context

    def run(self, **changes: Any) -> ActionResult:
        """Run with the kept recipe."""
        values: dict[str, Any] = {"url": self.url, "fields": VALUES}
        params = FillFormParams.model_validate(values | changes)
        context = self._make_context(recipe=self.recipe, save_recipe=self._save, before_irreversible=self._begin)
        return FillForm().execute(params, context)

    def _begin(self) -> None:
        self.begun += 1

    def _save(self, recipe: dict[str, Any]) -> None:
        assert json.loads(json.dumps(recipe)) == recipe
        for value in VALUES.values():
            assert value not in json.dumps(recipe, ensure_ascii=False)
        if recipe["confirmation"] is None:
            self.healed = recipe
        else:
            self.recipe = recipe


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, Changing, list[dict[str, Any]]]]:
    """The site, and the recipe of the first run once there is one: a browser's start takes long."""
    site = Changing()
    with serve(create_app(site)) as url:
        yield url, site, []


@pytest.fixture
def box(make_context: Callable[..., ActionContext], served: tuple[str, Changing, list[dict[str, Any]]]) -> Box:
    """A box that has filled in the site's form once."""
    url, site, recorded = served
    site.form, site.sent[:] = FIRST, []
    box = Box(url, site, make_context)
    if not recorded:
        assert box.run().data["is_replayed"] is False
        assert (site.sent, box.begun) == ([SENT], 1)
        assert box.recipe is not None
        assert box.recipe["confirmation"]["status"] == 200
        assert "Ann" not in box.recipe["confirmation"]["text"]
        recorded.append(box.recipe)
    box.recipe, box.begun, site.sent[:] = recorded[0], 0, []
    return box


CHANGED = [
    (FIRST.replace("E-mail address", "Contact e-mail"), "“E-mail address” was not found; “Contact e-mail”"),
    (FIRST.replace("type=email", "type=text"), "is of another kind now (text)"),
    (FIRST.replace("Send booking", "Book and pay"), "“Send booking” was not found; “Book and pay”"),
    (FIRST.replace("action=/send", "action=http://127.0.0.1:9/send"), "now sends the form to http://127.0.0.1:9"),
]


@pytest.mark.parametrize(("form", "told"), CHANGED)
def test_a_changed_step_is_healed_but_not_submitted(box: Box, form: str, told: str) -> None:
    """It ends in a fresh proposal with the old values and the new places; approved as it is, it is sent once."""
    box.site.form = form
    with pytest.raises(PageChanged) as caught:
        box.run()
    error = caught.value
    assert (error.code, error.retryable, len(box.site.sent), box.begun) == ("page_changed", False, 0, 0)
    assert told in error.message
    assert box.healed is not None
    assert error.proposal is not None
    assert error.proposal["fields"] == VALUES
    assert json.loads(json.dumps(error.proposal)) == error.proposal
    card = FillForm().preview(FillFormParams.model_validate(error.proposal), ())
    assert told in next(line.value for line in card if line.label.startswith("Changed"))
    assert all("goes into" in line.note for line in card if line.label in VALUES)
    if "127.0.0.1:9" not in form:
        box.recipe = box.healed
        assert box.run(**error.proposal).data["is_replayed"]
        assert box.site.sent == [SENT]


def test_a_page_that_changes_again_after_the_approval_asks_again(box: Box) -> None:
    """Only exactly what was shown is sent."""
    box.site.form = CHANGED[0][0]
    with pytest.raises(PageChanged) as caught:
        box.run()
    box.site.form = FIRST.replace("E-mail address", "Mail of the person who pays")
    with pytest.raises(PageChanged, match="changed again") as again:
        box.run(**(caught.value.proposal or {}))
    assert (len(box.site.sent), box.begun) == (0, 0)
    assert again.value.proposal is not None
    assert again.value.proposal["mapping"]["fields"]["email"] == "Mail of the person who pays"


@pytest.mark.parametrize(
    "form",
    [
        FIRST,
        FIRST.replace("id=n", "id=x1").replace("for=n", "for=x1").replace("name=mail", "name=mail"),
        f"<div><section>{FIRST}</section></div>",
        FIRST + "<form action=/news><label>E-mail address <input type=email name=nl></label><button>Go</button></form>",
    ],
)
def test_a_page_that_a_person_would_not_call_changed_is_replayed(
    box: Box, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids and places may change; nothing is searched for."""

    def no_search(*_arguments: object) -> None:
        raise AssertionError("the recipe should have been followed")

    monkeypatch.setattr(following, "find_form", no_search)
    box.site.form = form
    assert box.run().data["is_replayed"]
    assert box.site.sent == [SENT]
