"""Text and places of documents; broken, encrypted and hostile PDFs."""

from __future__ import annotations

import zlib

import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

from app.errors import InvalidInput, TooLarge
from app.memory import extraction
from app.memory.extraction import extract
from app.memory.reading.plain import markdown_sections
from app.memory.records import PDF, PLAIN
from app.memory.sniffing import Sniffed


def pdf_of(*pages: str, password: str | None = None, owner: str = "owner") -> bytes:
    document = FPDF()
    document.set_font("Helvetica", size=12)
    if password is not None:
        document.set_encryption(
            owner_password=owner,
            user_password=password,
            encryption_method=EncryptionMethod.AES_256,
            permissions=AccessPermission.all(),
        )
    for text in pages:
        document.add_page()
        if text:
            document.multi_cell(0, 8, text)
    return bytes(document.output())


def sections_of(content: bytes) -> list[tuple[str, str]]:
    return [(s.place, s.text.strip()) for s in extract(content, Sniffed(PDF), "menu.pdf")]


def bomb() -> bytes:
    """A page whose content stream unpacks to 3 GB."""
    packer = zlib.compressobj(9)
    block = b"(a) Tj " * 149_797
    stream = b"".join(packer.compress(block) for _ in range(3_000)) + packer.flush()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R /Resources << /Font << /F1 "
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + b"xref\n0 5\n0000000000 65535 f \n%strailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )


def test_an_encrypted_pdf_is_refused() -> None:
    """422 with the way out."""
    with pytest.raises(InvalidInput) as refusal:
        sections_of(pdf_of("Secret prices", password="letmein"))
    assert refusal.value.code == "document_encrypted"


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_pdf_is_refused(share: float) -> None:
    """At whatever place it was cut off."""
    whole = pdf_of("Prices " * 500, "More " * 500)
    with pytest.raises(InvalidInput) as refusal:
        sections_of(whole[: int(len(whole) * share)])
    assert refusal.value.code == "document_damaged"


@pytest.mark.parametrize("content", [b"%PDF-1.7\n%%EOF", b"%PDF-1.7\nrubbish\nstartxref\n12\n%%EOF"])
def test_a_pdf_without_a_body_is_damaged(content: bytes) -> None:
    """The signature alone makes no document."""
    with pytest.raises(InvalidInput) as refusal:
        sections_of(content)
    assert refusal.value.code == "document_damaged"


def test_a_pdf_of_pictures_says_that_it_has_no_text() -> None:
    """As a scan does."""
    with pytest.raises(InvalidInput) as refusal:
        sections_of(pdf_of("", ""))
    assert refusal.value.code == "document_without_text"
    assert "OCR" in refusal.value.hint


def test_a_pdf_that_explodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader runs into its limits in a process of its own; this one goes on."""
    monkeypatch.setattr(extraction, "READ_TIMEOUT_S", 30)
    with pytest.raises(TooLarge) as refusal:
        sections_of(bomb())
    assert refusal.value.code == "document_too_complex"


def test_a_reader_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time limit."""
    monkeypatch.setattr(extraction, "READ_TIMEOUT_S", 0.01)
    with pytest.raises(TooLarge) as refusal:
        sections_of(pdf_of("Prices"))
    assert "0.01 s" in refusal.value.message


def test_a_pdf_gives_its_pages() -> None:
    """Text with the page number; pages without text are left out."""
    assert sections_of(pdf_of("Espresso 2.50", "", "Cake 4.00")) == [
        ("page 1", "Espresso 2.50"),
        ("page 3", "Cake 4.00"),
    ]


def test_a_pdf_that_opens_without_a_password_is_read() -> None:
    """Only its owner password is set, as many statements and brochures have it."""
    assert sections_of(pdf_of("Open to all", password="")) == [("page 1", "Open to all")]


def test_markdown_is_cut_at_its_headings() -> None:
    """The place is the path of headings; a heading in a code fence is code."""
    text = "Intro\n# Menu\nDrinks\n## Hot\nEspresso\n```\n# not a heading\n```\n# Hours\n9-18\n#### Deep ###\nx\n##\ny"
    assert [(s.place, s.first_line) for s in markdown_sections(text)] == [
        ("", 1),
        ("Menu", 2),
        ("Menu › Hot", 4),
        ("Hours", 9),
        ("Hours › Deep", 11),
        ("Hours", 13),
    ]


def test_controls_are_dropped_from_text() -> None:
    """Form feeds become line breaks, decomposed letters are composed, the rest is untouched."""
    found = extract(b"x", Sniffed(PLAIN, "Cafe\u0301\x0c\x1bopen\r\n👋"), "a.txt")
    assert [s.text for s in found] == ["Café\nopen\n👋"]
