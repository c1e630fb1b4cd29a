"""Constraints in the form that hosted providers take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.errors import InvalidSchema, UnsupportedParameter
from inference.upstream.schema import provider_schema, strict_form

CLOSED: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def spec(schema: Any) -> ConstraintSpec:
    return ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(schema))


@pytest.mark.parametrize("kind", [ConstraintKind.REGEX, ConstraintKind.GRAMMAR])
def test_what_is_no_json_is_refused_by_name(kind: ConstraintKind) -> None:
    """The message says who cannot do what."""
    with pytest.raises(UnsupportedParameter, match=f"Nobody cannot constrain its output to a {kind.value}"):
        provider_schema(ConstraintSpec(kind, "a+"), "Nobody")


def test_a_root_that_cannot_be_wrapped_is_refused() -> None:
    """References to the root would lead elsewhere."""
    with pytest.raises(InvalidSchema, match=r"Move them to \$defs"):
        provider_schema(spec({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]}), "Nobody")


def test_objects_stay_and_everything_else_is_wrapped() -> None:
    """Definitions are lifted to where references look for them."""
    assert provider_schema(spec(CLOSED), "Nobody") == (CLOSED, False)
    schema, is_wrapped = provider_schema(spec({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": CLOSED}}), "Nobody")
    assert is_wrapped
    assert schema["properties"]["value"] == {"anyOf": [{"$ref": "#/$defs/a"}]}
    assert schema["$defs"] == {"a": CLOSED}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {**CLOSED, "additionalProperties": True},
        {**CLOSED, "properties": {"a": {"type": "string"}}},
        {**CLOSED, "patternProperties": {"a": {}}},
        {**CLOSED, "properties": {"a": {"not": {}}}, "required": ["a"]},
        {**CLOSED, "properties": {"a": {"type": "object"}}, "required": ["a"]},
        {**CLOSED, "properties": {"a": True}, "required": ["a"]},
        {**CLOSED, "allOf": [{}]},
        {**CLOSED, "properties": {"a": {"enum": ["x", 1]}}, "required": ["a"]},
    ],
)
def test_open_objects_and_unknown_keywords_are_not_strict(schema: Any) -> None:
    """A strict mode would refuse them, or mean something else by them."""
    assert strict_form(schema) is None


def test_a_strict_form_permits_at_least_what_the_schema_permits() -> None:
    """Keywords that only narrow are left out, one of several becomes any of them; properties of such names stay."""
    text = {"type": "string", "maxLength": 3, "description": "d"}
    schema = {
        **CLOSED,
        "properties": {"maxLength": text, "n": {"oneOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}},
        "required": ["maxLength", "n"],
    }
    strict = strict_form(schema)
    assert strict is not None
    assert strict["properties"] == {
        "maxLength": {"type": "string", "description": "d"},
        "n": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }


def test_constants_get_their_type_beside_them() -> None:
    """Strict modes want it, and it changes nothing."""
    schema = {**CLOSED, "properties": {"a": {"const": True}, "b": {"enum": ["x", "y"]}}, "required": ["a", "b"]}
    strict = strict_form(schema)
    assert strict is not None
    assert [strict["properties"][name]["type"] for name in "ab"] == ["boolean", "string"]
