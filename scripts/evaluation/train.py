"""Learns the weights of ``app.chat.classifier`` from the development cases; says how they do on authors left out.

The language model's opinions are asked once and kept beside the cases, so learning again needs no model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

import app.chat
from app.chat import classifier
from app.llm import LlmClient
from app.settings import load_settings
from scripts.evaluation.cases import CASES, Case, load_cases
from scripts.evaluation.opinions import opinions_of

Matrix = NDArray[np.float64]
OPINIONS_FILE = CASES / "opinions_dev.json"
MODEL = "qwen2.5-coder-1.5b-instruct"
REGULARISATION = 1.0
FOLDS = 8


def learned(rows: Matrix, wanted: NDArray[np.int64]) -> Matrix:
    """Weights (features, types) of a multinomial logistic regression with an L2 penalty.

    There are far more features than cases, so it is solved in the space that the cases span, which gives the same
    weights in a fraction of the time.
    """
    values, vectors = np.linalg.eigh(rows @ rows.T)
    keep = values > values.max() * 1e-9
    basis = vectors[:, keep] / np.sqrt(values[keep])
    model = LogisticRegression(C=REGULARISATION, max_iter=1000, tol=1e-4, fit_intercept=False)
    model.fit(rows @ (rows.T @ basis), wanted)
    return rows.T @ (basis @ model.coef_.T)


def left_out_types(cases: Sequence[Case], rows: Matrix, wanted: NDArray[np.int64]) -> Matrix:
    """Scores (cases, types) of each case by weights that never saw its author."""
    scores = np.zeros((len(cases), len(classifier.TYPES)))
    for train, test in GroupKFold(FOLDS).split(rows, wanted, [case.author for case in cases]):
        scores[test] = rows[test] @ learned(rows[train], wanted[train])
    return scores


def report(name: str, cases: Sequence[Case], scores: Matrix, wanted: NDArray[np.int64], *, shows_misses: bool) -> None:
    """How often the left-out authors' cases are typed right, and how many are sure."""
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    chosen = scores.argmax(axis=1)
    false_actions = int(((chosen != 0) & (wanted == 0)).sum())
    print(
        f"{name}: right {np.mean(chosen == wanted):.2%}, false actions on null {false_actions} of {(wanted == 0).sum()}"
    )
    for sure in (0.9, 0.95, 0.98):
        at = shares.max(axis=1) >= sure
        print(f"  at {sure}: {at.mean():.0%} of the cases, {np.mean(chosen[at] == wanted[at]):.2%} right")
    if shows_misses:
        for case, got, want in zip(cases, chosen, wanted, strict=True):
            if got != want:
                print(f"  {classifier.TYPES[want]} → {classifier.TYPES[got]}: {case.id}: {' || '.join(case.turns)}")


def main() -> int:
    """Ask for missing opinions, cross-validate, learn from everything, write the weights."""
    parser = argparse.ArgumentParser(prog="./scripts/eval train", description=__doc__)
    parser.add_argument("--misses", action="store_true", help="also print the cases that are typed wrong")
    options = parser.parse_args()
    cases = load_cases("dev")
    opinions = json.loads(OPINIONS_FILE.read_text(encoding="utf-8")) if OPINIONS_FILE.exists() else {}
    missing = [case for case in cases if case.id not in opinions]
    if missing:
        settings = load_settings()
        llm = LlmClient(settings.inference_origin, settings.inference_key_text(), MODEL)
        opinions |= opinions_of(missing, llm)
    opinions = {case.id: opinions[case.id] for case in cases}
    OPINIONS_FILE.write_text(json.dumps(opinions, indent=0) + "\n", encoding="utf-8")

    wanted = np.array([classifier.TYPES.index(case.type) for case in cases])
    alone = np.array([classifier.vector(case.evidence()) for case in cases], dtype=np.float64)
    both = np.array([classifier.vector(case.evidence(), opinions[case.id]) for case in cases], dtype=np.float64)
    report("alone", cases, left_out_types(cases, alone, wanted), wanted, shows_misses=False)
    report("with the model", cases, left_out_types(cases, both, wanted), wanted, shows_misses=options.misses)
    path = Path(app.chat.__file__).with_name(classifier.WEIGHTS_FILE)
    np.savez_compressed(
        path,
        alone=learned(alone, wanted).astype(np.float16),
        with_opinion=learned(both, wanted).astype(np.float16),
        opinion_model=np.array(MODEL),
        fingerprint=np.array(classifier.fingerprint()),
    )
    print(f"wrote {path.name}, {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
