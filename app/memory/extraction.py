"""From an uploaded file to sections of clean text, read by a process that can do nothing else (see ``reading``)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.errors import AppError, InvalidInput, TooLarge, Unavailable
from app.memory.records import PDF, Section
from app.memory.sniffing import Sniffed
from app.text import has_visible_text

READ_TIMEOUT_S = 90.0
MAX_TEXT_CHARS = 20_000_000  # about 10,000 chunks: half an hour of embedding on two cores, with progress
_ROOT = Path(__file__).parents[2]
_CHILD = "app.memory.reading.child"


def extract(content: bytes, sniffed: Sniffed, filename: str, max_chars: int = MAX_TEXT_CHARS) -> list[Section]:
    """The document's text in order.

    Raises: InvalidInput (encrypted, damaged, no text in it), TooLarge (too many pages, rows or characters, too much to
        unpack), Unavailable (this machine cannot confine a reader).
    """
    with tempfile.NamedTemporaryFile() as file:
        file.write(sniffed.text.encode("utf-8", "surrogatepass") if sniffed.text else content)
        file.flush()
        answer = _run_child(sniffed.media_type, file.name, max_chars)
    if "sections" not in answer:
        raise _problem(answer["problem"], answer["detail"], filename)
    found = [Section(*fields) for fields in answer["sections"]]
    found = [section for section in found if has_visible_text(section.text)]
    if not found:
        raise _without_text(filename, sniffed)
    return found


def _run_child(media_type: str, path: str, max_chars: int) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", _CHILD, media_type, path, str(max_chars)]
    # Nothing of this process's environment: it holds keys.
    environment = {"PATH": os.defpath, "PYTHONPATH": str(_ROOT), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed argv
            command,
            capture_output=True,
            timeout=READ_TIMEOUT_S,
            check=False,
            env=environment,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return {"problem": "too_complex", "detail": f"it was not read within {READ_TIMEOUT_S:g} s"}
    if done.returncode != 0:
        return {"problem": "too_complex", "detail": f"its reader stopped (exit status {done.returncode})"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _problem(problem: str, detail: str, filename: str) -> AppError:
    if problem == "encrypted":
        return InvalidInput(
            f"{filename} is encrypted: {detail}.",
            hint="Save a copy without a password and upload that.",
            code="document_encrypted",
        )
    if problem == "too_complex":
        return TooLarge(
            f"{filename} takes too much to read: {detail}.",
            hint="Split it into smaller documents.",
            code="document_too_complex",
        )
    if problem == "not_confined":
        return Unavailable(
            f"{filename} was not read: {detail}, and a file from outside is read in no other way.",
            hint="Allow seccomp filters or user namespaces to the container or service that Herald runs in.",
            code="reader_not_confined",
        )
    return InvalidInput(
        f"{filename} is damaged: {detail}.",
        hint="Open it in the program that made it; if it works there, save or print it anew and upload that.",
        code="document_damaged",
    )


def _without_text(filename: str, sniffed: Sniffed) -> InvalidInput:
    is_pdf = sniffed.media_type == PDF
    return InvalidInput(
        f"There is no text in {filename}" + (": its pages are images (a scan?)." if is_pdf else "."),
        hint="Run text recognition (OCR) over it first, then upload the result."
        if is_pdf
        else "Upload a file with text in it.",
        code="document_without_text",
    )
