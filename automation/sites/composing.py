"""Putting a post together in a site's own composer: files, texts compared character for character, the button."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from automation.actions.base import ActionContext, ActionError, MediaRef
from automation.evidence import safe_name
from automation.sites.layout import Composer, Marks, find, words_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from automation.session import BrowserSession

_STEP_TIMEOUT_S = 20.0
_UPLOAD_TIMEOUT_S = 300.0
_ENABLE_TIMEOUT_S = 8.0
_READ_EDITABLE = Path(__file__).with_name("read_editable.js").read_text(encoding="utf-8")
_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "video/mp4": ".mp4",
}


class Composition:
    """One post in one site's composer. ``title`` is the site's name, for progress and errors."""

    def __init__(self, session: BrowserSession, composer: Composer, title: str) -> None:
        self._session, self._composer, self._title = session, composer, title

    def open(self, base_url: str) -> None:
        """Show the composer. Raises: ActionError."""
        if self._composer.path:
            self._session.open(base_url + self._composer.path, progress=f"Opening {self._title}'s composer")
        if self._composer.opener and not find(self._session.page, self._composer.editors[0]):
            self.press(self._composer.opener, "the button that begins a post")

    def attach(self, paths: list[Path], context: ActionContext) -> None:
        """Give the files to the composer and wait until it has taken them. Raises: ActionError."""
        if not paths:
            return
        page, composer = self._session.page, self._composer
        files = self._wait_for_input()
        context.progress(f"Sending {len(paths)} file{'s' if len(paths) > 1 else ''} to {self._title}")
        files.set_input_files(paths, timeout=self._session.timeout_ms(60))
        end = time.monotonic() + min(_UPLOAD_TIMEOUT_S, self._session.remaining_s())
        while time.monotonic() < end:
            self._session.check()
            if said := words_of(find(page, composer.media_failed)):
                raise ActionError(
                    f"Nothing was posted: {self._title} did not take the file: {said}",
                    code="media_refused",
                    hint="Convert the file to what the platform takes, or use another one.",
                )
            if find(page, composer.media_ready) and not find(page, composer.media_pending):
                break
            page.wait_for_timeout(200)
        else:
            raise ActionError(
                f"Nothing was posted: {self._title} did not finish taking the files.",
                code="media_stuck",
                hint="Try again later, or use a smaller file.",
                retryable=True,
            )
        for number, marks in enumerate(composer.after_media, 1):
            self.press(marks, f"step {number} after the files")

    def _wait_for_input(self) -> Locator:
        page, composer = self._session.page, self._composer
        end = time.monotonic() + min(_STEP_TIMEOUT_S, self._session.remaining_s())
        is_opened = not composer.media_opener
        while time.monotonic() < end:
            self._session.check()
            for mark in composer.file_input:
                if is_opened and page.locator(mark).count():
                    return page.locator(mark).last
            if not is_opened and (button := find(page, composer.media_opener)):
                button.click(timeout=self._session.timeout_ms(10))
                is_opened = True
            page.wait_for_timeout(100)
        raise self._changed("the place for pictures and videos")

    def write(self, texts: tuple[str, ...]) -> None:
        """Type each text into its editor; what stands there must be it, letter by letter. Raises: ActionError."""
        for marks, text in zip(self._composer.editors, texts, strict=True):
            editor = self.wait(marks, "the place for the text")
            wanted = text.replace("\r\n", "\n")
            self._type(editor, wanted)
            found = _text_in(editor)
            if found != wanted and ("\u00a0" in wanted or found.replace("\u00a0", " ") != wanted):
                raise ActionError(
                    f"Nothing was posted: {self._title}'s composer shows another text than the approved one, namely "
                    f"{found[:300]!r}.",
                    code="text_mismatch",
                    hint="Try again; if it happens each time, shorten the text or remove unusual characters.",
                    retryable=True,
                )

    def _type(self, editor: Locator, text: str) -> None:
        page = self._session.page
        editor.click(timeout=self._session.timeout_ms(10))
        if _text_in(editor):  # a draft, or the file's name
            page.keyboard.press("ControlOrMeta+A")
            page.keyboard.press("Delete")
        for number, line in enumerate(text.split("\n")):
            if number:
                self._close_suggestions()
                page.keyboard.press("Enter")
            if line:
                page.keyboard.insert_text(line)
            if re.search(r"[#@$]\w+$", line):
                page.wait_for_timeout(300)  # suggestions for hashtags and names take a moment
        self._close_suggestions()

    def _close_suggestions(self) -> None:
        if find(self._session.page, self._composer.suggestions):
            self._session.page.keyboard.press("Escape")

    def ready_button(self) -> Locator:
        """The publish button, once the site lets it be used. Raises: ActionError."""
        for number, marks in enumerate(self._composer.before_publish, 1):
            self.press(marks, f"step {number} before publishing")
        end = time.monotonic() + _ENABLE_TIMEOUT_S
        while time.monotonic() < end:
            self._session.check()
            button = find(self._session.page, self._composer.publish)
            if button is not None and _is_on(button):
                return button
            if button is None and (further := find(self._session.page, self._composer.optional_next)):
                further.click(timeout=self._session.timeout_ms(5))
            self._session.page.wait_for_timeout(100)
        raise ActionError(
            f"{self._title} does not let this post be published: its button stays off.",
            code="text_refused",
            hint="Shorten the text or change the files, and approve it again.",
        )

    def press(self, marks: Marks, what: str) -> None:
        """Click what the marks name, once it is there and on. Raises: ActionError."""
        end = time.monotonic() + min(_STEP_TIMEOUT_S, self._session.remaining_s())
        while time.monotonic() < end:
            self._session.check()
            button = find(self._session.page, marks)
            if button is not None and _is_on(button):
                button.click(timeout=self._session.timeout_ms(10))
                return
            self._session.page.wait_for_timeout(100)
        raise self._changed(what)

    def wait(self, marks: Marks, what: str) -> Locator:
        """What the marks name, once it is visible. Raises: ActionError."""
        end = time.monotonic() + min(_STEP_TIMEOUT_S, self._session.remaining_s())
        while time.monotonic() < end:
            self._session.check()
            if found := find(self._session.page, marks):
                return found
            self._session.page.wait_for_timeout(100)
        raise self._changed(what)

    def _changed(self, what: str) -> ActionError:
        return ActionError(
            f"Nothing was posted: {self._title} did not show {what}.",
            code="site_changed",
            hint=f"Look at the screenshot. {self._title} may be down or have changed; try again later.",
            retryable=True,
        )


def _text_in(editor: Locator) -> str:
    is_field = editor.evaluate("e => e instanceof HTMLTextAreaElement || e instanceof HTMLInputElement")
    return str(editor.input_value() if is_field else editor.evaluate(_READ_EDITABLE))


def _is_on(button: Locator) -> bool:
    return button.is_enabled() and button.get_attribute("aria-disabled") != "true"


@contextlib.contextmanager
def named_files(media: tuple[MediaRef, ...], context: ActionContext) -> Iterator[list[Path]]:
    """The files under names with the right ending: a browser tells the kind of a file by it.

    They must be there until the post is out: some pages send them only then.
    """
    with tempfile.TemporaryDirectory(prefix="herald-media-") as folder:
        paths = []
        for number, ref in enumerate(media, 1):
            path = Path(folder, f"{number:02d}-{safe_name(Path(ref.filename).stem)}{_SUFFIXES[ref.media_type]}")
            source = context.media_path(ref)
            try:
                os.link(source, path)
            except OSError:  # another file system, or not ours to link
                shutil.copyfile(source, path)
            paths.append(path)
        yield paths
