"""Brings a model's files here: tries its sources in order, verifies SHA-256, and only then gives the final name.

Owns the layout of the models folder::

    <models>/<name>/<files>          verified files only
    <models>/<name>/.verified.json   what was verified, see verify.py
    <models>/.staging/<name>/        downloads in progress, resumed by the next pull
    <models>/.locks/<name>.lock      held while a process pulls
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models import sources, verify
from models.catalog import FileSource, HubSource, IndexSource, Model, ModelFile, Source
from models.errors import (
    AccessDenied,
    DigestMismatch,
    DigestUnknown,
    ModelMissing,
    NoSourceReachable,
    NotEnoughDisk,
    PullInProgress,
    SourceUnavailable,
)
from models.home import hub_url, models_dir
from models.progress import Progress, human_size

# Parts are joined into a second copy before they are deleted, and a little room is left for everybody else.
SPARE_BYTES = 200_000_000


def path_of(model: Model, root: Path | None = None) -> Path:
    """Where the model lives when it is here: its one file, or the folder of its files."""
    folder = (root or models_dir()) / model.name
    return folder if model.is_folder else folder / model.files[0].path


def is_present(model: Model, root: Path | None = None) -> bool:
    """Whether all files are at their final names (cheap: contents are not read)."""
    folder = (root or models_dir()) / model.name
    return all((folder / file.path).is_file() for file in model.files)


def locate(model: Model, root: Path | None = None) -> Path:
    """The model's path, with every file verified: hashed unless its marker says that it was and has not changed.

    Raises: ModelMissing, DigestMismatch, DigestUnknown.
    """
    root = root or models_dir()
    for file in model.files:
        path = root / model.name / file.path
        if not path.is_file():
            raise ModelMissing(f"The model {model.name} is not here ({path}). Get it: herald models pull {model.name}")
        if verify.is_marked(root, model, file):
            continue
        expected = verify.pinned_digest(root, model, file)
        if expected is None:
            raise DigestUnknown(_no_digest(model, file))
        try:
            verify.check(path, file, expected)
        except DigestMismatch as error:
            raise DigestMismatch(
                f"{error} The file is damaged or was replaced: delete {path} and run herald models pull {model.name}"
            ) from error
        verify.mark(root, model, file, expected)
    return path_of(model, root)


def pull(model: Model, *, root: Path | None = None, local: Path | None = None) -> Path:
    """Make the model be here and return its path; does nothing when it is. ``local`` is a file or folder to try first.

    Raises: NoSourceReachable, DigestUnknown, NotEnoughDisk, PullInProgress.
    """
    root = root or models_dir()
    try:
        (root / model.name).mkdir(parents=True, exist_ok=True)
        with _lock(root, model):
            job = _Job(model, root, _sources(model, local), Progress(model.name, model.size_bytes))
            is_complete = all(verify.is_marked(root, model, file) for file in model.files)
            for file in model.files:
                _pull_file(job, file)
            shutil.rmtree(job.staging, ignore_errors=True)
            if not is_complete:
                total = sum((root / model.name / file.path).stat().st_size for file in model.files)
                job.progress.say(f"ready, {human_size(total)}, SHA-256 verified")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NotEnoughDisk(
                f"The disk filled up while pulling {model.name} into {root}. Free some space or point "
                "HERALD_MODELS_DIR at a larger disk, then pull again: what has arrived is kept."
            ) from error
        raise
    return path_of(model, root)


@dataclass(slots=True)
class _Job:
    """One pull: what is fetched, from where, and which sources have already failed to answer."""

    model: Model
    root: Path
    sources: list[Source]
    progress: Progress
    failures: dict[int, str] = field(default_factory=dict)
    is_denied: bool = False

    @property
    def staging(self) -> Path:
        return self.root / ".staging" / self.model.name


def _pull_file(job: _Job, file: ModelFile) -> None:
    model, root, progress = job.model, job.root, job.progress
    final = root / model.name / file.path
    if final.is_file() and (verify.is_marked(root, model, file) or _is_intact(job, file, final)):
        return
    _require_disk(model, file, root)
    job.staging.mkdir(parents=True, exist_ok=True)
    partial = job.staging / (file.path.replace("/", "__") + ".partial")
    for number, source in enumerate(job.sources):
        if number in job.failures:
            continue  # it did not deliver an earlier file of this model; asking again costs a timeout each time
        try:
            expected, known = _expected_digest(model, file, source, root)
            if known.size_bytes and not model.is_folder:
                progress.set_total(known.size_bytes)
            progress.announce(source.describe())
            _fetch(source, model, known, job.staging, partial, progress)
            expected = expected or verify.check_git_blob(partial, known)
            verify.check(partial, known, expected)
        except (DigestMismatch, SourceUnavailable) as error:
            if isinstance(error, DigestMismatch):
                # What this source delivered is not the model: nothing of it may be resumed by another.
                partial.unlink(missing_ok=True)
            job.failures[number] = f"{source.describe()}: {error}"
            job.is_denied = job.is_denied or isinstance(error, AccessDenied)
            progress.say(f"{error}; trying the next source")
            continue
        if file.sha256 is None:
            verify.pin_digest(root, model, file, expected)
        final.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(final)
        verify.mark(root, model, file, expected)
        return
    listed = "\n  - ".join(job.failures.values()) or "it has no sources"
    todo = "Get access" if job.is_denied else "Check the network"
    raise NoSourceReachable(
        f"No source could deliver {model.name}/{file.path}:\n  - {listed}\n{todo} and pull again (it "
        f"resumes), or give a copy: herald models pull {model.name} --from PATH"
    )


def _is_intact(job: _Job, file: ModelFile, final: Path) -> bool:
    """Whether an unmarked file at the final name is what it should be; one that is not is removed."""
    expected = verify.pinned_digest(job.root, job.model, file)
    if expected is None:
        return False
    try:
        verify.check(final, file, expected)
    except DigestMismatch as error:
        job.progress.say(f"{error} Fetching it again.")
        final.unlink()
        return False
    verify.mark(job.root, job.model, file, expected)
    return True


def _sources(model: Model, local: Path | None) -> list[Source]:
    first: list[Source] = [FileSource(type="file", path=str(local))] if local is not None else []
    return [*first, *model.sources]


def _expected_digest(model: Model, file: ModelFile, source: Source, root: Path) -> tuple[str | None, ModelFile]:
    """The digest to demand (None: git's own decides), and the file with its size when the hub has just named it.

    Only the hub repository that the catalogue names can vouch for a file without a digest, whoever delivers it.
    """
    pinned = verify.pinned_digest(root, model, file)
    if pinned is not None:
        return pinned, file
    if file.git_blob is not None:
        return None, file
    voucher = source if isinstance(source, HubSource) else _hub_source(model)
    if voucher is None:
        raise DigestUnknown(_no_digest(model, file))
    try:
        digest, size_bytes = sources.hub_digest(hub_url(), voucher, file)
    except SourceUnavailable as error:
        if voucher is source:
            raise
        raise DigestUnknown(f"{_no_digest(model, file)} The hub does not answer now: {error}") from error
    return digest, file.model_copy(update={"size_bytes": size_bytes})


def _hub_source(model: Model) -> HubSource | None:
    return next((source for source in model.sources if isinstance(source, HubSource)), None)


def _fetch(source: Source, model: Model, file: ModelFile, staging: Path, partial: Path, progress: Progress) -> None:
    match source:
        case HubSource():
            sources.fetch_from_hub(hub_url(), source, file, partial, progress)
        case IndexSource():
            sources.fetch_from_index(source, file, staging, partial, progress)
        case FileSource():
            sources.fetch_from_file(source, file, partial, progress, is_folder=model.is_folder)


def _require_disk(model: Model, file: ModelFile, root: Path) -> None:
    has_parts = any(isinstance(source, IndexSource) for source in model.sources)
    needed_bytes = file.size_bytes * (2 if has_parts else 1) + SPARE_BYTES
    free_bytes = shutil.disk_usage(root).free
    if free_bytes < needed_bytes:
        raise NotEnoughDisk(
            f"Pulling {model.name} needs {human_size(needed_bytes)} on the disk of {root}, {human_size(free_bytes)} "
            "are free. Free some space or point HERALD_MODELS_DIR at a larger disk."
        )


def _no_digest(model: Model, file: ModelFile) -> str:
    return (
        f"No SHA-256 is known for {model.name}/{file.path}, so no copy of it can be trusted. Pull it once from its "
        f"hub repository (herald models pull {model.name}), which publishes the digest, or add sha256 to its entry in "
        "models/catalog.toml."
    )


@contextmanager
def _lock(root: Path, model: Model) -> Iterator[None]:
    """Hold the model's lock; the kernel releases it when the process dies, however it dies."""
    path = root / ".locks" / f"{model.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullInProgress(
                f"Another process is pulling {model.name} into {root}. Wait for it to end, then try again."
            ) from None
        yield
