"""Constraints hold for every token, end in valid output, and when anything about them breaks the request fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from inference.backends.fake import FakeBackend
from inference.engine import constraint as constraint_module
from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.constraint import ConstraintCompiler, ConstraintState
from inference.errors import ConstraintFailed, InvalidSchema

POST = {
    "type": "object",
    "properties": {
        "reply": {"type": "string", "maxLength": 40},
        "action": {
            "anyOf": [
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {"type": {"const": "post_social"}, "platform": {"enum": ["x", "linkedin"]}},
                    "required": ["type", "platform"],
                    "additionalProperties": False,
                },
            ]
        },
    },
    "required": ["reply", "action"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> ConstraintCompiler:
    return ConstraintCompiler(FakeBackend().constraint_tokenizer())


def json_spec(schema: Any) -> ConstraintSpec:
    return ConstraintSpec(ConstraintKind.JSON_SCHEMA, schema if isinstance(schema, str) else json.dumps(schema))


def state(compiler: ConstraintCompiler, spec: ConstraintSpec) -> ConstraintState:
    return ConstraintState(compiler.compile(spec), FakeBackend().info.vocab_size)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (json_spec("{"), "not JSON"),
        (json_spec("[]"), "must be an object"),
        (json_spec({"type": "nonsense"}), "not valid"),
        (json_spec({"$ref": "http://example.com/schema.json"}), "cannot be compiled"),
        (json_spec({"type": "string", "pattern": "("}), "cannot be compiled|not valid"),
        (json_spec(nested(80)), "levels deep"),
        (json_spec({"description": "x" * 300_000}), "at most 262,144"),
        (json_spec({"type": "object", "properties": {"a": False}, "required": ["a"]}), "cannot be compiled"),
        (ConstraintSpec(ConstraintKind.REGEX, "(unclosed"), "cannot be compiled"),
        (ConstraintSpec(ConstraintKind.CHOICE, "[]"), "at least one"),
        (ConstraintSpec(ConstraintKind.CHOICE, '["a", ""]'), "none may be empty"),
        (ConstraintSpec(ConstraintKind.GRAMMAR, "this is : not ( a grammar"), "cannot be compiled"),
    ],
)
def test_what_cannot_be_compiled_is_refused(compiler: ConstraintCompiler, spec: ConstraintSpec, reason: str) -> None:
    """A constraint is refused with its reason before anything is generated."""
    with pytest.raises(InvalidSchema, match=reason):
        compiler.compile(spec)


@pytest.mark.parametrize(
    "breakage",
    ["unsafe_compute_mask_ptr", "consume_token", "compute_ff_tokens", "is_error", "empty mask", "validate"],
)
def test_a_constraint_that_breaks_fails_the_request(
    breakage: str, compiler: ConstraintCompiler, make_driver: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever part of the machinery fails, the request ends with an error; unconstrained text never follows."""
    driver = make_driver(FakeBackend())
    constraint = state(compiler, json_spec(POST))
    sequence, heard = driver.make("post something", 300, constraint=constraint)
    real = constraint._matcher
    calls = 0

    class Broken:
        def __getattr__(self, name: str) -> Any:
            nonlocal calls
            calls += name == breakage
            if name == breakage and calls > 4:
                if name == "is_error":
                    return lambda: True
                raise RuntimeError("broken on purpose")
            return getattr(real, name)

    if breakage == "empty mask":
        monkeypatch.setattr(np, "flatnonzero", lambda bits: np.array([], dtype=np.int64))
    elif breakage == "validate":
        monkeypatch.setattr(constraint_module.json, "loads", lambda *_, **__: {"reply": 7})
    else:
        constraint._matcher = Broken()  # type: ignore[assignment]
    driver.loop.submit(sequence)
    driver.run()
    assert isinstance(heard.error, ConstraintFailed)
    assert heard.items[-1] is heard.error
    assert heard.finish_reason is None
    monkeypatch.undo()
    _, after = driver.submit("post something", 3)
    driver.run()
    assert after.finish_reason is not None
    driver.check()


def test_a_token_outside_of_the_mask_is_refused(compiler: ConstraintCompiler) -> None:
    """The matcher itself refuses what the mask forbids, and stays refused."""
    constraint = state(compiler, json_spec(POST))
    with pytest.raises(ConstraintFailed):
        constraint.accept(ord("x"))
    with pytest.raises(ConstraintFailed):
        constraint.allowed()


@pytest.mark.parametrize(
    ("schema", "text", "reason"),
    [
        ({"type": "object"}, "{", "could not be validated"),
        ({"type": "number"}, "NaN", "NaN is not JSON"),
        ({"type": "object", "properties": {"a": {"type": "integer"}}}, '{"a": "b"}', r"\$\.a"),
        ({"type": "string", "maxLength": 2}, '"abc"', "breaks its schema"),
    ],
)
def test_finished_output_is_validated_by_other_means(
    compiler: ConstraintCompiler, schema: dict[str, Any], text: str, reason: str
) -> None:
    """Even if the masks were wrong, output that breaks its schema is not reported as finished."""
    with pytest.raises(ConstraintFailed, match=reason):
        state(compiler, json_spec(schema)).validate(text)


@pytest.mark.parametrize(
    ("kind", "text", "output"), [("regex", "[0-9]{3}", "12"), ("choice", '["yes", "no"]', "maybe")]
)
def test_finished_text_is_checked_against_regex_and_choice(
    compiler: ConstraintCompiler, kind: str, text: str, output: str
) -> None:
    """The plain-text constraints are checked at the end too."""
    with pytest.raises(ConstraintFailed, match="does not satisfy"):
        state(compiler, ConstraintSpec(ConstraintKind(kind), text)).validate(output)


@pytest.mark.parametrize("seed", range(8))
def test_every_output_satisfies_its_schema(
    seed: int, compiler: ConstraintCompiler, make_driver: Callable[..., Any]
) -> None:
    """Many constrained requests in one batch, hot sampling: each is valid JSON of its schema or honestly cut."""
    driver = make_driver(FakeBackend())
    spec = json_spec(POST)
    heard = [
        driver.submit(f"request {seed} {number}", 200, temperature=1.5, seed=number, constraint=state(compiler, spec))[
            1
        ]
        for number in range(6)
    ]
    driver.submit("unconstrained neighbour", 50)
    driver.run()
    for item in heard:
        assert item.error is None
        assert item.finish_reason == "stop"
        value = json.loads(item.text)
        assert set(value) == {"reply", "action"}
        assert value["action"] is None or value["action"]["platform"] in ("x", "linkedin")
    driver.check()


def test_forced_text_needs_no_model_step(compiler: ConstraintCompiler, make_driver: Callable[..., Any]) -> None:
    """What the schema leaves no choice about is appended, counted, and not sampled."""
    driver = make_driver(FakeBackend())
    schema = {
        "type": "object",
        "properties": {"a_rather_long_key": {"const": "and a fixed value"}, "b": {"enum": ["x", "y"]}},
        "required": ["a_rather_long_key", "b"],
        "additionalProperties": False,
    }
    _, heard = driver.submit("p", 100, constraint=state(compiler, json_spec(schema)))
    driver.run()
    assert json.loads(heard.text)["a_rather_long_key"] == "and a fixed value"
    assert heard.usage.completion_tokens == len(heard.text)
    assert heard.usage.forced_tokens == len(heard.text) - 1
    assert driver.loop.counters.steps <= 4


def test_an_output_that_is_forced_altogether_never_runs_the_model(
    compiler: ConstraintCompiler, make_driver: Callable[..., Any]
) -> None:
    """A constant needs no step at all."""
    driver = make_driver(FakeBackend())
    _, heard = driver.submit("p", 100, constraint=state(compiler, json_spec({"const": {"ok": True}})))
    driver.run()
    assert (heard.text, heard.finish_reason) == ('{"ok": true}', "stop")
    assert driver.backend.decoded_tokens == 0


def test_output_that_is_cut_says_length(compiler: ConstraintCompiler, make_driver: Callable[..., Any]) -> None:
    """A constrained output that hits its limit is not called finished."""
    driver = make_driver(FakeBackend())
    _, heard = driver.submit("p", 7, constraint=state(compiler, json_spec(POST)))
    driver.run()
    assert heard.finish_reason == "length"
    assert heard.usage.completion_tokens == 7


@pytest.mark.parametrize("schema", [{"const": {"ok": True}}, {"enum": ["an end", "another end"]}])
def test_output_that_is_cut_inside_forced_text_says_length_too(
    compiler: ConstraintCompiler, make_driver: Callable[..., Any], schema: dict[str, Any]
) -> None:
    """Wherever the limit falls the output is its beginning; only the whole is called finished."""

    def output(max_tokens: int) -> Any:
        driver = make_driver(FakeBackend())
        _, heard = driver.submit("p", max_tokens, constraint=state(compiler, json_spec(schema)))
        driver.run()
        return heard

    whole = output(100).text
    for max_tokens in range(1, len(whole) + 1):
        heard = output(max_tokens)
        assert heard.error is None
        assert heard.text == whole[:max_tokens]
        assert heard.finish_reason == ("stop" if max_tokens == len(whole) else "length")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("regex", "(red|green)-[0-9]{2}", r"(red|green)-[0-9]{2}"),
        ("choice", '["yes", "no", "may.be"]', r"(yes|no|may\.be)"),
        ("grammar", 'start: "a" ("b" | "c")+ "d"', r"a(b|c)+d"),
        ("grammar", 'root ::= "x" [0-9] "y"', r"x[0-9]y"),
    ],
)
def test_plain_text_constraints(
    compiler: ConstraintCompiler, make_driver: Callable[..., Any], kind: str, text: str, expected: str
) -> None:
    """Regex, choice, Lark and GBNF grammars shape the output."""
    import re

    driver = make_driver(FakeBackend())
    _, heard = driver.submit(
        "p", 60, temperature=1.0, seed=1, constraint=state(compiler, ConstraintSpec(ConstraintKind(kind), text))
    )
    driver.run()
    assert heard.error is None
    assert re.fullmatch(expected, heard.text) or heard.finish_reason == "length"


def test_a_preempted_constrained_request_goes_on_inside_its_constraint(
    compiler: ConstraintCompiler, make_driver: Callable[..., Any]
) -> None:
    """Losing its cells does not lose its place in the schema."""
    driver = make_driver(FakeBackend(context_tokens=200, cell_count=220), max_sequences=4)
    schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 30, "maxItems": 30}
    heard = [driver.submit(f"list {n}", 120, constraint=state(compiler, json_spec(schema)))[1] for n in range(4)]
    driver.run()
    for item in heard:
        assert item.finish_reason == "stop"
        assert len(json.loads(item.text)) == 30
    driver.check()


def test_compiled_constraints_are_kept(compiler: ConstraintCompiler) -> None:
    """The same schema is compiled once."""
    spec = json_spec({"type": "object", "properties": {"once": {"type": "string"}}})
    assert compiler.compile(spec) is compiler.compile(spec)
