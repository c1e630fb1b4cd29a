"""What the hands can see and do: a root folder with programs alone, no network but the proxy, no rights.

``Cell.prepare`` runs once in the zygote and finds out how far this system lets itself be shut off; ``Cell.enter`` runs
in each child. Either everything holds (own mounts, network, processes) or, where the kernel or a container
forbids it, only what a change of user gives; ``Cell.problem`` then says why.
"""

from __future__ import annotations

import os
import pwd
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

from automation.hands import linux

# Read-only parts of the system that programs need. Homes, /run with its sockets, /var and /srv are not among them.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix", "/var/cache/fontconfig")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_FIRST_UID = 64_321  # in Debian's range for programs that choose for themselves (60000-64999)
_SHM_OPTIONS = "size=512m,mode=1777"
_MAX_FILE_BYTES = 2_000_000_000
_MAX_OPEN_FILES = 8_192
INSIDE = Path("/tmp/hands")  # noqa: S108 - in a root folder of its own


def hands_uid() -> int:
    """The user that the hands are when the worker is root: one without a name, so that it owns nothing."""
    for uid in range(_FIRST_UID, _FIRST_UID + 100):
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return uid
    return _FIRST_UID


@dataclass(slots=True)
class Cell:
    """The place where children run.

    Attributes:
        uid, gid: whom they run as.
        is_closed: whether they have mounts, network and processes of their own.
        problem: why not.
        root: the folder that becomes their root folder.
    """

    uid: int
    gid: int
    is_closed: bool
    problem: str
    root: Path

    @classmethod
    def prepare(cls, root: Path, visible: list[Path], hidden: list[Path]) -> Cell:
        """Build the root folder below ``root``, an empty folder.

        Args:
            visible: folders of programs that lie elsewhere (the interpreter, the packages, the browser).
            hidden: files and folders that are not to be seen even if one of those holds them.
        """
        is_root = os.geteuid() == 0
        uid = hands_uid() if is_root else os.geteuid()
        gid = uid if is_root else os.getegid()
        cell = cls(uid, gid, False, "", root)
        if sys.platform != "linux":
            cell.problem = "only Linux has the means"
            return cell
        try:
            if is_root:
                linux.unshare(linux.CLONE_NEWNS)
            else:
                linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
                linux.map_own_ids(uid, gid)
            linux.make_mounts_private()
            _build_root(root, visible, hidden)
        except OSError as error:
            cell.problem = f"the system forbids it ({error.strerror})"
            return cell
        cell.is_closed = True
        return cell

    def enter(self, scratch: Path) -> Path:
        """In a child, the first of its PID namespace: shut the door. Returns the scratch folder's path inside.

        Raises: OSError when a part of it is forbidden.
        """
        if self.is_closed:
            linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS)
            linux.make_mounts_private()
            linux.mount_proc(self.root / "proc")
            linux.mount_tmpfs(self.root / "dev/shm", _SHM_OPTIONS)
            linux.bind(scratch, self.root / INSIDE.relative_to("/"))
            linux.bring_loopback_up()
            linux.enter_root(self.root)
            scratch = INSIDE
        self._drop_rights()
        os.chdir(scratch)
        return scratch

    def _drop_rights(self) -> None:
        if self.is_closed:  # else Chromium's sandbox may need its setuid program, which this forbids
            linux.bound_capabilities()
        if self.uid != os.geteuid():
            os.setgroups([])
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        if sys.platform == "linux":
            if self.is_closed:
                linux.drop_capabilities()
            linux.hide_memory()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = _MAX_OPEN_FILES if most == resource.RLIM_INFINITY else min(_MAX_OPEN_FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def _build_root(root: Path, visible: list[Path], hidden: list[Path]) -> None:
    linux.mount_tmpfs(root, "size=4m,mode=755")
    for path in map(Path, _SYSTEM):
        inside = root / path.relative_to("/")
        if path.is_symlink():
            inside.symlink_to(path.readlink())
        elif path.is_dir():
            _show(path, inside)
    shown: list[Path] = [Path(p) for p in _SYSTEM]
    # Under the name that is used and under the real one: a virtual environment may be a link.
    for path in sorted({p.resolve() for p in visible} | {p.absolute() for p in visible}):
        if path.is_dir() and not any(path.is_relative_to(p) for p in shown):
            _show(path, root / path.relative_to("/"))
            shown.append(path)
    for path in hidden:
        inside = root / path.resolve().relative_to("/")
        if inside.is_dir():
            linux.mount_tmpfs(inside, "size=4k,mode=000")
        elif inside.exists():
            linux.bind(Path("/dev/null"), inside)
    for name in ("proc", "dev/shm", "tmp/hands"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _DEVICES:
        (root / "dev" / name).touch()
        linux.bind(Path("/dev") / name, root / "dev" / name)
    (root / "dev/fd").symlink_to("/proc/self/fd")
    linux.make_read_only(root)


def _show(path: Path, inside: Path) -> None:
    inside.mkdir(parents=True, exist_ok=True)
    linux.bind(path, inside)
