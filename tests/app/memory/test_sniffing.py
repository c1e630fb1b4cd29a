"""What a file is, by its bytes."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile

import pytest

from app.errors import AppError, InvalidInput, UnsupportedType
from app.memory.records import CSV, DOCX, HTML, MARKDOWN, PDF, PLAIN
from app.memory.sniffing import sniff

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "hello")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (PNG, "photo.txt", "photo.txt looks like"),
        (PNG, "photo.png", "photo.png looks like"),
        (zipped(), "notes.md", "notes.md looks like"),
        (b"hello, I am text", "menu.pdf", "named as a PDF but is none"),
        (b"{\\rtf1\\ansi hello}", "letter.txt", "looks like"),
        (b"PK\x03\x04rest", "menu.docx", "named as a Word document but is none"),
        (b"hello, I am text", "menu.docx", "named as a Word document but is none"),
        (b"a,b", "table.xlsx", "looks like"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(64), "readme.md", "looks like"),
        (bytes(range(256)) * 8, "data.txt", "looks like"),
        (b"text with a \x00 in it", "a.txt", "looks like"),
    ],
)
def test_what_memory_cannot_read_is_refused(content: bytes, name: str, said: str) -> None:
    """415, saying what the file looks like and what can be read, whatever its name says."""
    with pytest.raises(UnsupportedType) as refusal:
        sniff(content, name)
    assert said in refusal.value.message
    assert "plain text, Markdown, HTML and CSV" in refusal.value.message + refusal.value.hint


@pytest.mark.parametrize("content", [b"", b"  \r\n\t ", b"\xef\xbb\xbf", b"\xff\xfe", "\ufeff \n".encode("utf-16-le")])
def test_an_empty_file_is_refused(content: bytes) -> None:
    """Also one that holds only white space or a byte order mark."""
    with pytest.raises(InvalidInput) as refusal:
        sniff(content, "empty.txt")
    assert refusal.value.code == "document_empty"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_text_is_decoded(encoding: str) -> None:
    """Every usual encoding gives the same text."""
    text = "Öffnungszeiten: täglich 9–18 Uhr, Café €4"
    assert sniff(text.encode(encoding), "a.txt").text.removeprefix("\ufeff") == text


def test_the_name_tells_markdown_from_text() -> None:
    """Both are text by their bytes."""
    assert sniff(b"# Menu", "menu.MD").media_type == MARKDOWN
    assert sniff(b"# Menu", "menu.txt").media_type == PLAIN
    assert sniff(b"a,b\n1,2", "prices.csv").media_type == CSV
    assert sniff(b"a,b\n1,2", "prices").media_type == PLAIN


def test_an_old_or_encrypted_word_document_says_so() -> None:
    """Both are in the container that Word used before 2007."""
    with pytest.raises(InvalidInput) as refusal:
        sniff(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64), "letter.docx")
    assert refusal.value.code == "document_encrypted"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<!DOCTYPE html><html><body>hi</body></html>", "page.txt"),
        (b"  <!-- saved --> <html><body>hi</body></html>", "page"),
        (b"<p>hi</p>", "page.html"),
    ],
)
def test_html_is_known_by_its_beginning_or_its_name(content: bytes, name: str) -> None:
    """A fragment needs the name."""
    assert sniff(content, name).media_type == HTML


def test_a_word_document_is_one_under_any_name() -> None:
    """By the parts in its package."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert sniff(buffer.getvalue(), "letter.txt").media_type == DOCX


def test_a_pdf_is_a_pdf_under_any_name() -> None:
    """By its signature."""
    assert sniff(b"%PDF-1.7\n...", "menu.txt").media_type == PDF


def test_random_bytes_end_in_an_answer_or_an_app_error() -> None:
    """No byte string makes the sniffing itself fail."""
    source = random.Random(7)
    for _ in range(500):
        content = source.randbytes(source.randint(0, 60))
        with contextlib.suppress(AppError):
            sniff(content, source.choice(["a.txt", "a.pdf", "a", "a.md"]))
