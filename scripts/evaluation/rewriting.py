"""Whether memory finds more when the language model words the question anew. Part of ``./scripts/eval retrieval``.

Each way asks the running inference server once for each question; its text is searched like a question of its own, and
its ranking is measured alone, and with the question's own by the sum of both scores.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from rich.console import Console
from rich.progress import track
from sqlalchemy.orm import Session

from app.db.engine import Database
from app.db.scope import DEFAULT_PROJECT
from app.llm import LlmClient, Message, Sampling
from app.memory import retrieval
from app.memory.index import Vector, VectorIndex
from app.settings import load_settings

PROMPTS = {
    "rewriting": (
        "Somebody searches documents with this query:\n{question}\n\nWrite one other query for the same thing, with "
        "synonyms and the technical terms that the documents may use instead."
    ),
    "imagined answer": (
        "Somebody searches documents with this query:\n{question}\n\nWrite two sentences as they may stand in the "
        "document that answers it."
    ),
}
"""The second is HyDE. Source: Gao et al., "Precise Zero-Shot Dense Retrieval without Relevance Labels", ACL 2023."""
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 5, "maxLength": 300}},
    "required": ["text"],
    "additionalProperties": False,
}
console = Console(stderr=True)


def reworded(questions: list[str]) -> dict[str, list[str]]:
    """The model's texts for each question by each way. Raises: the errors of ``app.llm``."""
    settings = load_settings()
    llm = LlmClient(settings.inference_origin, settings.inference_key_text(), settings.model)
    texts: dict[str, list[str]] = {}
    for name, prompt in PROMPTS.items():
        texts[name] = []
        for question in track(questions, f"asking the model: {name}", console=console):
            messages: list[Message] = [{"role": "user", "content": prompt.format(question=question)}]
            answer = "".join(piece.text for piece in llm.stream(messages, SCHEMA, Sampling(max_tokens=100)))
            texts[name].append(str(json.loads(answer)["text"]))
    llm.close()
    return texts


def measured(
    database: Database,
    questions: list[str],
    asked: Vector,
    embedded: Callable[[list[str], str], Vector],
    gain_of: Callable[[int, list[int]], float],
) -> dict[str, list[float]]:
    """The gains of the hybrid ranking, and by each way of its ranking alone and of both fused, over the same questions.

    Args:
        asked: the questions' vectors ``(n, 384)``.
        embedded: vectors of texts, and what to call them.
        gain_of: what a ranking of chunk ids is worth for the question of this number.
    """
    index = VectorIndex()
    gains: dict[str, list[float]] = {"hybrid, these questions": []}

    def scored(session: Session, text: str, vector: Vector) -> Counter[int]:
        query = retrieval.Query(DEFAULT_PROJECT, text, vector)
        return Counter({found.chunk_id: found.score for found in retrieval.candidates(session, index, query)})

    def gains_of(rankings: list[Counter[int]]) -> list[float]:
        return [gain_of(i, [chunk_id for chunk_id, _ in scores.most_common()]) for i, scores in enumerate(rankings)]

    texts = reworded(questions)
    vectors = {name: embedded(others, name) for name, others in texts.items()}
    with database.read() as session:
        own = [scored(session, *pair) for pair in zip(questions, asked, strict=True)]
        gains["hybrid, these questions"] = gains_of(own)
        for name in texts:
            others = [scored(session, *pair) for pair in zip(texts[name], vectors[name], strict=True)]
            gains[f"{name} alone"] = gains_of(others)
            gains[f"with {name}"] = gains_of([first + second for first, second in zip(own, others, strict=True)])
    return gains
