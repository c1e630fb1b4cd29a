"""Sees to it that a Chromium can be started here: an installed one, the system's package, or Playwright's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.setup import system_packages
from scripts.setup.box import Box
from scripts.setup.commands import as_it_is, run_logged
from scripts.setup.errors import SetupError, next_step
from scripts.setup.settings_seen import setting
from scripts.setup.state import fingerprint

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FONTS = ["fonts-liberation", "fonts-noto-color-emoji"]


def install_chromium(box: Box) -> None:
    """Find a browser that starts, or install one. The path is kept in the step's stamp."""
    chosen = setting(box.root, "HERALD_CHROMIUM")
    inputs = fingerprint(chosen, box.pinned("playwright"))
    kept = box.state.note("chromium", "path")
    if box.state.is_done("chromium", inputs) and kept and Path(kept).exists():
        return
    box.progress.begin("Looking for Chromium")
    log = box.log("chromium")
    log.unlink(missing_ok=True)
    path = _first_that_starts(box, candidates(chosen), log)
    if path is None:
        _refuse_forbidden_sandbox(box, candidates(chosen), log)
    if path is None and chosen:
        raise SetupError(
            f"HERALD_CHROMIUM names {chosen}, which cannot be started.",
            "Correct it, or unset it to have a browser found or installed.",
            log,
        )
    if path is None:
        path = _install(box, log)
    box.state.finish("chromium", inputs, path=str(path))
    box.progress.done(f"Chromium at {path}")


def candidates(chosen: str = "") -> list[Path]:
    """Browsers on this machine in order of preference; only ``chosen`` when that is set."""
    if chosen:
        return [Path(shutil.which(chosen) or chosen)]
    on_path = [Path(found) for name in _NAMES if (found := shutil.which(name)) and not is_snap_stub(Path(found))]
    return [*on_path, *playwright_browsers()]


def playwright_browsers() -> list[Path]:
    """Chromium builds that Playwright downloaded, the newest first."""
    base = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    folder = Path(base) if base and base != "0" else Path.home() / ".cache" / "ms-playwright"
    found = [*folder.glob("chromium-*/chrome-linux*/chrome")]
    return sorted(found, key=lambda path: path.parent.parent.name, reverse=True)


def is_snap_stub(path: Path) -> bool:
    """Whether this is Ubuntu's placeholder for a snap, or the snap itself, which cannot read our folders."""
    try:
        resolved = path.resolve()
        if "snap" in resolved.parts:
            return True
        with resolved.open("rb") as file:
            return b"/snap/" in file.read(4096) if file.read(2) == b"#!" else False
    except OSError:
        return True


def _first_that_starts(box: Box, paths: list[Path], log: Path) -> Path | None:
    """As the worker will start it: with its sandbox, except as root, where Chromium refuses one."""
    return next((path for path in paths if _starts(box, path, log, has_sandbox=not box.is_root)), None)


def _refuse_forbidden_sandbox(box: Box, paths: list[Path], log: Path) -> None:
    """Raises: SetupError when a browser is there that only starts without its sandbox (Ubuntu since 23.10)."""
    if box.is_root:
        return
    for path in paths:
        if _starts(box, path, log, has_sandbox=False):
            raise SetupError(
                f"{path} starts only without its sandbox: this system forbids it the user namespaces that it needs.",
                "Install Google Chrome's own package, which brings the permission, or allow it for all programs: sudo "
                " sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 kernel.unprivileged_userns_clone=1",
                log,
            )


def _starts(box: Box, path: Path, log: Path, *, has_sandbox: bool) -> bool:
    """Open an empty page: the version alone is printed even where libraries for a page are missing."""
    if not os.access(path, os.X_OK):
        return False
    with tempfile.TemporaryDirectory(prefix="herald-chromium-") as profile:
        argv = [
            str(path), *([] if has_sandbox else ["--no-sandbox"]), "--headless=new",
            "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={profile}", "--dump-dom", "about:blank",
        ]  # fmt: skip
        return run_logged(["timeout", "60", *argv], log, box.progress) == 0


def _install(box: Box, log: Path) -> Path:
    if box.is_root and system_packages.distribution() == "debian":
        box.progress.begin("Installing Chromium from the system's packages")
        system_packages.install(box, ["chromium", *_FONTS], what="There is no Chromium", log_name="chromium")
    else:
        box.progress.begin("Downloading Chromium with Playwright")
        _playwright_install(box, log)
    path = _first_that_starts(box, candidates(), log)
    if path is None:
        _refuse_forbidden_sandbox(box, candidates(), log)
        raise SetupError("Chromium is installed but does not start.", _missing_libraries(box, log), log)
    return path


def _playwright_install(box: Box, log: Path) -> None:
    with_deps = ["--with-deps"] if box.is_root else []
    argv: list[str | Path] = [box.python, "-m", "playwright", "install", *with_deps, "chromium"]
    if run_logged(argv, log, box.progress, detail=as_it_is, cwd=box.root) != 0:
        package = "chromium" if system_packages.distribution() == "debian" else "google-chrome-stable"
        todo = (
            f"Install a browser from the system (package {package}), or set HERALD_CHROMIUM to one; "
            "then run the same command again."
        )
        raise SetupError("Playwright could not download Chromium.", next_step(log, todo), log)


def _missing_libraries(box: Box, log: Path) -> str:
    """Playwright's own list of the packages that its browser needs, as a command."""
    found = subprocess.run(
        [str(box.python), "-m", "playwright", "install-deps", "--dry-run", "chromium"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    with log.open("a", encoding="utf-8") as file:
        file.write(found.stdout + found.stderr)
    command = next((line.strip() for line in reversed(found.stdout.splitlines()) if "apt-get install" in line), "")
    if command:
        return f"System libraries are missing. Run: sudo {command.removeprefix('sudo ')}"
    return "System libraries are missing. Run: sudo .venv/bin/playwright install-deps chromium"
