"""One line a step: plain where nobody watches, rewritten in place on a terminal."""

from __future__ import annotations

import io

from scripts.setup.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_with_nothing_to_do_prints_nothing() -> None:
    """A second run is quiet."""
    out = io.StringIO()
    progress = Progress(2, out)
    progress.step()
    progress.step()
    assert out.getvalue() == ""
    assert progress.shown == 0


def test_plain_output_has_one_line_for_the_start_and_one_for_the_end() -> None:
    """Logs of CI get no carriage returns and no ticking."""
    out = io.StringIO()
    progress = Progress(8, out)
    progress.step()
    progress.step()
    progress.begin("Installing PyTorch")
    progress.tick("noise")
    progress.done("PyTorch 2.13.0")
    assert out.getvalue() == "[2/8] Installing PyTorch …\n[2/8] PyTorch 2.13.0 (0 s)\n"


def test_a_terminal_line_is_rewritten_and_leaves_no_rest_of_a_longer_one() -> None:
    """A shorter text covers the longer one before it."""
    out = _Terminal()
    progress = Progress(8, out)
    progress.step()
    progress.begin("Installing something with a long name")
    progress.tick("and a detail")
    progress.done("Done")
    last = out.getvalue().rsplit("\r", 1)[1]
    assert last.startswith("[1/8] Done (0 s)")
    assert len(last.rstrip("\n")) >= len("[1/8] Installing something with a long name … 0 s")


def test_a_failed_step_ends_its_line() -> None:
    """The explanation that follows starts on a line of its own."""
    out = io.StringIO()
    progress = Progress(1, out)
    progress.step()
    progress.begin("Installing PyTorch")
    progress.fail()
    assert out.getvalue().endswith("[1/1] Installing PyTorch: failed (0 s)\n")
