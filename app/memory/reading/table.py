"""CSV: one line a row, each cell with the name of its column, so that a passage can be understood by itself."""

from __future__ import annotations

import csv
import io

from app.memory.reading.problems import Unreadable
from app.memory.records import Section

MAX_ROWS = 100_000
MAX_COLUMNS = 500
DELIMITERS = ",;\t|"


def read_csv(text: str) -> list[Section]:
    """One section whose line ``n`` is data row ``n`` ("Name: Espresso; Price: 2.50"). Raises: Unreadable."""
    rows = csv.reader(io.StringIO(text, newline=""), dialect=_dialect_of(text))
    header: list[str] = []
    lines: list[str] = []
    try:
        for row in rows:
            cells = [" ".join(cell.split()) for cell in row]
            if not any(cells):
                continue
            if len(cells) > MAX_COLUMNS:
                raise Unreadable(
                    "too_complex", f"row {len(lines) + 1:,} has {len(cells):,} columns; at most {MAX_COLUMNS}"
                )
            if not header:
                header = cells
                continue
            lines.append(_line(header, cells))
            if len(lines) > MAX_ROWS:
                raise Unreadable("too_complex", f"it has more than {MAX_ROWS:,} rows")
    except csv.Error as error:
        raise Unreadable("damaged", f"line {rows.line_num:,} is no CSV: {error}") from error
    return [Section("", "\n".join(lines or [" | ".join(header)]))]


def _dialect_of(text: str) -> type[csv.Dialect]:
    """Excel's dialect with the delimiter that the first lines agree on."""
    first = [line for line in text[:20_000].splitlines()[:20] if line.strip()]
    counts = {mark: [line.count(mark) for line in first] for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: (min(counts[mark], default=0), sum(counts[mark]), mark == ","))

    class Found(csv.excel):
        delimiter = best

    return Found


def _line(header: list[str], cells: list[str]) -> str:
    named = [
        f"{header[index]}: {cell}" if index < len(header) and header[index] else cell
        for index, cell in enumerate(cells)
        if cell
    ]
    return "; ".join(named)
