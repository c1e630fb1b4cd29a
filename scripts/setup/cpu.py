"""Chooses the llama.cpp build options that this CPU can run and this compiler builds rightly."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

# CMake option → the /proc/cpuinfo flags that the code built with it needs. GGML_AVX512 stands for five of them.
_OPTIONS: tuple[tuple[str, frozenset[str]], ...] = (
    ("GGML_SSE42", frozenset({"sse4_2"})),
    ("GGML_AVX", frozenset({"avx"})),
    ("GGML_F16C", frozenset({"f16c"})),
    ("GGML_FMA", frozenset({"fma"})),
    ("GGML_AVX2", frozenset({"avx2"})),
    ("GGML_BMI2", frozenset({"bmi2"})),
    ("GGML_AVX_VNNI", frozenset({"avx_vnni"})),
    ("GGML_AVX512", frozenset({"avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"})),
    ("GGML_AVX512_VBMI", frozenset({"avx512vbmi"})),
    ("GGML_AVX512_VNNI", frozenset({"avx512_vnni"})),
    ("GGML_AVX512_BF16", frozenset({"avx512_bf16"})),
)
_AVX2_OPTIONS = frozenset({"GGML_SSE42", "GGML_AVX", "GGML_F16C", "GGML_FMA", "GGML_AVX2", "GGML_BMI2"})
# Parts of llama.cpp that the Python bindings do not load; they are almost half of the compiler's work.
_LEFT_OUT = ("-DLLAVA_BUILD=OFF", "-DLLAMA_BUILD_COMMON=OFF")
_NEEDS_AVX512 = frozenset({"GGML_AVX512_VBMI", "GGML_AVX512_VNNI", "GGML_AVX512_BF16"})


# What every x86 server and most desktops of the last ten years have: level 3 of the x86-64 psABI.
PORTABLE_FLAGS = frozenset({"sse4_2", "avx", "f16c", "fma", "avx2", "bmi2"})


class Build(StrEnum):
    """What ``HERALD_ENGINE_BUILD`` may be: for this CPU, for any of the last years (images), and that with CUDA."""

    NATIVE = "native"
    PORTABLE = "portable"
    CUDA = "cuda"


class Level(StrEnum):
    """How much of the CPU a build uses. When a decode crashes the next lower one is built."""

    TUNED = "tuned"
    AVX2 = "avx2"
    PLAIN = "plain"

    @property
    def safer(self) -> Level | None:
        """The next level down, or None below the safest."""
        order = list(Level)
        position = order.index(self)
        return order[position + 1] if position + 1 < len(order) else None


def read_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The first CPU's feature flags; empty where there are none to read (no x86, no /proc)."""
    try:
        text = cpuinfo.read_text("utf-8", "replace")
    except OSError:
        return frozenset()
    return parse_flags(text)


def parse_flags(cpuinfo_text: str) -> frozenset[str]:
    """The words of the first ``flags`` line of /proc/cpuinfo."""
    for line in cpuinfo_text.splitlines():
        name, _, words = line.partition(":")
        if name.strip() == "flags":
            return frozenset(words.split())
    return frozenset()


def enabled_options(flags: frozenset[str], level: Level) -> tuple[str, ...]:
    """The instruction sets to build with.

    AMX is never among them: GCC before 13 builds its tile configuration wrongly and the first decode crashes, and with
    a compiler that does it rightly the gain for one user is small.
    """
    if level is Level.PLAIN:
        return ()
    wanted = [name for name, needs in _OPTIONS if needs <= flags and (level is Level.TUNED or name in _AVX2_OPTIONS)]
    if "GGML_AVX512" not in wanted:
        wanted = [name for name in wanted if name not in _NEEDS_AVX512]
    return tuple(wanted)


def cmake_args(flags: frozenset[str], machine: str, level: Level) -> tuple[str, ...]:
    """CMake arguments for llama-cpp-python on ``machine`` (as ``platform.machine()`` says it).

    On x86 every option is written out, ON or OFF, so that the build does not depend on what CMake or the compiler
    would guess. Elsewhere the compiler's own guess is right, except at the plain level.
    """
    if machine not in {"x86_64", "AMD64"}:
        return (f"-DGGML_NATIVE={'OFF' if level is Level.PLAIN else 'ON'}", *_LEFT_OUT)
    enabled = enabled_options(flags, level)
    switches = tuple(f"-D{name}={'ON' if name in enabled else 'OFF'}" for name, _ in _OPTIONS)
    return ("-DGGML_NATIVE=OFF", *switches, *_LEFT_OUT)


def build_args(build: Build, flags: frozenset[str], machine: str, level: Level) -> tuple[str, ...]:
    """CMake arguments for a build that is run here, or elsewhere too.

    Which cards a CUDA build is for stays llama.cpp's own choice: with GGML_NATIVE off it takes all that the toolkit
    knows. Source: ggml/src/ggml-cuda/CMakeLists.txt.
    """
    if build is Build.NATIVE:
        return cmake_args(flags, machine, level)
    is_x86 = machine in {"x86_64", "AMD64"}
    portable = cmake_args(PORTABLE_FLAGS, machine, level) if is_x86 else cmake_args(flags, machine, Level.PLAIN)
    return (*portable, "-DGGML_CUDA=ON") if build is Build.CUDA else portable


def describe(flags: frozenset[str], machine: str, level: Level) -> str:
    """The build in a few words for the progress line, e.g. "AVX-512, VNNI, BF16"."""
    if machine not in {"x86_64", "AMD64"}:
        return f"{machine}, {level}"
    enabled = enabled_options(flags, level)
    names = {"GGML_AVX512_VNNI": "VNNI", "GGML_AVX512_BF16": "BF16", "GGML_AVX_VNNI": "AVX-VNNI"}
    head = (
        "AVX-512"
        if "GGML_AVX512" in enabled
        else "AVX2"
        if "GGML_AVX2" in enabled
        else "AVX"
        if "GGML_AVX" in enabled
        else "no AVX"
    )
    return ", ".join([head, *(word for name, word in names.items() if name in enabled)])
