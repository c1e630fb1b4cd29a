"""Build options follow from what /proc/cpuinfo says, and never ask for more than the CPU has."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.setup.cpu import Build, Level, build_args, cmake_args, describe, enabled_options, parse_flags, read_flags

_SAPPHIRE_RAPIDS = (
    "fpu sse4_1 sse4_2 fma f16c avx avx2 bmi1 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx_vnni avx512_bf16 "
    "avx512vbmi avx512_vbmi2 avx512_vnni avx512_fp16 amx_bf16 amx_tile amx_int8"
)
_HASWELL = "fpu sse4_1 sse4_2 fma f16c avx avx2 bmi1 bmi2"
_KNIGHTS_LANDING = "fpu sse4_2 fma f16c avx avx2 bmi2 avx512f avx512cd avx512er avx512pf"
_CORE_2 = "fpu sse sse2 ssse3 sse4_1"


def _cpuinfo(flags: str) -> str:
    block = f"processor\t: 0\nmodel name\t: A CPU\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n"
    return block + "\n" + block.replace("processor\t: 0", "processor\t: 1")


def test_never_builds_with_amx_even_where_the_cpu_has_it() -> None:
    """GCC 12 builds AMX code that crashes at the first decode."""
    arguments = cmake_args(parse_flags(_cpuinfo(_SAPPHIRE_RAPIDS)), "x86_64", Level.TUNED)
    assert not [a for a in arguments if "AMX" in a]
    assert "-DGGML_NATIVE=OFF" in arguments


def test_writes_every_option_out_so_that_nothing_is_guessed() -> None:
    """CMake turns AVX2 and others on by default, so what a CPU lacks must be switched off in words."""
    arguments = cmake_args(parse_flags(_cpuinfo(_CORE_2)), "x86_64", Level.TUNED)
    for name in ("SSE42", "AVX", "AVX2", "FMA", "F16C", "BMI2", "AVX512", "AVX512_VNNI", "AVX_VNNI"):
        assert f"-DGGML_{name}=OFF" in arguments


def test_uses_all_that_a_new_server_cpu_has() -> None:
    """AVX-512 with VBMI, VNNI and BF16 are switched on where the CPU lists them."""
    arguments = cmake_args(parse_flags(_cpuinfo(_SAPPHIRE_RAPIDS)), "x86_64", Level.TUNED)
    for name in ("AVX2", "FMA", "F16C", "BMI2", "AVX512", "AVX512_VBMI", "AVX512_VNNI", "AVX512_BF16", "AVX_VNNI"):
        assert f"-DGGML_{name}=ON" in arguments


def test_a_cpu_with_avx512f_alone_gets_avx2() -> None:
    """ggml's AVX-512 code needs five of its parts; Knights Landing has two."""
    enabled = enabled_options(parse_flags(_cpuinfo(_KNIGHTS_LANDING)), Level.TUNED)
    assert "GGML_AVX2" in enabled
    assert not [name for name in enabled if "AVX512" in name]


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("flags", [_SAPPHIRE_RAPIDS, _HASWELL, _KNIGHTS_LANDING, _CORE_2, ""])
def test_no_level_asks_for_more_than_the_one_above(flags: str, level: Level) -> None:
    """Falling back is only ever towards fewer instructions."""
    if level.safer is not None:
        known = parse_flags(_cpuinfo(flags))
        assert set(enabled_options(known, level.safer)) <= set(enabled_options(known, level))


def test_levels_end_at_the_plain_build() -> None:
    """tuned, then AVX2, then plain, then nothing."""
    assert [level.safer for level in Level] == [Level.AVX2, Level.PLAIN, None]
    assert enabled_options(parse_flags(_cpuinfo(_SAPPHIRE_RAPIDS)), Level.PLAIN) == ()


def test_other_machines_are_left_to_the_compiler() -> None:
    """On ARM the compiler's own guess is right; x86 options would only warn."""
    assert cmake_args(frozenset(), "aarch64", Level.TUNED)[0] == "-DGGML_NATIVE=ON"
    assert not [a for a in cmake_args(frozenset(), "aarch64", Level.TUNED) if "AVX" in a]
    assert cmake_args(frozenset(), "aarch64", Level.PLAIN)[0] == "-DGGML_NATIVE=OFF"


def test_a_missing_cpuinfo_means_no_flags(tmp_path: Path) -> None:
    """No /proc is no error: the plainest build is made."""
    assert read_flags(tmp_path / "absent") == frozenset()


def test_describes_the_build_in_a_few_words() -> None:
    """The progress line says what the build uses."""
    assert describe(parse_flags(_cpuinfo(_HASWELL)), "x86_64", Level.TUNED) == "AVX2"
    assert describe(parse_flags(_cpuinfo(_SAPPHIRE_RAPIDS)), "x86_64", Level.TUNED).startswith("AVX-512, VNNI")
    assert describe(parse_flags(_cpuinfo(_CORE_2)), "x86_64", Level.TUNED) == "no AVX"


def test_a_build_for_images_asks_for_no_more_than_avx2() -> None:
    """Whatever the building machine has; with CUDA it is the same and CUDA besides."""
    flags = parse_flags(_cpuinfo(_SAPPHIRE_RAPIDS))
    portable = build_args(Build.PORTABLE, flags, "x86_64", Level.TUNED)
    assert {"-DGGML_AVX2=ON", "-DGGML_AVX512=OFF", "-DGGML_NATIVE=OFF"} <= set(portable)
    assert build_args(Build.PORTABLE, frozenset(), "x86_64", Level.TUNED) == portable
    assert build_args(Build.CUDA, flags, "x86_64", Level.TUNED) == (*portable, "-DGGML_CUDA=ON")
    assert build_args(Build.PORTABLE, frozenset(), "aarch64", Level.TUNED)[0] == "-DGGML_NATIVE=OFF"
    assert build_args(Build.NATIVE, flags, "x86_64", Level.TUNED) == cmake_args(flags, "x86_64", Level.TUNED)
