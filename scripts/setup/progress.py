"""One progress line for each step: ticking on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from scripts.setup.errors import SetupError


class Progress:
    """Prints ``[3/8] Building llama-cpp-python … 214 s`` and nothing for steps that had nothing to do."""

    def __init__(self, total: int, out: TextIO = sys.stdout) -> None:
        self._total = total
        self._out = out
        self._is_terminal = out.isatty()
        self._number = 0
        self._text = ""
        self._started = 0.0
        self._is_open = False
        self._width = 0
        self.shown = 0
        """How many steps had something to do."""

    def step(self) -> None:
        """Go to the next step, silently: it may turn out that there is nothing to do."""
        self._number += 1
        self._is_open = False

    def begin(self, text: str) -> None:
        """Say what the current step is doing now, e.g. "Installing PyTorch". May be called again when that changes."""
        if not self._is_open:
            self._started = time.monotonic()
            self.shown += 1
        self._is_open = True
        self._text = text
        if self._is_terminal:
            self.tick()
        else:
            self._line(f"{self._head()} {text} …")

    def tick(self, detail: str = "") -> None:
        """Show the seconds gone by, and ``detail`` (a child's last words), on a terminal only."""
        if self._is_terminal and self._is_open:
            tail = f" · {detail}" if detail else ""
            line = f"{self._head()} {self._text} … {self._elapsed()}{tail}"
            self._rewrite(line[: shutil.get_terminal_size().columns - 1])

    def done(self, text: str) -> None:
        """End the step's line with what is now true, e.g. "PyTorch 2.13.0 is installed"."""
        if not self._is_open:
            self.begin(text)
        line = f"{self._head()} {text} ({self._elapsed()})"
        if self._is_terminal:
            self._rewrite(line)
            self._out.write("\n")
            self._out.flush()
            self._width = 0
        else:
            self._line(line)
        self._is_open = False

    def fail(self) -> None:
        """End the step's line as failed."""
        if self._is_open:
            self.done(f"{self._text}: failed")

    def _head(self) -> str:
        return f"[{self._number}/{self._total}]"

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._started:.0f} s"

    def _rewrite(self, line: str) -> None:
        self._out.write("\r" + line.ljust(self._width))
        self._out.flush()
        self._width = len(line)

    def _line(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class WouldDo(Exception):
    """A dry run's step that has something to do; its text is what the step would begin with."""


class DryRun(Progress):
    """Ends a step where it would begin to change something: nothing is changed before ``begin``."""

    def begin(self, text: str) -> None:
        """Raises: WouldDo."""
        raise WouldDo(text)


def rehearse(steps: Sequence[tuple[str, Callable[[], object]]], out: TextIO = sys.stdout) -> None:
    """Print for each named step what it would do, or that it is done; what later steps need may not be there yet.

    Raises: SetupError as the step itself would, unless an earlier step has yet to make what it needs.
    """
    is_pending = False
    for number, (name, step) in enumerate(steps, start=1):
        try:
            step()
            text = "waits for the steps before" if is_pending else "nothing to do"
        except WouldDo as would:
            text, is_pending = f"would begin: {would}", True
        except SetupError as error:
            if not is_pending:
                raise
            text = f"waits for the steps before ({error.what})"
        out.write(f"[{number}/{len(steps)}] {name}: {text}\n")
    out.write("A dry run: nothing was changed.\n")
    out.flush()
