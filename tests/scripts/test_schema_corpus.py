"""The schemas of the coverage benchmark are the same at every run, and nothing that is not pinned is read."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks import schema_corpus
from scripts.benchmarks.schema_corpus import Source, corpus
from scripts.benchmarks.schemas import grouped


def make_source(folder: Path, name: str, files: dict[str, Any], shared: str = "") -> Source:
    """A wheel in the cache, as if it had been fetched."""
    cache = folder / "herald" / "bench" / "schemas"
    cache.mkdir(parents=True, exist_ok=True)
    wheel = cache / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, json.dumps(content))
    return Source(name, f"{name}==1.0", hashlib.sha256(wheel.read_bytes()).hexdigest(), "MIT", "s", shared)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_a_wheel_that_is_not_the_pinned_one_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its digest and the next step are named."""
    source = make_source(cache, "a", {"s/x.json": {"properties": {}}})
    (cache / "herald/bench/schemas/a-1.0-py3-none-any.whl").write_bytes(b"another one")
    monkeypatch.setattr(schema_corpus, "SOURCES", (source,))
    with pytest.raises(SystemExit, match=r"expected .* Delete it"):
        corpus(5)


def test_sources_take_turns_and_what_is_no_schema_is_left_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, other folders and repeated texts are no schemas of the source; the order is that of the digests."""
    many = {f"s/{n}.json": {"properties": {str(n): {}}} for n in range(5)}
    other = {"s/data.json": {"rows": []}, "t/x.json": {"items": {}}, "s/list.json": [], "s/5.json": many["s/4.json"]}
    one = {"s/one.json": {"anyOf": []}}
    sources = (make_source(cache, "many", {**many, **other}), make_source(cache, "one", one))
    monkeypatch.setattr(schema_corpus, "SOURCES", sources)
    found = corpus(100)
    assert [schema.source for schema in found] == ["many", "one", "many", "many", "many", "many"]
    digests = [hashlib.sha256(schema.text.encode()).hexdigest() for schema in found if schema.source == "many"]
    assert digests == sorted(digests)
    assert corpus(2) == found[:2]


def test_shared_definitions_come_along_as_far_as_they_are_reached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One document with what it refers to, also from inside of a definition and in a circle."""
    shared = {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}, "c": {}}}
    files = {"s/defs.json": shared, "s/x.json": {"items": {"$ref": "/api/defs.json#/$defs/a"}}}
    monkeypatch.setattr(schema_corpus, "SOURCES", (make_source(cache, "a", files, "defs.json"),))
    (schema,) = corpus(5)
    assert json.loads(schema.text) == {
        "items": {"$ref": "#/$defs/a"},
        "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}},
    }


def test_reasons_are_grouped_without_what_is_particular() -> None:
    """The keyword counts, not the place and the value."""
    reasons = [
        "The finished output breaks its schema at $.a: [1, 1] has non-unique elements",
        "The finished output breaks its schema at $.b[0]: ['x', 'x'] has non-unique elements",
        "The finished output breaks its schema at $.c: 'x' is too strange",
    ]
    assert grouped(reasons) == [("uniqueItems", 2), ("… is too strange", 1)]
