"""Builds llama-cpp-python for this CPU, keeps the wheel, and proves by a decode that the build runs here."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from scripts.setup import cpu, system_packages
from scripts.setup.box import Box, cache_home
from scripts.setup.commands import run_logged
from scripts.setup.cpu import Build, Level
from scripts.setup.errors import SetupError, last_lines, next_step
from scripts.setup.settings_seen import setting
from scripts.setup.state import fingerprint
from scripts.setup.wheel_cache import WheelCache, sha256_of

_PACKAGE = "llama-cpp-python"
# The bindings' build forces this library on, which nothing of theirs loads; CMake reads this after that and before use.
# Source: CMake's manual, CMAKE_PROJECT_<PROJECT-NAME>_INCLUDE.
_OVERRIDES = 'set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)\n'
# What an instruction that the CPU lacks, or a miscompiled one, looks like from outside.
_CRASHES = {signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGTRAP}


def install_engine(box: Box) -> None:
    """Install the build for this CPU, at the level that an earlier trial found to run."""
    level = _level_for(box)
    while not box.state.is_done("engine", inputs := _inputs(box, level)):
        try:
            _install(box, level, inputs)
        except SetupError as error:
            safer = level.safer
            if safer is None or not _is_option_unknown(error):
                raise
            _remember(box, safer)
            level = safer


def prove_engine(box: Box, model: Path) -> None:
    """Decode a few tokens of ``model`` in a child process; on a crash build the next safer level and try again.

    Raises: SetupError when even the safest build crashes, or the trial fails for another reason.
    """
    level = _level_for(box)
    while True:
        inputs = fingerprint(_inputs(box, level), box.state.note("engine", "wheel"), str(model), model.stat().st_size)
        if box.state.is_done("trial", inputs):
            return
        box.progress.begin("Trying the engine on this CPU")
        log = box.log("trial")
        log.unlink(missing_ok=True)
        status = run_logged([box.python, "-m", "scripts.setup.try_engine", model], log, box.progress, cwd=box.root)
        if status == 0:
            box.state.finish("trial", inputs)
            box.progress.done(f"The engine decodes on this machine ({_words(box, level)})")
            return
        if status not in {-crash for crash in _CRASHES}:
            raise SetupError("The engine could not decode a few tokens.", next_step(log, "Read the log."), log)
        safer = level.safer
        if safer is None:
            raise SetupError(
                f"llama.cpp crashes on this CPU ({signal.Signals(-status).name}) even in its plainest build.",
                "Please report it with the log and the output of `lscpu`.", log,
            )  # fmt: skip
        _remember(box, safer)
        level = safer
        _install(box, level, _inputs(box, level))


def tune_engine(box: Box) -> None:
    """Measure what is fastest on this CPU with the configured model; a failure costs speed, not the start."""
    files = box.state.note("models", "files")
    inputs = fingerprint(box.state.note("engine", "wheel"), files)
    if not files or box.state.is_done("tuning", inputs):
        return
    box.progress.begin("Measuring what is fastest on this CPU")
    log = box.log("tuning")
    log.unlink(missing_ok=True)
    if run_logged([box.python, "-m", "inference.tuning"], log, box.progress, cwd=box.root) == 0:
        box.progress.done(f"Fastest on this CPU: {last_lines(log, 1)[0].strip()}")
    else:
        box.progress.done(f"What is fastest could not be measured, the usual way is taken; see {log}")
    box.state.finish("tuning", inputs)


def _is_option_unknown(error: SetupError) -> bool:
    """Whether the compiler is too old to know an instruction set that the CPU has."""
    return error.log is not None and any("unrecognized command" in line for line in last_lines(error.log, 400))


def _build_kind(box: Box) -> Build:
    """What HERALD_ENGINE_BUILD asks for. Raises: SetupError."""
    chosen = setting(box.root, "HERALD_ENGINE_BUILD") or Build.NATIVE
    try:
        return Build(chosen)
    except ValueError:
        raise SetupError(
            f"HERALD_ENGINE_BUILD is {chosen!r}, allowed are {', '.join(Build)}.", "Correct it or unset it."
        ) from None


def _words(box: Box, level: Level) -> str:
    kind = _build_kind(box)
    flags = cpu.read_flags() if kind is Build.NATIVE else cpu.PORTABLE_FLAGS
    words = cpu.describe(flags, platform.machine(), level)
    return {Build.NATIVE: f"for this CPU: {words}", Build.PORTABLE: words, Build.CUDA: f"CUDA, {words}"}[kind]


def _arguments(box: Box, level: Level) -> tuple[str, ...]:
    return cpu.build_args(_build_kind(box), cpu.read_flags(), platform.machine(), level)


def _inputs(box: Box, level: Level) -> str:
    return fingerprint(box.pinned(_PACKAGE), _arguments(box, level))


def _install(box: Box, level: Level, inputs: str) -> None:
    log_name = "engine"
    box.progress.begin(f"Looking for a built {_PACKAGE}")
    box.log(log_name).unlink(missing_ok=True)
    compiler = _compiler(box)
    version = box.pinned(_PACKAGE)
    arguments = _arguments(box, level)
    key = wheel_key(version, platform.machine(), compiler, arguments)
    cache = WheelCache(cache_home() / "wheels")
    wheel = cache.get(key)
    was_kept = wheel is not None
    if wheel is None:
        box.progress.begin(f"Building {_PACKAGE} ({_words(box, level)}; takes minutes)")
        wheel = _build(box, version, arguments, cache, key, log_name)
    box.state.begin("engine")
    box.pip(
        "install",
        "--force-reinstall",
        "--no-deps",
        wheel,
        log_name=log_name,
        what=f"The built {_PACKAGE} could not be installed",
    )
    box.state.finish("engine", inputs, wheel=sha256_of(wheel))
    box.progress.done(f"{_PACKAGE} {version} ({_words(box, level)}){', built before' if was_kept else ''}")


def _build(box: Box, version: str, arguments: tuple[str, ...], cache: WheelCache, key: str, log_name: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="herald-wheel-") as folder:
        overrides = Path(folder) / "overrides.cmake"
        overrides.write_text(_OVERRIDES, "utf-8")
        # --no-cache-dir: pip keeps wheels under the name of their source alone, blind to CMAKE_ARGS, and would hand
        # out a build for other options.
        box.pip(
            "wheel", "-v", "--no-cache-dir", "--no-deps", "--no-binary", _PACKAGE,
            "-w", folder, f"{_PACKAGE}=={version}",
            log_name=log_name, what=f"{_PACKAGE} {version} could not be built", detail=build_step,
            env={
                "CMAKE_ARGS": " ".join([*arguments, f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={overrides}"]),
                "CMAKE_BUILD_PARALLEL_LEVEL": str(_parallel_jobs()),
            },
        )  # fmt: skip
        return cache.put(key, next(Path(folder).glob("*.whl")))


def build_step(line: str) -> str:
    """Ninja's "[153/262] c++ …" as "153 of 262"; nothing for other lines."""
    found = re.match(r"\[(\d+)/(\d+)\]", line)
    return f"{found[1]} of {found[2]}" if found else ""


def wheel_key(version: str, machine: str, compiler: str, arguments: tuple[str, ...]) -> str:
    """The cache key of a build: everything that makes one wheel unlike another."""
    digest = hashlib.sha256("\n".join([version, machine, compiler, *arguments]).encode()).hexdigest()
    return f"llama_cpp_python-{version}-{digest[:20]}"


def _parallel_jobs() -> int:
    """As many compilers as there are CPUs, but no more than memory holds at 1.5 GB each."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory_bytes // 1_500_000_000))


def _compiler(box: Box) -> str:
    """The compilers' own words about themselves; the one for C++ is installed if there is none and this is root."""
    name = os.environ.get("CXX", "c++")
    if not (shutil.which(name.split()[0]) and shutil.which(os.environ.get("CC", "cc").split()[0])):
        system_packages.install(
            box,
            ["build-essential"],
            what="There is no C and C++ compiler, which llama-cpp-python needs",
            log_name="engine",
        )
    try:
        answer = subprocess.run([*name.split(), "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(
            f"The C++ compiler {name!r} does not run: {error}.", "Install build-essential, or set CC and CXX."
        ) from None
    words = answer.stdout.splitlines()[0]
    return f"{words}, {_cuda_compiler()}" if _build_kind(box) is Build.CUDA else words


def _cuda_compiler() -> str:
    """The last line of what nvcc says of itself, with its version. Raises: SetupError."""
    path = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if path is None:
        raise SetupError(
            "HERALD_ENGINE_BUILD is cuda, and NVIDIA's compiler nvcc is neither on PATH nor in /usr/local/cuda/bin.",
            "Install the CUDA toolkit, version 12.4 or newer, or unset HERALD_ENGINE_BUILD.",
        )
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return (answer.stdout.strip().splitlines() or ["nvcc"])[-1]


def _level_file() -> Path:
    return cache_home() / "engine-level"


def _level_for(box: Box) -> Level:
    """The level that runs on this CPU as far as is known: a crash is not met twice."""
    try:
        kept_level, kept_cpu = _level_file().read_text("utf-8").split()
        if kept_cpu == _cpu_mark(box):
            return Level(kept_level)
    except (OSError, ValueError):
        pass
    return Level.TUNED


def _remember(box: Box, level: Level) -> None:
    _level_file().parent.mkdir(parents=True, exist_ok=True)
    _level_file().write_text(f"{level} {_cpu_mark(box)}\n", "utf-8")


def _cpu_mark(box: Box) -> str:
    return fingerprint(sorted(cpu.read_flags()), box.pinned(_PACKAGE))[:16]
