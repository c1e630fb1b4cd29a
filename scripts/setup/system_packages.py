"""Installs Debian and Ubuntu packages as root; names them, with the command, to everybody else."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence

from scripts.setup.box import Box
from scripts.setup.commands import run_logged
from scripts.setup.errors import SetupError, next_step

_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}


def distribution() -> str:
    """``debian``, ``ubuntu`` … from /etc/os-release; empty when it does not say."""
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def install(box: Box, packages: Sequence[str], *, what: str, log_name: str) -> None:
    """Install packages with apt-get, or say how.

    Raises: SetupError that begins with ``what`` and names the packages and the command.
    """
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise SetupError(f"{what}.", f"Install what your system calls {names}, then run the same command again.")
    if not box.is_root:
        raise SetupError(f"{what}.", f"Run: sudo apt-get install -y {names} — then run the same command again.")
    log = box.log(log_name)
    argv = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if run_logged(argv, log, box.progress, env=_QUIET) == 0:
        return
    # Fresh machines have no package lists yet, and old lists name packages that are gone.
    run_logged(["apt-get", "update"], log, box.progress, env=_QUIET)
    if run_logged(argv, log, box.progress, env=_QUIET) != 0:
        raise SetupError(
            f"{what}, and apt-get could not install {names}.", next_step(log, f"Run: apt-get install -y {names}"), log
        )
