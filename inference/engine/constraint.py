"""Constraints: declared with Outlines, compiled by its llguidance backend, applied as token masks. Fails closed.

A constraint that cannot be compiled is InvalidSchema. From then on any doubt (the matcher reports an error, a token is
refused, nothing is permitted, the finished text does not satisfy the schema) is ConstraintFailed and the request ends:
there is no path on which generation goes on without its mask.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np
import regex
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from numpy.typing import NDArray
from outlines.backends.llguidance import LLGuidanceBackend
from outlines.types.dsl import CFG, Choice, Regex, Term

from inference.engine.base import ConstraintKind, ConstraintSpec
from inference.engine.json_schema import PATTERN_TIMEOUT_S, SchemaValidator, brief, guiding_schema, parse_schema
from inference.errors import ConstraintFailed, InvalidSchema

MAX_SPEC_BYTES = 256 * 1024
COMPILE_TIMEOUT_S = 10.0
CACHE_ENTRIES = 128
CALL_OPEN, CALL_CLOSE = "<tool_call>", "</tool_call>"


class _OutlinesGuidance(LLGuidanceBackend):
    """Outlines' llguidance backend for a vocabulary that is already at hand instead of an Outlines model."""

    def __init__(self, tokenizer: LLTokenizer) -> None:
        # The base class would make a second tokenizer from its own model wrapper.
        import llguidance

        self.llg = llguidance
        self.tensor_library_name = "numpy"
        self.llg_tokenizer = tokenizer

    def grammar_of(self, term: Term) -> str:
        """The llguidance grammar that Outlines makes of a declared term."""
        match term:
            case CFG():
                return str(self.get_cfg_logits_processor(term.definition).grammar)
            case Regex():
                return str(self.get_regex_logits_processor(term.pattern).grammar)
            case Choice():
                pattern = "|".join(re.escape(str(item)) for item in term.items)
                return str(self.get_regex_logits_processor(f"({pattern})").grammar)
        raise TypeError(f"no grammar for {type(term).__name__}")


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled constraint, shared by all requests that use it. ``prototype`` is copied, never consumed from."""

    spec: ConstraintSpec
    prototype: LLMatcher
    validator: SchemaValidator | None


class ConstraintCompiler:
    """Compiles constraints for one vocabulary and keeps the most recently used. Thread-safe."""

    def __init__(self, tokenizer: LLTokenizer, control_texts: Collection[str] = ()) -> None:
        """``control_texts`` are the texts of tokens that stand for themselves, such as ``<tool_call>``."""
        self._control_texts = control_texts
        self._guidance = _OutlinesGuidance(tokenizer)
        self._tokenizer = tokenizer
        self._limits = LLParserLimits(verbose_errors=False)
        self._programs: OrderedDict[ConstraintSpec, Program] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, spec: ConstraintSpec) -> Program:
        """Compile, or take from the cache. Raises: InvalidSchema with the reason."""
        with self._lock:
            program = self._programs.get(spec)
            if program is not None:
                self._programs.move_to_end(spec)
                return program
        program = self._compile(spec)
        with self._lock:
            self._programs[spec] = program
            while len(self._programs) > CACHE_ENTRIES:
                self._programs.popitem(last=False)
        return program

    async def compile_in_time(self, spec: ConstraintSpec) -> Program:
        """The same in a thread, for at most ten seconds. Raises: InvalidSchema."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(self.compile, spec), COMPILE_TIMEOUT_S)
        except TimeoutError:
            raise InvalidSchema(
                f"The constraint took longer than {COMPILE_TIMEOUT_S:.0f} s to compile. Make it simpler."
            ) from None

    def _compile(self, spec: ConstraintSpec) -> Program:
        size_bytes = len(spec.text.encode("utf-8", "replace"))
        if size_bytes > MAX_SPEC_BYTES:
            raise InvalidSchema(f"The constraint has {size_bytes:,} bytes, at most {MAX_SPEC_BYTES:,} are allowed.")
        try:
            term, validator = self._declare(spec)
            matcher = LLMatcher(self._tokenizer, self._guidance.grammar_of(term), log_level=0, limits=self._limits)
        except InvalidSchema:
            raise
        except Exception as error:
            # Whatever goes wrong in either library, the request must not go on without its constraint.
            raise InvalidSchema(f"The constraint cannot be compiled: {brief(error)}") from error
        if matcher.is_error():
            raise InvalidSchema(f"The constraint cannot be compiled: {_reason(matcher.get_error())}")
        return Program(spec, matcher, validator)

    def _declare(self, spec: ConstraintSpec) -> tuple[Term, SchemaValidator | None]:
        if spec.kind is not ConstraintKind.TEXT_OR_CALL:
            return _declare(spec)
        schema, validator = _schema_of(spec)
        return CFG(call_grammar(schema, self._control_texts)), validator


def call_grammar(schema: str, control_texts: Collection[str]) -> str:
    """The Lark grammar of free text or a marked call. ``schema`` guides the call (see ``guiding_schema``)."""

    def mark(text: str) -> str:
        # A mark that is one token of the vocabulary can only be written as that token.
        return text if text in control_texts else json.dumps(text)

    # Text may not begin like JSON or a code block either: small models write calls that way when they should use the
    # marks, and such a call would be taken for an answer.
    return (
        "start: text | call\n"
        "text: /([^<{`](.|\\n)*)?/\n"
        f'call: {mark(CALL_OPEN)} "\\n" body "\\n" {mark(CALL_CLOSE)}\n'
        f"body: %json {schema}\n"
    )


def _declare(spec: ConstraintSpec) -> tuple[Term, SchemaValidator | None]:
    match spec.kind:
        case ConstraintKind.JSON_SCHEMA:
            # Not Outlines' JsonSchema, which refuses what is not valid as draft 7, whatever the schema's dialect is.
            schema, validator = _schema_of(spec)
            return CFG(f"start: %json {schema}\n"), validator
        case ConstraintKind.REGEX:
            return Regex(spec.text), None
        case ConstraintKind.CHOICE:
            choices = json.loads(spec.text)
            if not choices or not all(isinstance(choice, str) and choice for choice in choices):
                raise InvalidSchema("A choice needs at least one text, and none may be empty.")
            return Choice(choices), None
        case ConstraintKind.GRAMMAR:
            return CFG(spec.text), None
    raise TypeError(f"no declaration for {spec.kind}")


def _schema_of(spec: ConstraintSpec) -> tuple[str, SchemaValidator]:
    schema = parse_schema(spec.text)
    validator = SchemaValidator(schema)
    return guiding_schema(schema, validator.dialect), validator


class ConstraintState:
    """One request's position inside its constraint."""

    def __init__(self, program: Program, vocab_size: int) -> None:
        self._program = program
        self._matcher = program.prototype.deep_copy()
        self._vocab_size = vocab_size
        self._mask = np.zeros((vocab_size + 31) // 32, dtype=np.int32)

    @property
    def is_complete(self) -> bool:
        """Whether the output is finished: the constraint permits nothing more."""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    @property
    def is_accepting(self) -> bool:
        """Whether the output could end here."""
        return bool(self._matcher.is_accepting())

    def allowed(self) -> NDArray[np.int64]:
        """The tokens that may come next, ascending. Raises: ConstraintFailed."""
        try:
            self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        except Exception as error:
            raise ConstraintFailed(f"The constraint's mask could not be computed: {brief(error)}") from error
        self._require_sound()
        bits = np.unpackbits(self._mask.view(np.uint8), bitorder="little", count=self._vocab_size)
        allowed = np.flatnonzero(bits)
        if allowed.size == 0:
            raise ConstraintFailed("The constraint permits no token at this point of the output.")
        return allowed

    def accept(self, token: int) -> None:
        """Move on by a token. Raises: ConstraintFailed when the constraint refuses it."""
        try:
            is_accepted = self._matcher.consume_token(token)
        except Exception as error:
            raise ConstraintFailed(f"The constraint broke at a token: {brief(error)}") from error
        self._require_sound()
        if not is_accepted:
            raise ConstraintFailed("The constraint refused a token that was sampled.")

    def forced(self) -> list[int]:
        """Tokens that the constraint leaves no choice about, already consumed; they need no model step to be chosen.

        llguidance tokenizes the forced text with the model's own tokenizer and holds back what could be tokenized
        otherwise together with what follows. Raises: ConstraintFailed.
        """
        try:
            tokens = list(self._matcher.compute_ff_tokens())
        except Exception as error:
            raise ConstraintFailed(f"The constraint broke at forced text: {brief(error)}") from error
        for token in tokens:
            self.accept(token)
        return tokens

    def validate(self, text: str) -> None:
        """Check the finished text by other means than those that made it. Raises: ConstraintFailed."""
        program = self._program
        if program.validator is None:
            if not self._is_match(text):
                raise ConstraintFailed("The finished output does not satisfy its constraint.")
            return
        if program.spec.kind is ConstraintKind.TEXT_OR_CALL:
            if not text.startswith(CALL_OPEN):
                return
            text = text.removeprefix(CALL_OPEN).removesuffix(CALL_CLOSE)
        try:
            program.validator.validate(json.loads(text, parse_constant=_refuse_constant))
        except jsonschema.ValidationError as error:
            where = error.json_path
            raise ConstraintFailed(
                f"The finished output breaks its schema at {where}: {brief(error.message)}"
            ) from error
        except Exception as error:
            raise ConstraintFailed(f"The finished output could not be validated: {brief(error)}") from error

    def _is_match(self, text: str) -> bool:
        spec = self._program.spec
        if spec.kind is ConstraintKind.CHOICE:
            return text in json.loads(spec.text)
        if spec.kind is ConstraintKind.REGEX:
            try:
                return regex.fullmatch(spec.text, text, timeout=PATTERN_TIMEOUT_S) is not None
            except TimeoutError as error:
                raise ConstraintFailed("The finished output could not be checked in time.") from error
            except regex.error:
                # Rust's syntax knows forms that Python's does not; the matcher's own word is all there is.
                return self.is_complete or self.is_accepting
        return self.is_complete or self.is_accepting

    def _require_sound(self) -> None:
        if self._matcher.is_error():
            raise ConstraintFailed(f"The constraint broke: {brief(self._matcher.get_error())}")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _reason(error: str) -> str:
    """The matcher's error without the place in the grammar that was made here, which the caller never saw."""
    return brief(re.sub(r"^at \d+\(\d+\): |\n +\d+ \| .*$", "", error, flags=re.DOTALL))
