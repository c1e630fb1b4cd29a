"""Where in a document one is: the path of headings."""

from __future__ import annotations

PLACE_MAX_CHARS = 300


class HeadingPath:
    """The headings above the current place ("Menu › Hot")."""

    def __init__(self) -> None:
        self._titles: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        """Go under a heading; it ends those of its own level and below."""
        self._titles = [(known, text) for known, text in self._titles if known < level] + [(level, title)]

    @property
    def text(self) -> str:
        """The path, at most 300 characters."""
        return " › ".join(title for _level, title in self._titles if title)[:PLACE_MAX_CHARS]
