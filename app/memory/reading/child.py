"""``python -m app.memory.reading.child MEDIA_TYPE PATH MAX_CHARS``: reads one file, writes one JSON object to stdout.

``{"sections": [[place, text, first_line], …]}`` or ``{"problem": "encrypted" | "damaged" | "too_complex" |
"not_confined", "detail": …}``. Text types come as UTF-8. Everything is imported before the limits close in.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from app.memory.reading import confinement
from app.memory.reading.cleaning import clean
from app.memory.reading.markup import read_docx, read_html
from app.memory.reading.pdf import read_pdf
from app.memory.reading.plain import markdown_sections
from app.memory.reading.problems import Unreadable
from app.memory.reading.table import read_csv
from app.memory.records import CSV, DOCX, HTML, MARKDOWN, PDF, Section

MEMORY_BYTES = 1_500 * 1024 * 1024
CPU_S = 60


def read(media_type: str, path: Path, max_chars: int) -> list[Section]:
    """The file's sections in order. Raises: Unreadable."""
    if media_type == PDF:
        return read_pdf(path, max_chars)
    if media_type == DOCX:
        return read_docx(path)
    text = clean(path.read_text(encoding="utf-8", errors="surrogatepass"))
    if media_type == HTML:
        return read_html(text)
    if media_type == CSV:
        return read_csv(text)
    return markdown_sections(text) if media_type == MARKDOWN else [Section("", text)]


def _answer(media_type: str, path: Path, max_chars: int) -> dict[str, Any]:
    try:
        confinement.limit_resources(MEMORY_BYTES, CPU_S)
        _import_parsers(media_type)
        confinement.forbid_network()
        sections = read(media_type, path, max_chars)
        chars = sum(len(section.text) for section in sections)
        if chars > max_chars:
            raise Unreadable("too_complex", f"its text has {chars:,} characters; at most {max_chars:,}")
    except confinement.NotConfined as error:
        return {"problem": "not_confined", "detail": str(error)}
    except Unreadable as error:
        return {"problem": error.problem, "detail": error.detail}
    except (MemoryError, RecursionError) as error:
        return {"problem": "too_complex", "detail": f"reading it ended in {type(error).__name__}"}
    return {"sections": [[section.place, section.text, section.first_line] for section in sections]}


def _import_parsers(media_type: str) -> None:
    if media_type == PDF:
        import pypdf  # noqa: F401
    elif media_type in {DOCX, HTML}:
        import mammoth  # noqa: F401


if __name__ == "__main__":
    result = json.dumps(_answer(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    sys.stdout.buffer.write(result.encode())
    sys.stdout.buffer.flush()
    os._exit(0)  # parsers' own threads and destructors have nothing to say
