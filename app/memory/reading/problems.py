"""Why a file could not be read."""

from __future__ import annotations


class Unreadable(Exception):
    """The file cannot be read.

    Attributes:
        problem: encrypted, damaged or too_complex.
        detail: what exactly, with the actual and the allowed value.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
