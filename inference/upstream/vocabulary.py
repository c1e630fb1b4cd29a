"""The tokens of a model in a folder, as transformers saves it: texts to tokens and back, without loading any weights.

vLLM would read ``<|im_end|>`` inside of a caller's message as the end of the turn, so prompts are rendered and turned
into tokens here, with the same template code as for local models, and vLLM only ever gets token numbers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llguidance import LLTokenizer

from inference.errors import StartupError


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What the folder says of its template."""

    chat_template: str
    begin_text: str
    end_text: str
    adds_begin_token: bool


class FolderVocabulary:
    """The tokenizer of one model folder."""

    def __init__(self, folder: Path) -> None:
        """Raises: StartupError when files are missing or cannot be read."""
        try:
            tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
            options = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
            config = json.loads((folder / "config.json").read_text("utf-8"))
            template = folder / "chat_template.jinja"
            source = template.read_text("utf-8") if template.exists() else options.get("chat_template")
            self._tokenizer = LLTokenizer(str(folder / "tokenizer.json"))
        except (OSError, ValueError) as error:
            raise StartupError(
                f"The tokenizer in {folder} cannot be read: {error}. HERALD_VLLM_MODEL must be a folder with "
                "tokenizer.json, tokenizer_config.json and config.json."
            ) from error
        self.control_texts = {row["content"]: row["id"] for row in tokenizer["added_tokens"] if row["special"]}
        # llguidance, which constrains inside of vLLM too, takes more tokens for control tokens than their flag says:
        # such a token's text can only be written as that token.
        self.marks = frozenset(
            row["content"] for row in tokenizer["added_tokens"] if self._tokenizer.is_special_token(row["id"])
        )
        self._control_numbers = frozenset(self.control_texts.values())
        self.vocab_size = int(config.get("vocab_size", self._tokenizer.vocab_size))
        self.trained_context: int | None = config.get("max_position_embeddings")
        self.info = FolderFacts(
            chat_template=source if isinstance(source, str) else "",
            begin_text=_text(options.get("bos_token")),
            end_text=_text(options.get("eos_token")),
            adds_begin_token=bool(options.get("add_bos_token", False)),
        )
        names = sorted(self.control_texts, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        """Tokens of a text; a control token's text becomes one only with ``parse_control``."""
        if parse_control:
            return list(self._tokenizer.tokenize_str(text))
        tokens: list[int] = []
        for piece in self._broken(text):
            tokens += self._tokenizer.tokenize_str(piece)
        return tokens

    def _broken(self, text: str) -> list[str]:
        """The text in pieces that hold no control token's text: each such text is cut behind its first character."""
        pieces, start = [], 0
        while found := self._control.search(text, start):
            pieces.append(text[start : found.start() + 1])
            start = found.start() + 1
        return [piece for piece in (*pieces, text[start:]) if piece]

    def token_bytes(self, token: int) -> bytes:
        """The text of a token in bytes; empty for control tokens, which are never shown."""
        return b"" if token in self._control_numbers else self._tokenizer.decode_bytes([token])


def _text(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else token or ""
