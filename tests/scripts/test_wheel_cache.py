"""Only a wheel whose digest is right is handed out again."""

from __future__ import annotations

from pathlib import Path

from scripts.setup.engine import wheel_key
from scripts.setup.wheel_cache import WheelCache


def _wheel(folder: Path, content: bytes = b"wheel") -> Path:
    path = folder / "engine-1-py3-none-any.whl"
    path.write_bytes(content)
    return path


def test_an_altered_wheel_is_refused_and_removed(tmp_path: Path) -> None:
    """A cache that was damaged or tampered with costs a build, never a wrong one."""
    cache = WheelCache(tmp_path / "cache")
    cache.put("key", _wheel(tmp_path)).write_bytes(b"other")
    assert cache.get("key") is None
    assert not (tmp_path / "cache" / "key").exists()


def test_a_wheel_without_its_digest_is_refused(tmp_path: Path) -> None:
    """Nothing vouches for it."""
    (tmp_path / "cache" / "key").mkdir(parents=True)
    _wheel(tmp_path / "cache" / "key")
    assert WheelCache(tmp_path / "cache").get("key") is None


def test_a_stored_wheel_comes_back_with_its_name(tmp_path: Path) -> None:
    """pip reads the name, so it must stay."""
    cache = WheelCache(tmp_path / "cache")
    stored = cache.put("key", _wheel(tmp_path))
    assert cache.get("key") == stored
    assert stored.name == "engine-1-py3-none-any.whl"
    assert stored.read_bytes() == b"wheel"


def test_storing_twice_keeps_the_first_and_leaves_no_scraps(tmp_path: Path) -> None:
    """Two set-ups that built the same wheel agree on one."""
    cache = WheelCache(tmp_path / "cache")
    cache.put("key", _wheel(tmp_path))
    assert cache.put("key", _wheel(tmp_path, b"built again")).read_bytes() == b"wheel"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key"]


def test_everything_that_makes_a_build_differ_is_in_its_key() -> None:
    """Version, machine, compiler and options each give another key."""
    base = ("0.3.36", "x86_64", "c++ 12.2.0", ("-DGGML_AVX2=ON",))
    others = [
        ("0.3.37", *base[1:]),
        ("0.3.36", "aarch64", *base[2:]),
        ("0.3.36", "x86_64", "c++ 13.1.0", base[3]),
        (*base[:3], ("-DGGML_AVX2=OFF",)),
    ]
    assert wheel_key(*base) not in {wheel_key(*other) for other in others}
    assert wheel_key(*base) == wheel_key(*base)
