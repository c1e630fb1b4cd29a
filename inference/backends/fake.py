"""A deterministic backend without a model, for tests of everything above it.

Its next token depends on every token that its cells hold for the sequence, so a cell that is shared, trimmed or
forgotten wrongly changes the output. It refuses what a real backend would not survive: gaps in positions, too many
cells.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections import Counter
from typing import Any

import numpy as np
from llguidance import LLTokenizer
from llguidance._tokenizer import TokenizerWrapper

from inference.backends.base import BackendInfo, CacheExhausted, DecodeFailed, Logits, Span

END, START = 256, 257
CONTROL = {"<|im_end|>": END, "<|im_start|>": START}
VOCAB_SIZE = 258
# Bytes that the fake likes to say; a quote is among them so that JSON strings end.
LETTERS = b'abcdefghijklmnopqrstuvwxyz    ".'


class _ByteTokenizer:
    """What llguidance wants to know of a tokenizer: one token a byte."""

    eos_token_id = END
    bos_token_id = None
    special_token_ids = (END, START)
    tokens = tuple([bytes([value]) for value in range(256)] + [text.encode() for text in CONTROL])

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


class FakeBackend:
    """A byte-level model whose logits are a hash of its context. ``step_delay_s`` slows each step down."""

    def __init__(
        self,
        *,
        model: str = "fake",
        context_tokens: int = 2048,
        cell_count: int = 0,
        slot_count: int = 48,
        end_bias: float = 0.0,
        step_delay_s: float = 0.0,
        adapters: tuple[str, ...] = (),
    ) -> None:
        self._info = BackendInfo(
            model=model,
            vocab_size=VOCAB_SIZE,
            context_tokens=context_tokens,
            cell_count=cell_count or 2 * context_tokens,
            slot_count=slot_count,
            max_batch_tokens=512,
            stop_tokens=frozenset({END}),
            chat_template="",
            adapters=adapters,
        )
        self._token_bytes = [bytes([value]) for value in range(256)] + [b"", b""]
        self._end_bias = end_bias
        self._step_delay_s = step_delay_s
        # Each slot is a list of (cell, content); slots that share a cell hold the same pair. The content is the token,
        # shifted by the adapter it was computed with.
        self._cells: dict[int, list[tuple[int, int]]] = {}
        self._sharers: Counter[int] = Counter()
        self._next_cell = itertools.count()
        self.decoded_tokens = 0
        self.largest_batch = 0
        self.fail_next: Exception | None = None

    @property
    def info(self) -> BackendInfo:
        """Facts about the pretended model."""
        return self._info

    @property
    def token_bytes(self) -> list[bytes]:
        """One byte a token."""
        return self._token_bytes

    @property
    def control_texts(self) -> dict[str, int]:
        """ChatML's two tokens."""
        return CONTROL

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        """The text's bytes, with control tokens where they are asked for."""
        if not parse_control:
            return list(text.encode("utf-8", "replace"))
        tokens: list[int] = []
        rest = text
        while rest:
            found = min((at, name) for name in CONTROL if (at := rest.find(name)) >= 0) if _has_control(rest) else None
            if found is None:
                return tokens + list(rest.encode("utf-8", "replace"))
            at, name = found
            tokens += [*rest[:at].encode("utf-8", "replace"), CONTROL[name]]
            rest = rest[at + len(name) :]
        return tokens

    def constraint_tokenizer(self) -> Any:
        """The byte vocabulary for llguidance."""
        return LLTokenizer(TokenizerWrapper(_ByteTokenizer()))

    def decode(self, spans: list[Span], adapter: str | None = None) -> Logits:
        """Hash each context into a row. Raises: CacheExhausted, DecodeFailed."""
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        count = sum(len(span.tokens) for span in spans)
        if count > self._info.max_batch_tokens:
            raise DecodeFailed(f"a batch of {count} tokens is over {self._info.max_batch_tokens}")
        if self.used_cells() + count > self._info.cell_count:
            raise CacheExhausted
        if self._step_delay_s:
            time.sleep(self._step_delay_s)
        shift = 0 if adapter is None else VOCAB_SIZE * (1 + self._info.adapters.index(adapter))
        for span in spans:
            cells = self._cells.setdefault(span.slot, [])
            if span.position != len(cells):
                raise DecodeFailed(f"slot {span.slot} holds {len(cells)} tokens, the span starts at {span.position}")
            added = [(next(self._next_cell), token + shift) for token in span.tokens]
            cells.extend(added)
            self._sharers.update(cell for cell, _ in added)
        self.decoded_tokens += count
        self.largest_batch = max(self.largest_batch, len(spans))
        rows = []
        for span in spans:
            context = [content for _, content in self._cells[span.slot]]
            rows += [self._row(context[: len(context) - back]) for back in range(span.logit_rows - 1, -1, -1)]
        return np.stack(rows) if rows else np.empty((0, VOCAB_SIZE), dtype=np.float32)

    def _row(self, context: list[int]) -> Logits:
        digest = hashlib.blake2b(np.asarray(context, dtype=np.int32).tobytes(), digest_size=16).digest()
        row = np.full(VOCAB_SIZE, -8.0, dtype=np.float32)
        for rank, value in enumerate(digest[:8]):
            letter = LETTERS[value % len(LETTERS)]
            row[letter] = max(row[letter], 6.0 - rank)
        row[END] = self._end_bias + (5.5 if digest[8] < 6 else -8.0)
        row[START] = -30.0
        return row

    def used_cells(self) -> int:
        """Cells that hold a token, shared ones counted once."""
        return len(self._sharers)

    def copy(self, source: int, target: int, length: int) -> None:
        """Share cells. Raises: DecodeFailed when the target is not empty or the source too short."""
        if self._cells.get(target) or len(self._cells.get(source, [])) < length:
            raise DecodeFailed(f"{length} cells of slot {source} cannot be copied to slot {target}")
        self._cells[target] = self._cells[source][:length]
        self._sharers.update(cell for cell, _ in self._cells[target])

    def trim(self, slot: int, length: int) -> bool:
        """Forget the tail of a slot."""
        cells = self._cells.setdefault(slot, [])
        for cell, _ in cells[length:]:
            self._sharers[cell] -= 1
            if not self._sharers[cell]:
                del self._sharers[cell]
        del cells[length:]
        return True

    def clear(self) -> None:
        """Forget all slots."""
        self._cells.clear()
        self._sharers.clear()

    def close(self) -> None:
        """Nothing to free."""


def _has_control(text: str) -> bool:
    return any(name in text for name in CONTROL)
