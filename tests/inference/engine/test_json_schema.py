"""Schemas of the real world guide generation as far as a grammar can; what it cannot is checked at the end, closed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from inference.backends.fake import FakeBackend
from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from inference.engine.json_schema import SchemaValidator, widened_pattern
from inference.errors import ConstraintFailed, InvalidSchema

DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"


@pytest.fixture(scope="module")
def compiler() -> ConstraintCompiler:
    return ConstraintCompiler(FakeBackend().constraint_tokenizer())


def state(compiler: ConstraintCompiler, schema: Any) -> ConstraintState:
    spec = ConstraintSpec(ConstraintKind.JSON_SCHEMA, json.dumps(schema))
    return ConstraintState(compiler.compile(spec), FakeBackend().info.vocab_size)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"properties": {"a": {"$ref": "https://example.com/a.json"}}, "not": {}}, "https://example.com/a.json"),
        ({"$ref": "other.json#/definitions/a", "uniqueItems": True}, "other.json"),
        ({"$ref": "#/definitions/missing"}, "/definitions/missing"),
        ({"items": [{"type": "string"}], "minItems": "two"}, "not valid"),
        ({"$schema": DRAFT_2020, "items": [{"type": "string"}]}, "not valid"),
        ({"patternProperties": {"(": {}}}, r"pattern '\(' is no regex"),
        ({"properties": {"a": False}, "required": ["a"], "type": "object"}, "[Uu]nsatisfiable"),
    ],
)
def test_what_no_relaxation_can_save_is_refused(
    schema: dict[str, Any], reason: str, compiler: ConstraintCompiler
) -> None:
    """References to other documents, and schemas that mean nothing, are errors before anything is generated."""
    with pytest.raises(InvalidSchema, match=reason):
        state(compiler, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"const": 1}, "minItems": 2, "maxItems": 2, "uniqueItems": True},
        {"oneOf": [{"const": 1}, {"enum": [1]}]},
        {"const": "a", "not": {"type": "string"}},
        {"const": 1, "if": {"type": "integer"}, "then": {"minimum": 2}},
        {"const": {"a": 1}, "propertyNames": {"maxLength": 0}},
        {"const": {"a": 1}, "dependentRequired": {"a": ["b"]}},
        {"enum": ["ab"], "pattern": "^a(?!b)"},
        {"const": ["a"], "contains": {"type": "integer"}},
    ],
)
def test_an_output_that_breaks_an_unguided_keyword_is_an_error(
    schema: dict[str, Any], compiler: ConstraintCompiler, make_driver: Callable[..., Any]
) -> None:
    """The grammar leaves no other output than a wrong one, and that one never counts as finished."""
    driver = make_driver(FakeBackend())
    _, heard = driver.submit("p", 50, constraint=state(compiler, schema))
    driver.run()
    assert isinstance(heard.error, ConstraintFailed)
    assert heard.finish_reason is None
    driver.check()


def test_a_pattern_that_takes_exponential_time_is_broken_off(compiler: ConstraintCompiler) -> None:
    """Callers choose patterns, so the final check has a time limit and fails closed."""
    constraint = state(compiler, {"type": "string", "pattern": "^(a|aa)+(?!b)$"})
    started_at_s = time.monotonic()
    with pytest.raises(ConstraintFailed, match="could not be validated"):
        constraint.validate(json.dumps("a" * 60 + "!"))
    assert time.monotonic() - started_at_s < 2


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "pattern": r"^\p{Lu}\p{L}*$"}, "Äpfel", "äpfel"),
        ({"type": "string", "pattern": r"^(?!0000)[0-9]{4}$"}, "0001", "0000"),
        ({"type": "string", "format": "AWS::KMS::Key.Arn"}, "anything", 3),
        ({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}, [1, "a"], ["a", 1]),
        (
            {"type": "object", "patternProperties": {r"^\p{L}+$": {"type": "integer"}}, "additionalProperties": False},
            {"ä": 1},
            {"1": 1},
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "type": "integer",
                "minimum": 0,
                "exclusiveMinimum": True,
            },
            1,
            0,
        ),
    ],
)
def test_real_schemas_are_enforced_in_their_dialect(
    schema: dict[str, Any], good: Any, bad: Any, compiler: ConstraintCompiler
) -> None:
    """Unicode classes, look-around, formats of somebody's own and tuples of draft 7 compile and are checked."""
    state(compiler, schema).validate(json.dumps(good))
    with pytest.raises(ConstraintFailed):
        state(compiler, schema).validate(json.dumps(bad))


def test_a_guided_output_keeps_to_what_the_grammar_knows(
    compiler: ConstraintCompiler, make_driver: Callable[..., Any]
) -> None:
    """One keyword that is only checked at the end takes nothing from the guidance of the others."""
    driver = make_driver(FakeBackend())
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^(?=x)x[0-9]{2}$"},
            "kind": {"enum": ["a", "b"]},
            "data": {"const": {"pattern": "(?!kept)"}},
        },
        "required": ["id", "kind", "data"],
        "additionalProperties": False,
        "not": {"required": ["other"]},
    }
    for seed in range(5):
        _, heard = driver.submit("p", 200, temperature=1.5, seed=seed, constraint=state(compiler, schema))
        driver.run()
        assert heard.error is None
        value = json.loads(heard.text)
        assert re.fullmatch("x[0-9]{2}", value["id"])
        assert value["data"] == {"pattern": "(?!kept)"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("^a+$", "^a+$"),
        ("^(?!a(b)[)])c$", "^(?:)c$"),
        (r"x(?<=\))y", "x(?:)y"),
        (r"\bword\B[\b]", r"(?:)word(?:)[\b]"),
        (r"[(?=x)]\(?!", r"[(?=x)]\(?!"),
        (r"[\p{L}\d-_]", r"[\p{L}\d\-_]"),
        (r"(a)\1", None),
    ],
)
def test_patterns_are_only_ever_widened(pattern: str, expected: str | None) -> None:
    """Look-around goes, groups and classes that only look like it stay, and what is not regular permits anything."""
    assert widened_pattern(pattern) == expected


def test_references_to_the_root_keep_our_own_checks() -> None:
    """A schema that names its dialect and refers to itself is still checked with bounded patterns all the way down."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": r"^\p{L}+$"}, "child": {"$ref": "#"}},
    }
    validator = SchemaValidator(schema)
    validator.validate({"child": {"name": "ä"}})
    with pytest.raises(Exception, match="does not match"):
        validator.validate({"child": {"child": {"name": "1"}}})
