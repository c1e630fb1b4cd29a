"""The port between the engine and whatever computes logits.

A backend holds ``slot_count`` key-value sequences ("slots") in one pool of ``cell_count`` cells. The engine decides
what is in them; the backend only computes. All methods but ``tokenize`` and ``chat_template`` lookups are called by the
engine's one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class CacheExhausted(Exception):
    """No cell is free for the batch; nothing of it was computed."""


class DecodeFailed(Exception):
    """The backend could not compute the batch; the content of its cells is undefined until ``clear``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendInfo:
    """What a loaded model is. ``context_tokens`` bounds one sequence, ``cell_count`` all of them together;
    ``adapters`` are the low-rank changes of its weights that a step may be computed with; ``can_trim`` says that the
    tail of a slot can be forgotten alone."""

    model: str
    vocab_size: int
    context_tokens: int
    cell_count: int
    slot_count: int
    max_batch_tokens: int
    stop_tokens: frozenset[int]
    chat_template: str
    begin_text: str = ""
    end_text: str = ""
    adds_begin_token: bool = False
    adapters: tuple[str, ...] = ()
    can_trim: bool = True


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens of one sequence that are computed in one step, at consecutive positions from ``position``.

    ``logit_rows`` asks for the rows after the last so many of them; rows nobody samples from are never computed.
    """

    slot: int
    position: int
    tokens: list[int]
    logit_rows: int


class Backend(Protocol):
    """A loaded model."""

    @property
    def info(self) -> BackendInfo:
        """Facts about the loaded model."""
        ...

    @property
    def token_bytes(self) -> list[bytes]:
        """For each token its text in bytes; empty for control tokens, which are never shown."""
        ...

    @property
    def control_texts(self) -> dict[str, int]:
        """The control tokens by their text, e.g. ``<|im_end|>``; callers' text must never become one of them."""
        ...

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        """Tokens of a text; control tokens' texts become control tokens only with ``parse_control``. Thread-safe."""
        ...

    def constraint_tokenizer(self) -> Any:
        """The ``llguidance.LLTokenizer`` of this vocabulary. Made once; may take a second."""
        ...

    def decode(self, spans: list[Span], adapter: str | None = None) -> Logits:
        """Compute a step. Returns (rows asked for, vocab_size) float32, in order, valid until the next call.

        Cells that were computed with one adapter are of no use with another.
        Raises: CacheExhausted, DecodeFailed.
        """
        ...

    def copy(self, source: int, target: int, length: int) -> None:
        """Let ``target``, which is empty, share the first ``length`` cells of ``source``."""
        ...

    def trim(self, slot: int, length: int) -> bool:
        """Forget everything after the first ``length`` tokens of a slot; False when only ``length`` 0 is possible."""
        ...

    def clear(self) -> None:
        """Forget all slots."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...
