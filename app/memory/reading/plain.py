"""Markdown and plain text."""

from __future__ import annotations

import re

from app.memory.reading.headings import HeadingPath
from app.memory.records import Section
from app.text import has_visible_text

_FENCE = re.compile(r"^\s{0,3}(```|~~~)")
_HEADING_MARK = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")


def markdown_sections(text: str) -> list[Section]:
    """Cut at ATX headings outside code fences; the place is the path of headings ("Menu › Prices")."""
    sections: list[Section] = []
    path = HeadingPath()
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
            sections.append(Section(path.text, "\n".join(lines), first_line))
            path.enter(*heading)
            lines, first_line = [], number
        lines.append(line)
    sections.append(Section(path.text, "\n".join(lines), first_line))
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
