"""``./scripts/eval assistant``: how often the assistant answers rightly from documents, and how true its confidence is.

Five documents of a small café and 48 questions, of which a third has no answer there. Needs a running inference server
(``./scripts/up`` or ``python -m inference``). ``--write`` stores the fitted confidence where the app reads it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.assistant.confidence import MIN_CONFIDENCE, confidence_of, features_of
from app.assistant.records import Reply, Signals, Token
from app.assistant.service import AssistantService
from app.services import Services, build_services
from app.settings import load_settings
from scripts.evaluation.calibration import brier, calibration_error, cross_validated, fitted

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
QUESTIONS = HERE / "assistant_questions.jsonl"
TARGET = HERE.parents[1] / "app" / "assistant" / "confidence.json"
Row = dict[str, Any]


def main() -> int:
    """Ask, judge, fit, print."""
    arguments = _arguments()
    if arguments.rows and arguments.rows.exists() and not arguments.again:
        rows: list[Row] = json.loads(arguments.rows.read_text(encoding="utf-8"))
    else:
        rows = asked(arguments.limit)
        if arguments.rows:
            arguments.rows.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    report(rows)
    if arguments.write:
        write(rows)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, help="keep what was asked here, or read it from here")
    parser.add_argument("--again", action="store_true", help="ask again although --rows is there")
    parser.add_argument("--limit", type=int, default=0, help="only so many questions")
    parser.add_argument("--write", action="store_true", help=f"store the fitted confidence in {TARGET}")
    return parser.parse_args()


def asked(limit: int) -> list[Row]:
    """Every question with what came of it."""
    questions = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="herald-eval-") as folder:
        own = settings.model_copy(update={"home": Path(folder), "inference_key": _key(settings)})
        services = build_services(own, wake=lambda _action_id: None)
        try:
            _fill(services)
            return [
                _row(AssistantService(services.memory, services.llm), question)
                for question in questions[: limit or None]
            ]
        finally:
            services.close()


def _key(settings: Any) -> Any:
    """The running server's key, since the evaluation has a data folder of its own."""
    from pydantic import SecretStr

    return SecretStr(settings.inference_key_text())


def _fill(services: Services) -> None:
    for path in sorted(CORPUS.iterdir()):
        services.memory.add(path.name, path.read_bytes(), "evaluation")


def _row(assistant: AssistantService, question: Row) -> Row:
    began = time.monotonic()
    reply, first_s = None, None
    for event in assistant.stream(question["question"]):
        if isinstance(event, Token) and first_s is None:
            first_s = time.monotonic() - began
        if isinstance(event, Reply):
            reply = event
    assert reply is not None, "the model did not answer; see its log"
    said = question.get("says", [])
    quotes = "\n".join(c.quote for c in reply.citations)
    row = {
        "question": question["question"],
        "is_answerable": bool(said),
        "is_answered": bool(reply.citations),
        "is_right": bool(said) and bool(reply.citations) and all(re.search(s, reply.answer, re.I) for s in said),
        "is_cited_rightly": bool(said)
        and question["file"] in {c.filename for c in reply.citations}
        and all(re.search(s, quotes, re.I) or s.startswith("closed") for s in said),
        "answer": reply.answer,
        "quotes": quotes,
        "confidence": reply.confidence,
        "signals": asdict(reply.signals) if reply.signals else None,
        "lines_state_it": None,
        "first_s": round(first_s or 0.0, 1),
        "seconds": round(time.monotonic() - began, 1),
    }
    evidence = "\n".join(line.quote for line in reply.considered)
    row["lines_state_it"] = bool(said) and all(re.search(s, evidence, re.I) for s in said)
    mark = "ok " if row["is_right"] or (not said and not reply.citations) else "NO "
    print(
        f"{mark} {reply.confidence:.2f} {row['seconds']:5.1f} s  {question['question']} -> {reply.answer}", flush=True
    )
    return row


def report(rows: list[Row]) -> None:
    """Print the figures."""
    answerable = [r for r in rows if r["is_answerable"]]
    others = [r for r in rows if not r["is_answerable"]]
    answered = [r for r in rows if r["is_answered"]]
    print()
    _line("answerable questions answered rightly", sum(r["is_right"] for r in answerable), len(answerable))
    _line("… answered wrongly", sum(r["is_answered"] and not r["is_right"] for r in answerable), len(answerable))
    _line("… called unknown", sum(not r["is_answered"] for r in answerable), len(answerable))
    _line("unanswerable questions called unknown", sum(not r["is_answered"] for r in others), len(others))
    _line("answers given that are right", sum(r["is_right"] for r in answered), len(answered))
    x, y = _training(rows)
    now = np.array([confidence_of(Signals(**r["signals"])) for r in rows if r["signals"]])
    held_out = cross_validated(x, y)
    for name, p in (("stored coefficients", now), ("refitted, each fifth held out", held_out)):
        print(
            f"confidence, {name}: Brier {brier(p, y):.3f}, calibration error {calibration_error(p, y):.3f}, "
            f"right side of {MIN_CONFIDENCE}: {np.mean((p >= MIN_CONFIDENCE) == y):.2f} of {len(y)}"
        )
    seconds = sorted(r["seconds"] for r in rows)
    print(f"seconds a question: median {seconds[len(seconds) // 2]:.1f}, longest {seconds[-1]:.1f}")


def _line(what: str, count: int, of: int) -> None:
    print(f"{what}: {count} of {of}" + (f" ({100 * count / of:.0f} %)" if of else ""))


def _training(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 4) and whether the chosen lines state the answer (n,) of the questions that had any lines."""
    with_lines = [r for r in rows if r["signals"]]
    x = np.array([features_of(Signals(**r["signals"])) for r in with_lines])
    return x, np.array([float(r["lines_state_it"]) for r in with_lines])


def write(rows: list[Row]) -> None:
    """Store the regression over all questions."""
    x, y = _training(rows)
    intercept, weights = fitted(x, y)
    stored = {
        "intercept": round(intercept, 3),
        "weights": [round(w, 3) for w in weights],
        "features": ["log odds of answered", "log odds of stated", "similarity", "overlap"],
        "made_by": f"./scripts/eval assistant --write, {len(y)} questions, model {load_settings().model}",
    }
    TARGET.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {TARGET}")


if __name__ == "__main__":
    sys.exit(main())
