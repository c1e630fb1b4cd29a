"""Proof of what an execution saw: screenshots and texts in the action's evidence folder."""

from __future__ import annotations

import logging
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from automation.actions.base import Evidence
from automation.redaction import Secrets

if TYPE_CHECKING:
    from playwright.sync_api import FloatRect, Page

log = logging.getLogger(__name__)

MAX_SCREENSHOT_HEIGHT_PX = 6_000
MAX_TEXT_CHARS = 1_000_000
_PAGE_SIZE = """() => [
    document.documentElement.scrollWidth,
    Math.max(document.documentElement.scrollHeight, innerHeight),
]"""


class EvidenceFolder:
    """Writes numbered files with safe names into an existing folder; ``items`` lists what was kept, in order."""

    def __init__(self, folder: Path, secrets: Secrets | None = None) -> None:
        self.folder = folder
        self._secrets = secrets or Secrets()
        self.items: tuple[Evidence, ...] = ()
        self._count = 0

    def screenshot(self, page: Page, label: str, name: str) -> None:
        """A PNG of the page, cut at 6,000 pixels height; nothing when the page cannot be drawn."""
        from playwright.sync_api import Error

        path = self._path(name, ".png")
        try:
            width, height = page.evaluate(_PAGE_SIZE)
            clip: FloatRect = {
                "x": 0,
                "y": 0,
                "width": min(max(width, 320), 1_920),
                "height": min(max(height, 200), MAX_SCREENSHOT_HEIGHT_PX),
            }
            page.screenshot(path=path, full_page=True, clip=clip, animations="disabled", timeout=10_000, scale="css")
        except Error as error:
            log.warning("no screenshot of %s: %s", label, str(error).splitlines()[0])
            path.unlink(missing_ok=True)
            return
        self._keep(Evidence("screenshot", label, filename=path.name))

    def text(self, content: str, label: str, name: str) -> None:
        """A UTF-8 text file, cut at a million characters."""
        path = self._path(name, ".txt")
        content = self._secrets.taken_out_of(content)
        path.write_text(content[:MAX_TEXT_CHARS], encoding="utf-8", errors="replace")
        self._keep(Evidence("text", label, filename=path.name))

    def url(self, url: str, label: str) -> None:
        """Note an address as evidence."""
        self._keep(Evidence("url", self._secrets.taken_out_of(label), url=self._secrets.taken_out_of(url)))

    def _keep(self, item: Evidence) -> None:
        self.items = (*self.items, item)

    def _path(self, name: str, suffix: str) -> Path:
        self._count += 1
        return self.folder / f"{self._count:02d}-{safe_name(name)}{suffix}"


def safe_name(text: str) -> str:
    """A file name of letters, digits and hyphens, at most 60 characters, never empty and never a path."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "file"
