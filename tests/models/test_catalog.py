"""The catalogue that ships is sound, and a wrong one is refused with the reason."""

from __future__ import annotations

import pytest

from models.catalog import HubSource, IndexSource, Kind, load_catalog, parse_catalog
from models.errors import CatalogError, UnknownModel

ENTRY = """
[[models]]
name = "{name}"
title = "T"
kind = "chat"
family = "f"
licence = "L"
context = 10
memory_bytes = 10
files = [{files}]
sources = [{sources}]
"""
ONE_FILE = '{ path = "a.gguf" }'


def entry(name: str = "m", files: str = ONE_FILE, sources: str = "") -> str:
    return ENTRY.format(name=name, files=files, sources=sources)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[models]", "cannot be read"),
        (entry(name="Bad Name"), "name"),
        (entry(files=""), "at least 1"),
        (entry(files='{ path = "../up" }'), "without '..'"),
        (entry(files='{ path = "/abs" }'), "relative path"),
        (entry(files='{ path = "a", sha256 = "123" }'), "sha256"),
        (entry(sources='{ type = "torrent" }'), "torrent"),
        (
            entry(
                files='{ path = "a" }, { path = "b" }',
                sources='{ type = "index", package = "p", version = "1", member = "m", parts = 2 }',
            ),
            "exactly one file",
        ),
        (entry() + entry(), "twice"),
    ],
)
def test_a_wrong_catalogue_is_refused(text: str, reason: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(CatalogError, match=reason):
        parse_catalog(text)


def test_an_unknown_name_lists_the_known() -> None:
    """A typing error is answered with the catalogue."""
    with pytest.raises(UnknownModel, match="smollm2-135m-instruct"):
        load_catalog().get("smollm3")


def test_the_shipped_catalogue_names_what_herald_needs() -> None:
    """The default, the test model, the embedding model, Llama and Mistral are there with their facts."""
    catalog = load_catalog()
    for name in ("qwen2.5-coder-1.5b-instruct", "qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct"):
        model = catalog.get(name)
        assert model.kind is Kind.CHAT
        assert model.licence == "Apache-2.0"
        assert all(file.sha256 and file.size_bytes for file in model.files)
        assert any(isinstance(source, IndexSource) for source in model.sources)
        assert model.memory_bytes > model.size_bytes
    assert catalog.get("all-minilm-l6-v2").dimensions == 384
    families = {model.family for model in catalog.models.values()}
    assert {"llama", "mistral"} <= families


def test_models_without_a_digest_have_a_hub_that_can_vouch() -> None:
    """An entry is pinned either here or at its first pull."""
    for model in load_catalog().models.values():
        has_hub = any(isinstance(source, HubSource) for source in model.sources)
        assert has_hub or all(file.sha256 for file in model.files), model.name
