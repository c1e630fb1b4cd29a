"""HTML, and DOCX by way of HTML: sections at headings, lists as lines, tables row by row."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from app.memory.reading.cleaning import clean
from app.memory.reading.headings import HeadingPath
from app.memory.reading.problems import Unreadable
from app.memory.records import Section

MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_PACKED_FILES = 5_000
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CELLS = frozenset({"td", "th"})
_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "math", "head", "iframe", "object"})
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form header hr html "  # noqa: SIM905
    "li main nav ol p pre section summary table tbody tfoot thead tr ul".split()
)


def read_html(text: str) -> list[Section]:
    """The page's text; a place is the path of headings. Raises: Unreadable."""
    from lxml import etree, html

    try:
        tree = html.document_fromstring(text.encode(), parser=html.HTMLParser(encoding="utf-8", huge_tree=True))
    except etree.ParserError as error:
        raise Unreadable("damaged", f"it is no HTML: {error}"[:300]) from error
    return _Walk().sections_of(tree)


def read_docx(path: Path) -> list[Section]:
    """The document's text; a place is the path of headings. Raises: Unreadable."""
    import mammoth

    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            _check_unpacked_size(package)
        converted = mammoth.convert_to_html(
            io.BytesIO(content), convert_image=mammoth.images.img_element(lambda _image: {})
        )
    except Unreadable:
        raise
    except (MemoryError, RecursionError) as error:
        raise Unreadable("too_complex", f"reading it ended in {type(error).__name__}") from error
    except Exception as error:  # a broken package raises nearly anything
        raise Unreadable("damaged", f"{type(error).__name__}: {error}"[:300]) from error
    return read_html(f"<html><body>{converted.value}</body></html>")


def _check_unpacked_size(package: zipfile.ZipFile) -> None:
    entries = package.infolist()
    if len(entries) > MAX_PACKED_FILES:
        raise Unreadable("too_complex", f"it packs {len(entries):,} files; at most {MAX_PACKED_FILES:,}")
    unpacked = sum(entry.file_size for entry in entries)  # zipfile reads no further than this, whatever is packed
    if unpacked > MAX_UNPACKED_BYTES:
        limit = f"{MAX_UNPACKED_BYTES / 1048576:,.0f} MiB"
        raise Unreadable("too_complex", f"it unpacks to {unpacked / 1048576:,.0f} MiB; at most {limit}")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("encrypted", "its parts are encrypted")


class _Walk:
    """One pass over a tree without recursion, since pages nest deeply."""

    def __init__(self) -> None:
        self._path = HeadingPath()
        self._sections: list[Section] = []
        self._parts: list[str] = []
        self._cells_deep = 0

    def sections_of(self, tree: Any) -> list[Section]:
        from lxml import etree

        walk = etree.iterwalk(tree, events=("start", "end", "comment", "pi"))
        for event, element in walk:
            name = element.tag if isinstance(element.tag, str) else ""
            if event == "start" and name in _SILENT:
                walk.skip_subtree()
            elif event == "start" and name in _HEADINGS:
                walk.skip_subtree()
                self._close()
                title = " ".join("".join(element.itertext()).split())
                self._path.enter(_HEADINGS[name], title)
                self._parts.append(f"{title}\n")
            elif event == "start":
                self._start(name, element)
            else:
                self._end(name, element)
        self._close()
        return self._sections

    def _start(self, name: str, element: Any) -> None:
        if name in _BLOCKS or name == "br":
            self._parts.append(" " if self._cells_deep else "\n- " if name == "li" else "\n")
        elif name in _CELLS:
            self._cells_deep += 1
        self._say(element, element.text)

    def _end(self, name: str, element: Any) -> None:
        if name in _CELLS:
            self._cells_deep -= 1
            self._parts.append(" | " if element.getnext() is not None else "")
        elif name in _BLOCKS:
            self._parts.append(" " if self._cells_deep else "\n")
        self._say(element.getparent(), element.tail)

    def _say(self, parent: Any, text: str | None) -> None:
        if not text:
            return
        is_in_cell = parent is not None and parent.tag in {"tr", "table", "tbody", "thead", "ul", "ol"}
        if text.strip() or not is_in_cell:
            self._parts.append(" ".join(f" {text} ".split(None)) if not text.strip() else _folded(text))

    def _close(self) -> None:
        lines = (" ".join(line.split()).removesuffix(" |") for line in "".join(self._parts).split("\n"))
        text = clean("\n".join(line for line in lines if line and line != "-"))
        if text.strip():
            self._sections.append(Section(self._path.text, text))
        self._parts = []


def _folded(text: str) -> str:
    """White space as one space, kept at the ends, since words in neighbouring elements may be apart or not."""
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() else ""
    return f"{before}{' '.join(text.split())}{after}"
