"""PDF: one section a page. A ruled table is given row by row, because its cells are scattered in the page's text."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from app.memory.reading.cleaning import clean
from app.memory.reading.problems import Unreadable
from app.memory.records import Section

MAX_PAGES = 2_000
TABLES_CPU_S = 25.0  # finding tables takes ten times as long as the text; later pages go without
MAX_PAGE_DATA_BYTES = 2_000_000  # a page with more to draw is a map, not a table
_RULES = re.compile(rb"\s(?:re|l)\s")


def read_pdf(path: Path, max_chars: int) -> list[Section]:
    """The pages that have text; a place is "page 3". Raises: Unreadable."""
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError, PdfReadError

    _check_end(path)
    try:
        reader = PdfReader(path, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted", "it opens only with a password")
        if not reader.pages:
            raise Unreadable("damaged", "it has no pages")
        if len(reader.pages) > MAX_PAGES:
            raise Unreadable("too_complex", f"it has {len(reader.pages):,} pages; at most {MAX_PAGES:,}")
        return _sections(reader, path, max_chars)
    except Unreadable:
        raise
    except (LimitReachedError, MemoryError, RecursionError) as error:
        raise Unreadable("too_complex", f"reading it ended in {type(error).__name__}") from error
    except PdfReadError as error:
        raise Unreadable("damaged", str(error)[:300]) from error
    except Exception as error:  # pypdf raises nearly anything over broken files
        raise Unreadable("damaged", f"{type(error).__name__}: {error}"[:300]) from error


def _check_end(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4_096))
        if b"%%EOF" not in file.read():
            raise Unreadable("damaged", "its end is missing, so it was probably cut off")


def _sections(reader: Any, path: Path, max_chars: int) -> list[Section]:
    sections: list[Section] = []
    chars = 0
    tables = _Tables(path)
    for number, page in enumerate(reader.pages, start=1):
        text = page.extract_text()
        chars += len(text)
        if chars > max_chars:
            raise Unreadable("too_complex", f"its text has more than {max_chars:,} characters")
        if text.strip() and _has_rules(page):
            text = tables.page_text(number) or text
        sections.append(Section(f"page {number}", clean(text)))
    return sections


def _has_rules(page: Any) -> bool:
    contents = page.get_contents()
    data = contents.get_data() if contents is not None else b""
    return len(data) <= MAX_PAGE_DATA_BYTES and len(_RULES.findall(data)) >= 4


class _Tables:
    """Pages read with pdfplumber, until that has taken its share of processor time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._document: Any = None
        self._spent_s = 0.0

    def page_text(self, number: int) -> str:
        """The page with its tables as lines ``Espresso | 2.50``; "" when it has none or they cannot be had."""
        if self._spent_s > TABLES_CPU_S:
            return ""
        began_s = time.process_time()
        try:
            import pdfplumber

            if self._document is None:
                self._document = pdfplumber.open(self._path)
            return _with_tables(self._document.pages[number - 1])
        except MemoryError:
            raise
        except Exception:  # pdfplumber stumbles over pages that pypdf reads: the plain text is there
            return ""
        finally:
            if self._document is not None:
                self._document.pages[number - 1].close()
            self._spent_s += time.process_time() - began_s


def _with_tables(page: Any) -> str:
    found = [(table, table.extract()) for table in page.find_tables()]
    tables = [(table, rows) for table, rows in found if rows and max(map(len, rows)) >= 2]
    if not tables:
        return ""
    boxes = [table.bbox for table, _rows in tables]

    def is_outside(thing: dict[str, Any]) -> bool:
        x, y = (thing["x0"] + thing["x1"]) / 2, (thing["top"] + thing["bottom"]) / 2
        return not any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)

    around = page.filter(lambda thing: thing["object_type"] != "char" or is_outside(thing)).extract_text()
    return "\n\n".join([around, *("\n".join(map(_row, rows)) for _table, rows in tables)]).strip()


def _row(cells: list[str | None]) -> str:
    return " | ".join(" ".join((cell or "").split()) for cell in cells)
