"""What an uploaded file really is, by its bytes: PDF, Markdown, plain text, or something that memory cannot read."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import puremagic

from app.errors import InvalidInput, UnsupportedType

PDF = "application/pdf"
MARKDOWN = "text/markdown"
PLAIN = "text/plain"
READABLE = "Memory reads plain text, Markdown and PDF."
MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown"})
_OTHER_SUFFIXES = frozenset({".docx", ".doc", ".xlsx", ".pptx", ".odt", ".rtf", ".html", ".htm", ".epub"})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HTML = re.compile(r"\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """The media type, and the decoded text unless it is a PDF."""

    media_type: str
    text: str = ""


def sniff(content: bytes, filename: str) -> Sniffed:
    """Look at the bytes; the name only tells Markdown from plain text.

    Raises: InvalidInput for an empty file; UnsupportedType for anything that is not text, Markdown or PDF.
    """
    if not content.strip():
        raise InvalidInput(f"{filename} is empty.", hint="Upload a file with text in it.", code="document_empty")
    suffix = PurePosixPath(filename.lower()).suffix
    if b"%PDF-" in content[:1024]:
        return Sniffed(PDF)
    if suffix == ".pdf":
        raise UnsupportedType(
            f"{filename} is named as a PDF but does not begin like one: it looks like {_looks_like(content)}.",
            hint=READABLE,
        )
    text = _decoded(content)
    if text is None or suffix in _OTHER_SUFFIXES or _HTML.match(text) or text.startswith("{\\rtf"):
        what = "an HTML page" if text and _HTML.match(text) else _looks_like(content)
        raise UnsupportedType(f"{filename} looks like {what}. {READABLE}", hint="Save it as PDF or text and try again.")
    if not text.strip("\ufeff \t\r\n\x0c"):
        raise InvalidInput(f"{filename} is empty.", hint="Upload a file with text in it.", code="document_empty")
    return Sniffed(MARKDOWN if suffix in MARKDOWN_SUFFIXES else PLAIN, text)


def _decoded(content: bytes) -> str | None:
    """The text in UTF-8, UTF-16, UTF-32 (by byte order mark) or Windows-1252, or None when it is not text."""
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return _text_or_none(content, encoding)
    if b"\x00" in content:
        return _utf16_without_mark(content)
    return _text_or_none(content, "utf-8") or _text_or_none(content, "cp1252")


def _utf16_without_mark(content: bytes) -> str | None:
    """Mostly Latin UTF-16 has a zero in every other byte."""
    sample = content[:4096]
    half = max(1, len(sample) // 2)
    if sample[1::2].count(0) > 0.6 * half:
        return _text_or_none(content, "utf-16-le")
    if sample[0::2].count(0) > 0.6 * half:
        return _text_or_none(content, "utf-16-be")
    return None


def _text_or_none(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROLS.search(text) else text


_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def _looks_like(content: bytes) -> str:
    try:
        guesses = puremagic.magic_string(content[:65_536])
    except (puremagic.PureError, ValueError):
        guesses = []
    if guesses and guesses[0].name:
        return f"{guesses[0].name} ({guesses[0].mime_type})" if guesses[0].mime_type else str(guesses[0].name)
    return "binary data"
