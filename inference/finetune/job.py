"""What a training is given, what it tells while it runs, and what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Example(_Shape):
    """One prompt and the answer that is wanted, as the product would get it: JSON that satisfies ``answer_schema``."""

    id: str
    messages: list[dict[str, str]] = Field(min_length=1)
    answer: str = Field(min_length=1)
    answer_schema: dict[str, Any]


class Recipe(_Shape):
    """How to train. The adapter's change is scaled by ``alpha / rank``; the same seed on the same machine gives the
    same adapter.

    Source: Hu et al., LoRA (arXiv 2106.09685); all linear layers, as in Dettmers et al., QLoRA (arXiv 2305.14314).
    """

    rank: int = Field(8, ge=1, le=256)
    alpha: int = Field(16, ge=1, le=4096)
    dropout: float = Field(0.05, ge=0, lt=1)
    epochs: int = Field(3, ge=1, le=100)
    batch: int = Field(8, ge=1, le=256, description="examples that change the weights together")
    learning_rate: float = Field(2e-4, gt=0, le=1)
    seed: int = Field(7, ge=0)


class Job(_Shape):
    """One training. ``adapter_path`` is written last, complete or not at all."""

    model: str
    training: list[Example] = Field(min_length=1)
    held_out: list[Example] = Field(min_length=1)
    recipe: Recipe = Recipe()
    max_tokens: int = Field(2048, ge=64, description="longest example; longer ones are an error")
    adapter_path: Path


class Compared(_Shape):
    """One held-out example under the model alone and with the adapter.

    Attributes:
        loss: mean negative log-likelihood of the wanted answer's tokens, in nats.
        text: what is written for the prompt, greedily and within the schema.
    """

    id: str
    base_loss: float
    loss: float
    base_text: str
    text: str


class Report(_Shape):
    """What a training came to.

    Attributes:
        deviation: how far the adapter's effect in llama.cpp is from the learned one, see ``run.deviation_of``.
    """

    compared: list[Compared]
    steps: int
    seconds: float
    device: str
    trained_values: int
    deviation: float


class Progress(_Shape):
    """One line on the training's standard output. ``loss`` is the last step's, in nats a token."""

    stage: str
    done: int = 0
    of: int = 0
    loss: float | None = None
    report: Report | None = None
    error: str = ""
    hint: str = ""
