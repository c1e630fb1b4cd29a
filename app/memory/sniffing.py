"""What an uploaded file really is, by its bytes: one of the types that memory reads, or something else."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import puremagic

from app.errors import AppError, InvalidInput, UnsupportedType
from app.memory.records import CSV, DOCX, HTML, MARKDOWN, PDF, PLAIN

READABLE = "Memory reads PDF, Word (DOCX), plain text, Markdown, HTML and CSV."
_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown"})
_HTML_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})
_CSV_SUFFIXES = frozenset({".csv", ".tsv"})
_OTHER_SUFFIXES = frozenset(
    {".doc", ".docm", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".rtf", ".epub", ".pages"}
)
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DOCX_PART = b"word/document"  # part names stand unpacked in a package's directory
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
    """The media type, and the decoded text of the text types."""

    media_type: str
    text: str = ""


def sniff(content: bytes, filename: str) -> Sniffed:
    """Look at the bytes; the name only tells the text types apart.

    Raises: InvalidInput for an empty or encrypted file; UnsupportedType for anything that memory cannot read.
    """
    if not content.strip():
        raise InvalidInput(f"{filename} is empty.", hint="Upload a file with text in it.", code="document_empty")
    suffix = PurePosixPath(filename.lower()).suffix
    if b"%PDF-" in content[:1024]:
        return Sniffed(PDF)
    if content.startswith(_ZIP) and _DOCX_PART in content:
        return Sniffed(DOCX)
    if suffix in {".pdf", ".docx"}:
        raise _mislabelled(content, filename, suffix)
    text = _decoded(content)
    if text is None or suffix in _OTHER_SUFFIXES or text.startswith("{\\rtf"):
        raise UnsupportedType(
            f"{filename} looks like {_looks_like(content)}. {READABLE}", hint="Save it as one of these and try again."
        )
    if not text.strip("\ufeff \t\r\n\x0c"):
        raise InvalidInput(f"{filename} is empty.", hint="Upload a file with text in it.", code="document_empty")
    return Sniffed(_text_type(text, suffix), text)


def _text_type(text: str, suffix: str) -> str:
    if suffix in _HTML_SUFFIXES or _HTML.match(text[:4_096]):
        return HTML
    if suffix in _CSV_SUFFIXES:
        return CSV
    return MARKDOWN if suffix in _MARKDOWN_SUFFIXES else PLAIN


def _mislabelled(content: bytes, filename: str, suffix: str) -> AppError:
    if suffix == ".docx" and content.startswith(_OLE):
        return InvalidInput(
            f"{filename} is encrypted, or in Word's format from before 2007.",
            hint="Save a copy as DOCX without a password and upload that.",
            code="document_encrypted",
        )
    kind = "a PDF" if suffix == ".pdf" else "a Word document"
    looks = _looks_like(content)
    return UnsupportedType(f"{filename} is named as {kind} but is none: it looks like {looks}.", hint=READABLE)


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
