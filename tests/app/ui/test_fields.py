"""Every kind of param gets a field that gives it back unchanged."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.client import Action
from app.ui.fields import edit_form, resolved
from automation.actions.registry import ACTION_TYPES


def form(schema: dict[str, Any], params: dict[str, Any]) -> str:
    """The edit form of an action with these params."""
    return edit_form(cast(Action, {"id": "a1", "params": params}), schema)


def test_a_value_cannot_leave_its_field() -> None:
    """Closing tags and quotes in a param stay text."""
    html = form({"properties": {"text": {"type": "string"}}}, {"text": '</textarea><script>"'})
    assert "<script>" not in html


def test_a_leading_line_break_survives() -> None:
    """A parser drops the first line break of a text area, so there is one more."""
    assert ">\n\nHello</textarea>" in form({"properties": {"text": {"type": "string"}}}, {"text": "\nHello"})


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "string", "maxLength": 100}, "a", "string"),
        ({"type": "integer"}, 3, "number"),
        ({"type": "boolean"}, True, "boolean"),
        ({"enum": ["a", "b"]}, "b", "json"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"a": "b"}, "map"),
        ({"type": "array", "items": {"type": "string"}}, ["a"], "json"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, "string"),
        ({"$ref": "#/$defs/Name"}, "x", "string"),
    ],
)
def test_each_kind_has_its_field(schema: dict[str, Any], value: Any, kind: str) -> None:
    """The kind tells the page's script how to read the field back."""
    whole = {"properties": {"it": schema}, "$defs": {"Name": {"type": "string"}}}
    assert f'data-field="it" data-kind="{kind}"' in form(whole, {"it": value})


def test_a_constant_is_kept_and_not_asked_for() -> None:
    """The platform of a post goes along as JSON."""
    html = form({"properties": {"platform": {"const": "x", "type": "string"}}}, {"platform": "x"})
    assert '<input type="hidden" data-field="platform" data-kind="const" value="&quot;x&quot;">' in html


def test_params_outside_the_schema_are_not_lost() -> None:
    """An older action's extra param is still in the form."""
    assert 'data-field="old"' in form({"properties": {}}, {"old": "1"})


@pytest.mark.parametrize("name", sorted(ACTION_TYPES))
def test_every_registered_action_type_can_be_edited(name: str) -> None:
    """Each property of each real params schema has a field."""
    schema = ACTION_TYPES[name].params_class.model_json_schema()
    html = form(schema, {})
    for field_name in schema["properties"]:
        assert f'data-field="{field_name}"' in html


def test_a_reference_and_null_are_resolved() -> None:
    """``X | null`` by reference is edited as X."""
    schema = {"$defs": {"N": {"type": "integer"}}}
    assert resolved({"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}, schema)["type"] == "integer"
