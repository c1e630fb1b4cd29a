"""Which browsers count, and in which order."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scripts.setup import chromium
from scripts.setup.box import Box
from scripts.setup.errors import SetupError
from scripts.setup.progress import Progress


def _executable(path: Path, text: str = "\x7fELF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_ubuntus_placeholder_for_a_snap_is_no_browser(tmp_path: Path) -> None:
    """It only asks to install a snap, which could not read our folders."""
    stub = _executable(tmp_path / "chromium-browser", "#!/bin/sh\nexec /snap/bin/chromium\n")
    assert chromium.is_snap_stub(stub)
    assert not chromium.is_snap_stub(_executable(tmp_path / "chromium", "#!/bin/sh\nexec /usr/lib/chromium/chromium\n"))
    assert not chromium.is_snap_stub(_executable(tmp_path / "chrome"))


def test_a_snap_behind_a_link_is_no_browser(tmp_path: Path) -> None:
    """The link leads into /snap."""
    target = _executable(tmp_path / "snap" / "bin" / "chromium")
    (tmp_path / "chromium").symlink_to(target)
    assert chromium.is_snap_stub(tmp_path / "chromium")


def test_a_chosen_browser_is_the_only_candidate(tmp_path: Path) -> None:
    """Who names one does not want another."""
    assert chromium.candidates(str(tmp_path / "chrome")) == [tmp_path / "chrome"]


def test_installed_browsers_come_before_downloaded_ones_and_new_before_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's browser gets the system's security updates."""
    installed = _executable(tmp_path / "bin" / "chromium")
    downloads = [
        _executable(tmp_path / "browsers" / f"chromium-{build}" / "chrome-linux64" / "chrome") for build in (1200, 1181)
    ]
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    assert chromium.candidates() == [installed, *downloads]


def _box(folder: Path, monkeypatch: pytest.MonkeyPatch, *, user_id: int) -> Box:
    monkeypatch.setattr("os.geteuid", lambda: user_id)
    (folder / "constraints.txt").write_text("playwright==1.65.2\n")
    box = Box(folder, Progress(1, io.StringIO()))
    box.progress.step()
    return box


def test_a_browser_that_starts_only_without_its_sandbox_is_refused_to_an_ordinary_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker would start it with the sandbox and fail; the message says how to allow it."""
    picky = _executable(tmp_path / "chromium", '#!/bin/sh\ncase "$*" in *--no-sandbox*) exit 0;; esac\nexit 1\n')
    monkeypatch.setenv("HERALD_CHROMIUM", str(picky))
    with pytest.raises(SetupError, match="starts only without its sandbox") as caught:
        chromium.install_chromium(_box(tmp_path, monkeypatch, user_id=1000))
    assert "sysctl" in caught.value.todo
    chromium.install_chromium(_box(tmp_path, monkeypatch, user_id=0))


def test_a_chosen_browser_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is not taken behind the owner's back."""
    broken = _executable(tmp_path / "chromium", "#!/bin/sh\nexit 1\n")
    monkeypatch.setenv("HERALD_CHROMIUM", str(broken))
    with pytest.raises(SetupError, match=f"HERALD_CHROMIUM names {broken}"):
        chromium.install_chromium(_box(tmp_path, monkeypatch, user_id=1000))
