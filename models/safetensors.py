"""A model as vLLM loads it: the safetensors, tokenizer and configuration of its hub repository, in a folder beside.

The repository's commit and its files' digests are written down at the first pull (``.manifest.json``); from then on
that commit is this model here, whatever its branch becomes. Layout: ``<models>/<name>-safetensors/``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import ValidationError

from models import sources, verify
from models.catalog import HubSource, Model, ModelFile
from models.errors import CatalogError, ModelMissing, NoSourceReachable, SourceUnavailable
from models.fetch import locate, pull
from models.home import hub_url, models_dir

MANIFEST = ".manifest.json"
# Not the second copy of the weights that Mistral and Meta put beside (consolidated, original), nor pictures.
_WANTED = re.compile(
    r"(model[^/]*\.safetensors|[^/]*\.json|[^/]*\.jinja|tokenizer\.model[^/]*|tekken\.json|merges\.txt|vocab\.txt|LICENSE[^/]*)"
)
_UNWANTED = re.compile(r"consolidated|params\.json")


def pull_safetensors(model: Model, *, root: Path | None = None) -> Path:
    """Make the folder be here, every file verified, and return it.

    Raises: CatalogError (there are none), NoSourceReachable, NotEnoughDisk, PullInProgress.
    """
    root = root or models_dir()
    snapshot = read_manifest(model, root)
    if snapshot is None:
        snapshot = _ask_hub(model)
        folder = root / snapshot.name
        folder.mkdir(parents=True, exist_ok=True)
        verify.write_json(folder / MANIFEST, snapshot.model_dump(mode="json"))
    return pull(snapshot, root=root)


def locate_safetensors(model: Model, root: Path | None = None) -> Path:
    """The folder, verified. Raises: ModelMissing, DigestMismatch, DigestUnknown."""
    root = root or models_dir()
    snapshot = read_manifest(model, root)
    if snapshot is None:
        raise ModelMissing(
            f"The safetensors of {model.name} are not here. Get them: herald models pull {model.name} --safetensors"
        )
    return locate(snapshot, root)


def read_manifest(model: Model, root: Path | None = None) -> Model | None:
    """What was written down at the first pull; None before it, or when that was damaged."""
    path = (root or models_dir()) / f"{model.name}-safetensors" / MANIFEST
    try:
        return Model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None


def _ask_hub(model: Model) -> Model:
    wanted = model.safetensors
    if wanted is None:
        raise CatalogError(
            f"The catalogue names no safetensors of {model.name}. ./scripts/vllm install --model {model.name} makes "
            "some from its GGUF, or set HERALD_VLLM_MODEL to a folder of your own."
        )
    source = HubSource(type="hub", repo=wanted.repo, revision=wanted.revision)
    try:
        commit, listed = sources.hub_listing(hub_url(), source)
    except SourceUnavailable as error:
        raise NoSourceReachable(f"The safetensors of {model.name} cannot be pulled: {error}.") from error
    files: list[ModelFile] = [
        file for file in listed if _WANTED.fullmatch(file.path) and not _UNWANTED.search(file.path)
    ]
    if not any(file.path.endswith(".safetensors") for file in files):
        raise NoSourceReachable(f"{wanted.repo} holds no model*.safetensors at its revision {wanted.revision}.")
    return model.model_copy(
        update={
            "name": f"{model.name}-safetensors",
            "title": f"{model.title}, safetensors",
            "files": tuple(files),
            "sources": (source.model_copy(update={"revision": commit}),),
            "safetensors": None,
        }
    )
