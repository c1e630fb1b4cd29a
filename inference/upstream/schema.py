"""Constraints in the form that hosted providers take: a JSON schema whose root is an object, strict where it may be.

What the provider is shown may permit more than the constraint, because the finished output is checked against the
constraint itself. Sources: OpenAI's guide to structured outputs, Anthropic's guide to tool use (strict tools).
"""

from __future__ import annotations

import json
from typing import Any

from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.json_schema import parse_schema
from inference.errors import InvalidSchema, UnsupportedParameter

VALUE = "value"
# Strict schemas are made of these; others only narrow, so leaving them out permits more.
_STRUCTURE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
)
_WORDS = frozenset({"title", "description"})
_NARROWS = frozenset(
    {"pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"}
    | {"multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"default", "examples", "deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType"}
    | {"$schema", "$id", "$comment"}
)
_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def provider_schema(spec: ConstraintSpec, name: str) -> tuple[dict[str, Any], bool]:
    """The schema to ask for, and whether the answer stands in its ``value``. Raises: InvalidRequest and its kinds."""
    match spec.kind:
        case ConstraintKind.JSON_SCHEMA:
            schema = parse_schema(spec.text)
            is_object = schema.get("type") == "object" and not {"anyOf", "oneOf", "allOf", "$ref"} & schema.keys()
            return (schema, False) if is_object else (_wrapped(schema), True)
        case ConstraintKind.CHOICE:
            return _wrapped({"type": "string", "enum": json.loads(spec.text)}), True
    raise UnsupportedParameter(
        f"{name} cannot constrain its output to a {spec.kind.value}. Use a JSON schema or a choice, or a local model.",
        param="structured_outputs",
    )


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    lifted: dict[str, Any] = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in lifted}
    if any(not reference.startswith(("#/$defs/", "#/definitions/")) for reference in _references(schema)):
        raise InvalidSchema(
            "The schema's root is no object and it refers to parts outside of $defs, which hosted models do not take. "
            "Move them to $defs."
        )
    return {
        "type": "object",
        "properties": {VALUE: inner},
        "required": [VALUE],
        "additionalProperties": False,
        **lifted,
    }


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [value for key, value in schema.items() if key == "$ref" and isinstance(value, str)]
        return own + [found for value in schema.values() for found in _references(value)]
    if isinstance(schema, list):
        return [found for value in schema for found in _references(value)]
    return []


def strict_form(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as strict modes take it, or None: every object closed, every property required, no other keywords."""
    try:
        return _strict(schema)
    except _NotStrict:
        return None


class _NotStrict(Exception):
    pass


def _strict(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise _NotStrict
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions"):
            result[key] = {name: _strict(item) for name, item in value.items()}
        elif key in ("anyOf", "oneOf"):
            result["anyOf"] = [_strict(item) for item in value]
        elif key == "items":
            result[key] = _strict(value)
        elif key in _STRUCTURE | _WORDS:
            result[key] = value
        elif key not in _NARROWS:
            raise _NotStrict
    if "type" not in result and ("const" in result or "enum" in result):
        result["type"] = _type_of([result["const"]] if "const" in result else result["enum"])
    if result.get("type") == "object" or "properties" in result:
        names = set(result.get("properties", {}))
        if result.get("additionalProperties") is not False or set(result.get("required", ())) != names:
            raise _NotStrict
    return result


def _type_of(values: list[Any]) -> str:
    """The one JSON type of some values, which strict modes want named beside them."""
    types = {_JSON_TYPES.get(type(value), "") for value in values}
    if len(types) != 1 or "" in types:
        raise _NotStrict
    return types.pop()
