"""Files and batches as OpenAI shows them, which is also how they are kept on the disk.

Source: OpenAI API reference, "The file object" and "The batch object".
"""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import BaseModel, Field

BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]
ENDED: frozenset[BatchStatus] = frozenset({"failed", "completed", "expired", "cancelled"})


def now() -> int:
    """Unix time in seconds, as all ``…_at`` fields."""
    return int(time.time())


class FileRecord(BaseModel):
    """An uploaded input, or the results of a batch. ``bytes`` is its size."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(default_factory=now)
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"


class RequestCounts(BaseModel):
    """Requests of a batch; ``failed`` ones are in the error file."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class CachedTokens(BaseModel):
    """Tokens of prompts that were not computed again."""

    cached_tokens: int = 0


class ReasoningTokens(BaseModel):
    """Always 0: nothing is hidden."""

    reasoning_tokens: int = 0


class BatchUsage(BaseModel):
    """Tokens of all completed requests."""

    input_tokens: int = 0
    input_tokens_details: CachedTokens = Field(default_factory=CachedTokens)
    output_tokens: int = 0
    output_tokens_details: ReasoningTokens = Field(default_factory=ReasoningTokens)
    total_tokens: int = 0

    def add(self, usage: dict[str, Any]) -> None:
        """Count the ``usage`` object of one answer. Responses name its members as a batch does, the others do not."""
        read = usage.get("input_tokens", usage.get("prompt_tokens", 0))
        written = usage.get("output_tokens", usage.get("completion_tokens", 0))
        details = usage.get("input_tokens_details") or usage.get("prompt_tokens_details") or {}
        self.input_tokens += int(read)
        self.output_tokens += int(written)
        self.total_tokens += int(read) + int(written)
        self.input_tokens_details.cached_tokens += int(details.get("cached_tokens", 0))


class BatchProblem(BaseModel):
    """Why a batch failed as a whole."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class BatchProblems(BaseModel):
    """``errors`` of a batch."""

    object: Literal["list"] = "list"
    data: list[BatchProblem]


class BatchRecord(BaseModel):
    """A batch and where it stands."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str
    errors: BatchProblems | None = None
    input_file_id: str
    completion_window: str
    status: BatchStatus = "in_progress"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int = Field(default_factory=now)
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = Field(default_factory=RequestCounts)
    usage: BatchUsage = Field(default_factory=BatchUsage)
    metadata: dict[str, str] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED
