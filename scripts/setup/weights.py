"""Fetches the models that a start needs, through the product's ``models`` package, which verifies each by SHA-256."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from scripts.setup.box import Box
from scripts.setup.commands import as_it_is, run_logged
from scripts.setup.errors import SetupError, last_lines, next_step
from scripts.setup.settings_seen import dotenv_text, environment_settings
from scripts.setup.state import fingerprint

# Run in the environment: the product alone decides what its settings mean.
_WANTED = """
import json, sys
from app.errors import AppError
from app.settings import load_settings
from inference.config import InferenceSettings
try:
    settings = load_settings()
except AppError as error:
    sys.exit(error.message)
# vLLM has a form of its own of the language model, and a provider's is nowhere here.
chat = [settings.model] if InferenceSettings().inference_backend == "llama_cpp" else []
print(json.dumps([] if settings.inference_url else [*chat, settings.embedding_model]))
"""


def fetch_models(box: Box) -> Path | None:
    """Fetch the configured models and those of ``box.models``.

    Returns: the smallest language model's file, for a trial of the engine; None when inference is elsewhere.
    """
    inputs = fingerprint(
        environment_settings(), dotenv_text(box.root), (box.root / "models" / "catalog.toml").read_text("utf-8")
    )
    files = {name: (path, size) for name, path, size in box.state.note("models", "files") or ()}
    is_fresh = box.state.is_done("models", inputs)
    if is_fresh and set(box.models) <= set(files) and all(_has_size(path, size) for path, size in files.values()):
        return _smallest(files)
    box.progress.begin("Fetching the models")
    names = list(dict.fromkeys([*_wanted(box), *box.models]))
    box.log("models").unlink(missing_ok=True)
    files = {name: _pull(box, name) for name in names}
    box.state.finish("models", inputs, files=[(name, path, size) for name, (path, size) in files.items()])
    box.progress.done(f"Models: {', '.join(names)}" if names else "Models: none, HERALD_INFERENCE_URL serves them")
    return _smallest(files)


def _wanted(box: Box) -> list[str]:
    answer = subprocess.run([str(box.python), "-c", _WANTED], cwd=box.root, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines() or ["no reason was given"]
        raise SetupError(
            f"The settings cannot be read: {lines[-1]}",
            "Correct it in the environment or in .env; .env.example lists every setting.",
        )
    return json.loads(answer.stdout)


def _pull(box: Box, name: str) -> tuple[str, int]:
    box.progress.begin(f"Fetching {name}")
    log = box.log("models")
    argv: list[str | Path] = [box.python, "-m", "models", "pull", name]
    if run_logged(argv, log, box.progress, cwd=box.root, detail=as_it_is) != 0:
        raise SetupError(
            f"The model {name} could not be fetched: {(last_lines(log, 1) or ['no reason was given'])[0].strip()}",
            next_step(
                log,
                "Mend the cause and run the same command again: it goes on where it stopped. "
                f"A copy on this machine is taken with .venv/bin/python -m models pull {name} --from PATH",
            ),
            log,
        )
    path = Path(last_lines(log, 1)[0].strip())
    return str(path), _size_of(path)


def _size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


def _has_size(path: str, size: int) -> bool:
    try:
        return _size_of(Path(path)) == size > 0
    except OSError:
        return False


def _smallest(files: dict[str, tuple[str, int]]) -> Path | None:
    weights = [(size, path) for path, size in files.values() if path.endswith(".gguf")]
    return Path(min(weights)[1]) if weights else None
