"""From an uploaded file to sections of clean text, each with its place in the document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from app.errors import InvalidInput, TooLarge
from app.memory.records import Section
from app.memory.sniffing import MARKDOWN, PDF, Sniffed
from app.text import has_visible_text

PDF_TIMEOUT_S = 90
_PDF_CHILD = Path(__file__).with_name("pdf_child.py")
_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING_MARK = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
PLACE_MAX_CHARS = 300


def extract(content: bytes, sniffed: Sniffed, filename: str) -> list[Section]:
    """The document's text in order.

    Raises: InvalidInput (encrypted, damaged, no text in it), TooLarge (too many pages or too much text).
    """
    if sniffed.media_type == PDF:
        pages = _pdf_pages(content, filename)
        sections = [Section(f"page {number}", _clean(page)) for number, page in enumerate(pages, start=1)]
    elif sniffed.media_type == MARKDOWN:
        sections = markdown_sections(_clean(sniffed.text))
    else:
        sections = [Section("", _clean(sniffed.text))]
    found = [section for section in sections if has_visible_text(section.text)]
    if not found:
        raise InvalidInput(
            f"There is no text in {filename}"
            + (": its pages are images (a scan?)." if sniffed.media_type == PDF else "."),
            hint="Run text recognition (OCR) over it first, then upload the result."
            if sniffed.media_type == PDF
            else "Upload a file with text in it.",
            code="document_without_text",
        )
    return found


def _pdf_pages(content: bytes, filename: str) -> list[str]:
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(content)
        file.flush()
        answer = _run_child(Path(file.name))
    if "pages" in answer:
        pages: list[str] = answer["pages"]
        return pages
    detail = answer["detail"]
    if answer["problem"] == "encrypted":
        raise InvalidInput(
            f"{filename} is encrypted: {detail}.",
            hint="Save a copy without a password and upload that.",
            code="document_encrypted",
        )
    if answer["problem"] == "too_complex":
        raise TooLarge(
            f"{filename} takes too much to read: {detail}.",
            hint="Split it into smaller documents.",
            code="document_too_complex",
        )
    raise InvalidInput(
        f"{filename} is damaged: {detail}.",
        hint="Open it in a PDF viewer; if it works there, print it to a new PDF and upload that.",
        code="document_damaged",
    )


def _run_child(path: Path) -> dict[str, Any]:
    command = [sys.executable, "-I", str(_PDF_CHILD), str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PDF_TIMEOUT_S, check=False)  # noqa: S603 - fixed argv
    except subprocess.TimeoutExpired:
        return {"problem": "too_complex", "detail": f"it was not read within {PDF_TIMEOUT_S} s"}
    if done.returncode != 0:
        return {"problem": "too_complex", "detail": f"its reader stopped (exit status {done.returncode})"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _clean(text: str) -> str:
    """NFC, ``\\n`` line ends, no control characters or lone surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n").removeprefix("\ufeff")
    return _CONTROLS.sub("", unicodedata.normalize("NFC", text))


def markdown_sections(text: str) -> list[Section]:
    """Cut at ATX headings outside code fences; the place is the path of headings ("Menu › Prices")."""
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    lines: list[str] = []
    first_line = 1
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        fence_match = _FENCE.match(line)
        if fence_match:
            mark = fence_match.group(1)
            fence = "" if fence == mark else fence or mark
        heading = None if fence or fence_match else _heading_of(line)
        if heading:
            sections.append(Section(_place(path), "\n".join(lines), first_line))
            path = [(level, title) for level, title in path if level < heading[0]] + [heading]
            lines, first_line = [], number
        lines.append(line)
    sections.append(Section(_place(path), "\n".join(lines), first_line))
    return [section for section in sections if has_visible_text(section.text)]


def _heading_of(line: str) -> tuple[int, str] | None:
    """Level and title of an ATX heading, or None. Source: CommonMark 0.31, 4.2."""
    mark = _HEADING_MARK.match(line)
    if not mark:
        return None
    title = line[mark.end() :].strip()
    without_closing = title.rstrip("#")
    if not without_closing or without_closing[-1] in " \t":
        title = without_closing.strip()
    return len(mark.group(1)), title


def _place(path: list[tuple[int, str]]) -> str:
    return " › ".join(title for _level, title in path if title)[:PLACE_MAX_CHARS]
