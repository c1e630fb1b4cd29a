"""Every type as its reader gives it, and files that are made to break a reader."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fpdf import FPDF

from app.errors import AppError
from app.memory.extraction import extract
from app.memory.sniffing import sniff

ROOT = Path(__file__).parents[4]
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def docx_of(body: str, **parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", TYPES)
        package.writestr("_rels/.rels", RELATIONS)
        package.writestr("word/document.xml", f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>')
        for name, content in parts.items():
            package.writestr(name, content)
    return buffer.getvalue()


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def read(content: bytes, name: str) -> list[tuple[str, str]]:
    return [(s.place, s.text) for s in extract(content, sniff(content, name), name)]


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (docx_of("", bomb=bytes(210 * 1024 * 1024)), "bomb.docx", "document_too_complex"),
        (docx_of(paragraph("Hello"))[:-40], "cut.docx", "document_damaged"),
        (docx_of("<w:p>"), "broken.docx", "document_damaged"),
        (docx_of(""), "empty.docx", "document_without_text"),
        (b"<html><body><script>alert(1)</script></body></html>", "page.html", "document_without_text"),
        (b"a,b\n" + b"1,2\n" * 100_001, "long.csv", "document_too_complex"),
        (b"a\n" + b"x," * 600, "wide.csv", "document_too_complex"),
        (b'a\n"' + b"x" * 200_000, "cell.csv", "document_damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_or_broken_file_is_refused(content: bytes, name: str, code: str) -> None:
    """With the limit that it met."""
    with pytest.raises(AppError) as refusal:
        read(content, name)
    assert refusal.value.code == code
    assert refusal.value.hint


def test_the_reader_has_no_network_no_programs_and_no_files(tmp_path: Path) -> None:
    """A listening server on this machine is out of reach too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
import socket, subprocess
from app.memory.reading import confinement
confinement.limit_resources(1 << 30, 10)
confinement.forbid_network()
for name, attempt in {{
    "connect": lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 5),
    "run": lambda: subprocess.run(["/bin/true"], check=True),
    "write": lambda: open({str(tmp_path / "x")!r}, "w").write("x" * 9999),
}}.items():
    try:
        attempt()
        print(name, "worked")
    except OSError:
        pass
"""
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
    assert "connect worked" not in done.stdout
    assert "run worked" not in done.stdout
    assert "write worked" not in done.stdout


def test_a_word_document_gives_its_headings_and_tables() -> None:
    """Rows stay rows."""
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("Espresso", "2.50"))
    body = paragraph("Menu", "Heading1") + paragraph("Our prices") + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"
    assert read(docx_of(body), "menu.docx") == [("Menu", "Menu\nOur prices\nEspresso | 2.50")]


def test_a_web_page_gives_what_a_reader_sees() -> None:
    """Without scripts and styles; headings make the places."""
    page = (
        "<!doctype html><style>p {}</style><h1>Menu <em>today</em></h1><p>Fresh <b>cof</b>fee,<br>cake"
        "<script>x</script></p><h2>Hot</h2><ul><li>Tea<li>Mocha</ul>" + "<div>" * 500 + "deep"
    )
    assert read(page.encode(), "page.html") == [
        ("Menu today", "Menu today\nFresh coffee,\ncake"),
        ("Menu today › Hot", "Hot\n- Tea\n- Mocha\ndeep"),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_table_gives_a_line_a_row(mark: str) -> None:
    """Each cell with the name of its column, whatever separates them."""
    content = 'Name,Price,Note\nEspresso,2.50,"hot\nstrong"\n\nCake,4.00,\n'.replace(",", mark)
    assert read(content.encode(), "menu.csv") == [
        ("", "Name: Espresso; Price: 2.50; Note: hot strong\nName: Cake; Price: 4.00")
    ]


def test_fifty_thousand_rows_are_read() -> None:
    """The limit is twice that."""
    content = b"name,number\n" + b"".join(b"Person %d,%d\n" % (n, n) for n in range(50_000))
    [(_place, text)] = read(content, "people.csv")
    assert text.count("\n") == 49_999


def test_the_table_of_a_pdf_is_readable() -> None:
    """Row by row, beside the text around it."""
    document = FPDF()
    document.set_font("Helvetica", size=12)
    document.add_page()
    document.multi_cell(0, 8, "Our prices\n")
    with document.table() as table:
        for cells in (("Drink", "Small"), ("Espresso", "2.50")):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    assert read(bytes(document.output()), "menu.pdf") == [("page 1", "Our prices\n\nDrink | Small\nEspresso | 2.50")]
