"""The edit form of a card: one field for each of the params, made from the action type's JSON schema."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.client import Action
from app.ui import markup

_ONE_LINE_CHARS = 2_100
"""Strings that may be longer are edited in a text area (web addresses are shorter)."""


def edit_form(action: Action, schema: Mapping[str, Any]) -> str:
    """The form, hidden until Edit is pressed; the page's script turns it into params again."""
    properties = dict(schema.get("properties") or {})
    for name in action["params"]:
        properties.setdefault(name, {})
    rows = "".join(
        _row(action["id"], name, resolved(property_schema, schema), action["params"].get(name))
        for name, property_schema in properties.items()
    )
    attributes = markup.attributes(
        {"class": "h-edit", "data-event": "save", "data-action": action["id"], "hidden": True}
    )
    return (
        f'<form{attributes} autocomplete="off">{rows}<div class="h-decision">'
        f'<button type="submit" class="h-button h-primary">{markup.icon("check")}Save</button>'
        '<button type="button" class="h-button" data-cancel-edit>Cancel</button>'
        '<span class="h-expires">Saving makes a new proposal to approve.</span></div></form>'
    )


def resolved(property_schema: Any, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The property's schema with a local ``$ref`` followed and ``X | null`` taken as X."""
    found: dict[str, Any] = dict(property_schema) if isinstance(property_schema, Mapping) else {}
    reference = str(found.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        found = {**(schema.get("$defs") or {}).get(reference.removeprefix("#/$defs/"), {}), **found}
    choices = [c for c in found.get("anyOf", []) if isinstance(c, Mapping) and c.get("type") != "null"]
    if len(choices) == 1:
        found = {**resolved(choices[0], schema), **{k: v for k, v in found.items() if k != "anyOf"}}
    return found


def _row(action_id: str, name: str, schema: Mapping[str, Any], value: Any) -> str:
    field_id = f"h-{action_id}-{name}"
    label = markup.text(schema.get("title") or name.replace("_", " ").capitalize())
    kind, control = _control(field_id, schema, value)
    if kind == "const":
        return control.replace("data-field", f'data-field="{markup.text(name)}" data-kind', 1)
    described = f'<p class="h-hint">{markup.text(schema["description"])}</p>' if schema.get("description") else ""
    return (
        f'<div class="h-field" data-field="{markup.text(name)}" data-kind="{kind}">'
        f'<label for="{markup.text(field_id)}">{label}</label>{control}{described}</div>'
    )


def _control(field_id: str, schema: Mapping[str, Any], value: Any) -> tuple[str, str]:
    """How the script reads the field back, and its HTML."""
    if "const" in schema:
        return "const", f'<input type="hidden" data-field="const" value="{markup.text(json.dumps(schema["const"]))}">'
    if "enum" in schema:
        return "json", _select(field_id, schema["enum"], value)
    kind = schema.get("type")
    if kind == "boolean":
        return "boolean", f"<input{markup.attributes({'id': field_id, 'type': 'checkbox', 'checked': bool(value)})}>"
    if kind in {"integer", "number"}:
        step = "1" if kind == "integer" else "any"
        given = {"id": field_id, "type": "number", "step": step, "value": "" if value is None else value}
        return "number", f"<input{markup.attributes(given)}>"
    if kind == "string" or (kind is None and isinstance(value, str)):
        return "string", _text_control(field_id, schema, "" if value is None else str(value))
    if kind == "object" and _is_text_map(schema, value):
        return "map", _map_control(field_id, value or {})
    shown = json.dumps(value, ensure_ascii=False, indent=2)
    return (
        "json",
        f'<textarea id="{markup.text(field_id)}" rows="4" spellcheck="false">\n{markup.text(shown)}</textarea>',
    )


def _select(field_id: str, choices: list[Any], value: Any) -> str:
    options = "".join(
        f"<option{markup.attributes({'value': json.dumps(choice), 'selected': choice == value})}>{markup.text(choice)}</option>"
        for choice in choices
    )
    return f'<select id="{markup.text(field_id)}">{options}</select>'


def _text_control(field_id: str, schema: Mapping[str, Any], value: str) -> str:
    limit = schema.get("maxLength")
    common = {"id": field_id, "maxlength": limit, "required": (schema.get("minLength") or 0) > 0, "dir": "auto"}
    if "\n" in value or not isinstance(limit, int) or limit > _ONE_LINE_CHARS:
        # A parser drops one line break after the tag, so the value's own first one is kept by adding another.
        return (
            f"<textarea{markup.attributes({**common, 'rows': 5, 'data-grow': True})}>\n{markup.text(value)}</textarea>"
        )
    return f"<input{markup.attributes({**common, 'type': 'text', 'value': value})}>"


def _is_text_map(schema: Mapping[str, Any], value: Any) -> bool:
    is_declared = not schema.get("properties")
    return is_declared and (
        value is None or (isinstance(value, dict) and all(isinstance(v, str) for v in value.values()))
    )


def _map_control(field_id: str, values: Mapping[str, str]) -> str:
    rows = "".join(
        _map_row(f"{field_id}-{index}" if index else field_id, name, value)
        for index, (name, value) in enumerate(values.items())
    )
    template = f"<template>{_map_row('', '', '')}</template>"
    return (
        f'<div class="h-map">{rows}{template}'
        f'<button type="button" class="h-button h-quiet" data-add-row>{markup.icon("plus")}Add a field</button></div>'
    )


def _map_row(row_id: str, name: str, value: str) -> str:
    name_input = markup.attributes(
        {
            "id": row_id or None,
            "type": "text",
            "value": name,
            "data-map-name": True,
            "aria-label": "Field",
            "dir": "auto",
        }
    )
    value_input = markup.attributes(
        {"rows": max(1, min(6, value.count("\n") + 1)), "data-map-value": True, "aria-label": "Value", "dir": "auto"}
    )
    return (
        f'<div class="h-map-row"><input{name_input}><textarea{value_input}>\n{markup.text(value)}</textarea>'
        f'<button type="button" class="h-button h-quiet h-square" data-remove-row aria-label="Remove">{markup.icon("cross")}</button></div>'
    )
