"""What can be wrong with a training: each error says what failed and what to do."""

from __future__ import annotations


class FinetuneError(Exception):
    """A training that cannot go on. ``hint`` is the next step."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class BaseNotTrainable(FinetuneError):
    """The served model is none that can be trained here."""


class ExtraMissing(FinetuneError):
    """The libraries for training are not installed."""


class OutOfMemory(FinetuneError):
    """The model and what its training needs do not fit."""


class TooLong(FinetuneError):
    """An example is longer than allowed."""


class ConversionWrong(FinetuneError):
    """The converted adapter does not say in llama.cpp what it said in torch."""
