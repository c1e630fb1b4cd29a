"""``./scripts/eval reranker FOLDER``: trains a small cross-encoder to measure reranking with.

It starts from the body of the embedding model and learns from docstrings of installed packages that
``./scripts/eval retrieval`` does not ask about: of one docstring's rest and three others it has to find the one that
the first sentence belongs to. It is for the measurement; a reranker that was published is the better one to serve.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from inference.config import InferenceSettings, physical_cores
from inference.serve import locate_model
from models.catalog import Kind
from scripts.evaluation.retrieval import Docstring, docstrings

PACKAGES = (
    *("torch", "transformers", "numpy", "pandas", "sympy", "sqlalchemy", "litellm", "huggingface_hub"),
    *("langchain_core", "peft", "pydantic", "openai", "sentence_transformers", "playwright", "hypothesis"),
)
QUESTIONS_A_STEP = 8
HARD, EASY = 2, 1  # wrong documents beside the right one: those that share words with the question, and any
NEIGHBOURS = 12
MAX_TOKENS = 128
SERVED_TOKENS = 256  # what the body of the embedding model was made for
PASSAGE_CHARS = 1_200
LEARNING_RATE = 8e-5
WARM_UP = 0.1
SEED = 7
console = Console(stderr=True)


def confusable(known: list[Docstring]) -> NDArray[np.int64]:
    """``(n, NEIGHBOURS)``: for each question the other documents that share most of its words (TF-IDF)."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    bodies = vectorizer.fit_transform([docstring.body for docstring in known])
    questions = vectorizer.transform([docstring.question for docstring in known])
    rows = []
    for start in track(range(0, len(known), 500), "finding wrong documents", console=console):
        likeness = (questions[start : start + 500] @ bodies.T).toarray()
        likeness[np.arange(len(likeness)), start + np.arange(len(likeness))] = -1.0
        rows.append(np.argsort(-likeness, axis=1)[:, :NEIGHBOURS])
    return np.concatenate(rows)


def groups(known: list[Docstring], chance: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Questions without end, each with the right passage first and wrong ones after it."""
    neighbours = confusable(known)
    while True:
        for right in chance.sample(range(len(known)), len(known)):
            wrong = [int(i) for i in chance.sample(list(neighbours[right]), HARD)]
            wrong += [chance.randrange(len(known)) for _ in range(EASY)]
            passages = [_passage(known[i].body, chance) for i in (right, *(i for i in wrong if i != right))]
            passages += [""] * (1 + HARD + EASY - len(passages))
            yield known[right].question, passages


def _passage(body: str, chance: random.Random) -> str:
    """The beginning mostly, else from some line on: memory cuts documents too."""
    lines = [0, *(i + 1 for i, c in enumerate(body) if c == "\n" and i < len(body) - PASSAGE_CHARS)]
    start = 0 if chance.random() < 0.7 else chance.choice(lines)
    return body[start : start + PASSAGE_CHARS]


def trained(body: Path, known: list[Docstring], seconds: float) -> tuple[Any, Any]:
    """The model and its tokenizer after so much processor time, by listwise cross-entropy over the passages."""
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(body, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(body, num_labels=1, local_files_only=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    model.train()
    losses: list[float] = []
    began = time.process_time()
    examples = groups(known, random.Random(SEED))  # noqa: S311 - the same each time
    while (done := (time.process_time() - began) / seconds) < 1:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))
        asked = [next(examples) for _ in range(QUESTIONS_A_STEP)]
        pairs = [(question, passage) for question, passages in asked for passage in passages]
        features = tokenizer(
            [pair[0] for pair in pairs], [pair[1] for pair in pairs],
            truncation=True, max_length=MAX_TOKENS, padding=True, return_tensors="pt",
        )  # fmt: skip
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(**features).logits.float().reshape(QUESTIONS_A_STEP, -1)
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(QUESTIONS_A_STEP, dtype=torch.long))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if len(losses) % 25 == 0:
            loss_of_chance, left = np.log(1 + HARD + EASY), (1 - done) * seconds / 60
            recent = np.mean(losses[-25:])
            console.print(
                f"step {len(losses):,}: loss {recent:.3f} (chance: {loss_of_chance:.3f}), {left:.0f} minutes to go"
            )
    return model, tokenizer


def main() -> int:
    """Train and save."""
    parser = argparse.ArgumentParser(prog="./scripts/eval reranker", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the cross-encoder is written; for HERALD_RERANKER_PATH")
    parser.add_argument("--minutes", type=float, default=30.0, help="of processor time")
    options = parser.parse_args()
    torch.set_num_threads(physical_cores())
    asked_about = {docstring.question for docstring in docstrings()}
    known = [docstring for docstring in docstrings(PACKAGES) if docstring.question not in asked_about]
    console.print(f"{len(known):,} questions of {len(PACKAGES)} packages")
    body = locate_model(InferenceSettings().embedding_model, Kind.EMBEDDING)
    model, tokenizer = trained(body, known, 60 * options.minutes)
    tokenizer.model_max_length = SERVED_TOKENS
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    console.print(f"written to {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
