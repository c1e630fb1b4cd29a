"""How much of the JSON schemas of the real world is served: which compile, which outputs validate, how long it takes.

Every schema is compiled as the engine does it, and one document is generated for each that compiles. An output that is
cut at the token limit is counted apart: it is honestly unfinished, and no schema can be satisfied by half a document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import jsonschema
from rich.progress import Progress, track

from inference.config import InferenceSettings
from inference.engine.base import ConstraintKind, ConstraintSpec, GenerationRequest, Sampling
from inference.engine.constraint import ConstraintCompiler
from inference.engine.local import LocalEngine
from inference.errors import ConstraintFailed, InferenceError, InvalidSchema
from inference.serve import backend_loader
from scripts.benchmarks.schema_corpus import RealSchema, corpus

CONTEXT_TOKENS = 2048
REASON_LENGTH = 90


@dataclass(slots=True)
class Outcome:
    """What became of one schema. ``output`` is valid, cut, refused (constraint_failed), wrong or empty (none)."""

    source: str
    file: str
    size_bytes: int
    compile_s: float
    reason: str = ""
    output: str = ""
    detail: str = ""
    tokens: int = 0


def compiled(compiler: ConstraintCompiler, schema: RealSchema) -> Outcome:
    """Compile one schema, timed."""
    reason, started_at_s = "", time.perf_counter()
    try:
        compiler.compile(ConstraintSpec(ConstraintKind.JSON_SCHEMA, schema.text))
    except InvalidSchema as error:
        reason = error.message
    taken_s = time.perf_counter() - started_at_s
    return Outcome(schema.source, schema.file, len(schema.text.encode()), taken_s, reason)


async def generate(engine: LocalEngine, schema: RealSchema, outcome: Outcome, number: int, max_tokens: int) -> None:
    """Have one document written and say what it came to."""
    content = json.loads(schema.text)
    about = str(content.get("title") or Path(schema.file).stem)
    text = (
        f"Write one short, realistic example of a {about} document as JSON. {str(content.get('description', ''))[:300]}"
    )
    request = GenerationRequest(
        request_id=f"schema-{number}",
        messages=[{"role": "user", "content": text}],
        max_tokens=max_tokens,
        sampling=Sampling(temperature=0.7, seed=number),
        constraint=ConstraintSpec(ConstraintKind.JSON_SCHEMA, schema.text),
    )
    pieces: list[str] = []
    try:
        stream = await engine.submit(request)
        async for delta in stream:
            pieces.append(delta.text)
            if delta.finish_reason is not None and delta.usage is not None:
                outcome.output = "cut" if delta.finish_reason == "length" else "valid"
                outcome.tokens = delta.usage.completion_tokens
    except ConstraintFailed as error:
        outcome.output, outcome.detail = "refused", error.message
        return
    if outcome.output == "valid":
        # Not the engine's own validator: what it let through is looked at once more.
        try:
            _look_again(json.loads("".join(pieces)), content)
        except (jsonschema.ValidationError, ValueError) as error:
            outcome.output, outcome.detail = "wrong", str(error)[:300]
        except Exception as error:
            outcome.detail = f"not looked at again: {error}"[:300]


def _look_again(value: object, schema: dict[str, object]) -> None:
    """Validate with the library alone. Raises: ValidationError, or whatever it cannot do."""
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    if "$schema" not in schema and not kind(kind.META_SCHEMA).is_valid(schema):
        kind = jsonschema.Draft7Validator
    kind(schema).validate(value)


async def generate_all(engine: LocalEngine, pairs: list[tuple[RealSchema, Outcome]], max_tokens: int) -> None:
    """Generate for all schemas that compile, with the engine's batch full."""
    places = asyncio.Semaphore(8)
    with Progress() as progress:
        task = progress.add_task("generating", total=len(pairs))

        async def one(number: int, schema: RealSchema, outcome: Outcome) -> None:
            async with places:
                try:
                    await generate(engine, schema, outcome, number, max_tokens)
                except InferenceError as error:
                    outcome.output, outcome.detail = "error", error.message
                progress.advance(task)

        await asyncio.gather(*(one(number, *pair) for number, pair in enumerate(pairs)))


KINDS = (
    ("not present in a registry", "a reference to another document"),
    ("bytes, at most", "larger than is allowed"),
    ("has non-unique elements", "uniqueItems"),
    ("valid under each of", "oneOf: more than one fits"),
    ("should not be valid under", "not"),
    ("does not match", "pattern or patternProperties"),
    ("is a dependency of", "dependencies"),
    ("required property", "required, by a condition"),
    ("could not be validated", "could not be checked"),
    ("does not have enough properties", "minProperties"),
)


def grouped(reasons: list[str]) -> list[tuple[str, int]]:
    """Reasons without what is particular to one schema, with their counts, the most frequent first."""

    def general(reason: str) -> str:
        for mark, kind in KINDS:
            if mark in reason:
                return kind
        return re.sub(r"'[^']*'|\{.*\}|\[\S.*\S\]", "…", reason.rpartition(": ")[2])[:REASON_LENGTH]

    return Counter(map(general, reasons)).most_common()


def report(outcomes: list[Outcome]) -> list[dict[str, object]]:
    """Print the result; returns its rows."""
    good = [o for o in outcomes if not o.reason]
    times_ms = sorted(o.compile_s * 1000 for o in good)
    print(f"\n{'source':<20} {'schemas':>8} {'compile':>8} {'valid':>6} {'cut':>5} {'refused':>8}")
    for source in [*dict.fromkeys(o.source for o in outcomes), "all"]:
        rows = [o for o in outcomes if source in (o.source, "all")]
        ends = Counter(o.output for o in rows)
        compiling = sum(not o.reason for o in rows)
        print(f"{source:<20} {len(rows):>8} {compiling:>8} {ends['valid']:>6} {ends['cut']:>5} {ends['refused']:>8}")
    ends = Counter(o.output for o in outcomes)
    figures: dict[str, tuple[float, str]] = {
        "schemas": (len(outcomes), ""),
        "schemas that compile": (len(good), ""),
        "outputs that validate": (ends["valid"], ""),
        "outputs cut at the limit": (ends["cut"], ""),
        "outputs refused (constraint_failed)": (ends["refused"], ""),
        "outputs returned that do not validate": (ends["wrong"], ""),
        "other errors": (ends["error"], ""),
    }
    if len(times_ms) > 1:
        quantiles = statistics.quantiles(times_ms, n=100, method="inclusive")
        figures["compile time p50"] = (round(quantiles[49], 2), "ms")
        figures["compile time p99"] = (round(quantiles[98], 2), "ms")
    print()
    for name, (value, unit) in figures.items():
        print(f"{name:<40} {value:>10g} {unit}")
    for title, reasons in (
        ("do not compile", [o.reason for o in outcomes if o.reason]),
        ("output refused", [o.detail for o in outcomes if o.output in ("refused", "wrong", "error")]),
    ):
        for reason, count in grouped(reasons):
            print(f"  {title}: {count:>3} × {reason}")
    return [
        {"case": name, "unit": unit, "ours": value, "peer_name": None, "peer": None, "ratio": None}
        for name, (value, unit) in figures.items()
    ]


async def measure(schemas: list[RealSchema], model: str, max_tokens: int) -> list[Outcome]:
    """Compile all, then generate for those that compile."""
    settings = InferenceSettings(model=model, inference_context=CONTEXT_TOKENS, inference_max_sequences=8)
    backend = backend_loader(settings)()
    compiler = ConstraintCompiler(backend.constraint_tokenizer(), backend.control_texts)
    outcomes = [compiled(compiler, schema) for schema in track(schemas, "compiling")]
    if max_tokens:
        engine = LocalEngine(settings, lambda: backend)
        await engine.start()
        try:
            pairs = [(s, o) for s, o in zip(schemas, outcomes, strict=True) if not o.reason]
            await generate_all(engine, pairs, max_tokens)
        finally:
            await engine.close()
    return outcomes


def main() -> int:
    """Run it. The exit status is 1 when an output was returned that does not validate."""
    parser = argparse.ArgumentParser(description=__doc__, prog="./scripts/bench schemas")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--limit", type=int, default=200, help="number of schemas (default: 200)")
    parser.add_argument("--max-tokens", type=int, default=512, help="of each output; 0 compiles only (default: 512)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and each schema's outcome")
    options = parser.parse_args()
    outcomes = asyncio.run(measure(corpus(options.limit), options.model, options.max_tokens))
    rows = report(outcomes)
    if options.json is not None:
        content = {"rows": rows, "schemas": [asdict(outcome) for outcome in outcomes]}
        options.json.write_text(json.dumps(content, indent=1), "utf-8")
    return 1 if any(o.output == "wrong" for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
