"""JSON schemas: the limits on them, what checks finished output, and the form of them that guides generation.

What guides may permit more than the schema, because the check of the finished output has the last word and covers
every keyword. So keywords that no grammar can express (``uniqueItems``, ``not``, ``if``, formats nobody knows …) do
not make a schema unusable; an output that breaks one of them is an error. References to other documents stay refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import referencing
import regex

from inference.errors import InvalidSchema

MAX_SCHEMA_DEPTH = 64
# A pattern comes from the caller and may take exponential time; what cannot be checked in time counts as broken.
PATTERN_TIMEOUT_S = 0.25

# Natural spacing ({"a": 1, "b": 2}) is what models were trained on, and leaves no room for endless white space.
# Lenient: keywords and formats that llguidance does not know are passed over, and oneOf is read as anyOf.
GUIDANCE_OPTIONS = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": True,
}

# Where a schema holds other schemas. Elsewhere (const, enum, default …) is data that only looks like it.
_HOLDS_ONE = frozenset({"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items"})
_HOLDS_ONE |= {"not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
_HOLDS_LIST = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_HOLDS_NAMED = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
_ESCAPE = re.compile(r"\\(?:[pP]\{[^}]*\}|.)", re.DOTALL)
_ESCAPED_SET = re.compile(r"\\[dDwWsSpP]")
_NOT_REGULAR = re.compile(r"\\[1-9]|\\k<|\(\?P=")


def parse_schema(text: str) -> dict[str, Any]:
    """The schema as an object. Raises: InvalidSchema when it is none, or nested too deeply."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSchema(f"The schema is not JSON: {brief(error)}") from error
    if not isinstance(schema, dict):
        raise InvalidSchema(f"The schema is a JSON {type(schema).__name__}, it must be an object.")
    depth = _depth(schema)
    if depth > MAX_SCHEMA_DEPTH:
        raise InvalidSchema(f"The schema is nested {depth} levels deep, at most {MAX_SCHEMA_DEPTH} are allowed.")
    return schema


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
    return deepest


class SchemaValidator:
    """Checks finished output against a schema, with every keyword, in the schema's dialect.

    A schema that names no dialect is read as draft 2020-12, or as draft 7 if it is not valid in that one: Pydantic 1
    and many others write draft 7 without saying so.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises: InvalidSchema when the schema is not valid in its dialect, or has a pattern that is no regex."""
        candidates = [jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)]
        if "$schema" not in schema:
            candidates.append(jsonschema.Draft7Validator)
        problems = [_problem(kind, schema) for kind in candidates]
        if "" not in problems:
            raise InvalidSchema(f"The schema is not valid: {problems[0]}")
        kind = candidates[problems.index("")]
        for pattern in _patterns(schema):
            try:
                regex.compile(pattern)
            except regex.error as error:
                raise InvalidSchema(
                    f"The schema is not valid: the pattern {pattern!r} is no regex: {brief(error)}"
                ) from error
        self.dialect = str(kind.META_SCHEMA.get("$id") or kind.META_SCHEMA["id"])
        checking = jsonschema.validators.extend(kind, _PATTERN_KEYWORDS)
        # Without $schema, which would send references to the root back to the library's own class. With an empty
        # registry: a reference to another document is an error, never a download.
        bare = {key: value for key, value in schema.items() if key != "$schema"}
        self._validator = checking(bare, registry=referencing.Registry())

    def validate(self, value: Any) -> None:
        """Raises: jsonschema.ValidationError, TimeoutError, or whatever a broken reference raises."""
        self._validator.validate(value)


def _problem(kind: Any, schema: dict[str, Any]) -> str:
    try:
        # Python's own regexes are not the ones that count, so the format of patterns is not looked at here.
        kind.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
    except jsonschema.SchemaError as error:
        return brief(error.message)
    return ""


def guiding_schema(schema: dict[str, Any], dialect: str) -> str:
    """The schema as llguidance gets it, as JSON: the same or wider, in an explicit dialect."""
    widened = {**_widened(schema), "$schema": dialect, "x-guidance": GUIDANCE_OPTIONS}
    return json.dumps(widened, ensure_ascii=False)


def _widened(schema: Any) -> Any:
    """The schema without the parts of its patterns that a regular language cannot have."""
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "pattern" and isinstance(value, str):
            if (pattern := widened_pattern(value)) is not None:
                result[key] = pattern
        elif key in _HOLDS_LIST and isinstance(value, list):
            result[key] = [_widened(item) for item in value]
        elif key in _HOLDS_ONE:
            result[key] = _widened(value)
        elif key in _HOLDS_NAMED and isinstance(value, dict):
            result[key] = {name: _widened(item) for name, item in value.items()}
        else:
            result[key] = value
    if isinstance(named := result.get("patternProperties"), dict):
        result["patternProperties"] = _widened_names(named, result.get("additionalProperties", True))
    return result


def _widened_names(named: dict[str, Any], others: Any) -> dict[str, Any]:
    """``patternProperties`` whose names' patterns are widened; a name that only the wider pattern fits is one of
    ``others`` (``additionalProperties``), so the value may be either."""
    result: dict[str, Any] = {}
    for name, value in named.items():
        pattern = widened_pattern(name)
        if pattern == name or others is False:
            result[pattern or ""] = value
        else:
            result[pattern or ""] = True if others is True else {"anyOf": [value, others]}
    return result


def widened_pattern(pattern: str) -> str | None:
    """A regular pattern that matches at least what ``pattern`` matches, or None where any text must be permitted.

    Look-around and word boundaries match no character, so leaving them out can only permit more.
    """
    if _NOT_REGULAR.search(pattern):
        return None
    result: list[str] = []
    position, is_in_class = 0, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            found = _ESCAPE.match(pattern, position)
            escape = found.group() if found is not None else character
            position += len(escape)
            result.append("(?:)" if escape in ("\\b", "\\B") and not is_in_class else escape)
            if is_in_class and _ESCAPED_SET.match(escape) and pattern[position : position + 1] == "-":
                result.append("\\-")  # a set cannot begin a range, so this is the character itself
                position += 1
            continue
        if not is_in_class and re.match(r"\(\?<?[=!]", pattern[position:]):
            position = _group_end(pattern, position)
            result.append("(?:)")
            continue
        if character == "[":
            is_in_class = True
        elif character == "]":
            is_in_class = False
        result.append(character)
        position += 1
    return "".join(result)


def _group_end(pattern: str, start: int) -> int:
    """The position behind the group that opens at ``start``."""
    depth, position, is_in_class = 0, start, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
        elif is_in_class:
            is_in_class = character != "]"
        elif character == "[":
            is_in_class = True
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return position + 1
        position += 1
    return len(pattern)


def _patterns(schema: Any) -> Iterator[str]:
    """Every regex of the schema."""
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key == "pattern" and isinstance(value, str):
            yield value
        elif key in _HOLDS_LIST and isinstance(value, list):
            for item in value:
                yield from _patterns(item)
        elif key in _HOLDS_ONE:
            yield from _patterns(value)
        elif key in _HOLDS_NAMED and isinstance(value, dict):
            yield from value if key == "patternProperties" else ()
            for item in value.values():
                yield from _patterns(item)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. Raises: TimeoutError."""
    return regex.search(pattern, text, timeout=PATTERN_TIMEOUT_S) is not None


def _check_pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not matches(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _check_pattern_properties(
    validator: Any, named: dict[str, Any], value: Any, _: Any
) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, dict):
        for pattern, schema in named.items():
            for name, item in value.items():
                if matches(pattern, name):
                    yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _check_additional_properties(
    validator: Any, others: Any, value: Any, schema: dict[str, Any]
) -> Iterator[jsonschema.ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in value.items():
        if name in known or any(matches(pattern, name) for pattern in patterns):
            continue
        if others is False:
            yield jsonschema.ValidationError(f"Additional properties are not allowed ({name!r} was unexpected)")
        elif others is not True:
            yield from validator.descend(item, others, path=name)


_PATTERN_KEYWORDS = {
    "pattern": _check_pattern,
    "patternProperties": _check_pattern_properties,
    "additionalProperties": _check_additional_properties,
}


def brief(error: object) -> str:
    """An error's text in one line of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:299] + "…"
