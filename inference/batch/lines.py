"""The input of a batch: one request a line, checked as a whole before anything runs.

Source: OpenAI API reference, "The request input object" of batches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.errors import InvalidRequest

MAX_CUSTOM_ID_CHARS = 512
SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """How large an input may be. ``file_bytes`` and ``lines`` are OpenAI's limits."""

    file_bytes: int = 200 * (1 << 20)
    lines: int = 50_000
    line_bytes: int = 8 * (1 << 20)


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One request; ``number`` counts the file's lines from 1."""

    number: int
    custom_id: str
    body: dict[str, Any]


class LineProblem(ValueError):
    """What is wrong with one line."""


def read_lines(path: Path) -> Iterator[BatchLine]:
    """The requests of a file that was checked, one at a time. Raises: OSError, LineProblem."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip():
                entry = _parsed(raw)
                yield BatchLine(number, entry["custom_id"], entry["body"])


def check_input(path: Path, *, endpoint: str, model: str, limits: BatchLimits) -> int:
    """Read the whole input and return its number of requests.

    Raises: InvalidRequest, which names the first problems with their line numbers, or the limit that is exceeded.
    """
    places: dict[str, int] = {}
    problems: list[str] = []
    problem_count = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                custom_id = _checked(raw, endpoint, model, limits)
                if custom_id in places:
                    raise LineProblem(f"custom_id {custom_id!r} is the one of line {places[custom_id]} already")
                places[custom_id] = number
            except LineProblem as problem:
                problem_count += 1
                if len(problems) < SHOWN_PROBLEMS:
                    problems.append(f"Line {number}: {problem}.")
            if len(places) > limits.lines:
                raise InvalidRequest(
                    f"The file has more than {limits.lines:,} requests, which is the limit of a batch. Split it.",
                    param="input_file_id",
                )
    if problems:
        more = f" ({problem_count - len(problems):,} more)" if problem_count > len(problems) else ""
        raise InvalidRequest(" ".join(problems) + more, param="input_file_id")
    if not places:
        raise InvalidRequest("The file holds no requests. Write one a line.", param="input_file_id")
    return len(places)


def _checked(raw: bytes, endpoint: str, model: str, limits: BatchLimits) -> str:
    """The custom_id of a line without a problem. Raises: LineProblem."""
    if len(raw) > limits.line_bytes:
        raise LineProblem(f"it has {len(raw):,} bytes, at most {limits.line_bytes:,} are allowed")
    entry = _parsed(raw)
    if entry.get("method") != "POST":
        raise LineProblem(f"method is {entry.get('method')!r}, it must be 'POST'")
    if entry.get("url") != endpoint:
        raise LineProblem(f"url is {entry.get('url')!r}, the batch's endpoint is {endpoint!r}")
    body = entry["body"]
    if body.get("model") != model:
        raise LineProblem(f"model is {body.get('model')!r}, {model!r} is served for {endpoint}")
    if body.get("stream"):
        raise LineProblem("stream is set, a batch cannot stream; leave it out")
    return str(entry["custom_id"])


def _parsed(raw: bytes) -> dict[str, Any]:
    """The line's object with its custom_id and body. Raises: LineProblem."""
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LineProblem(f"it is not JSON: {error}") from None
    if not isinstance(entry, dict):
        raise LineProblem("it is not a JSON object")
    custom_id = entry.get("custom_id")
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= MAX_CUSTOM_ID_CHARS:
        raise LineProblem(f"custom_id must be a text of 1 to {MAX_CUSTOM_ID_CHARS} characters")
    if not isinstance(entry.get("body"), dict):
        raise LineProblem("body must be an object")
    return entry
