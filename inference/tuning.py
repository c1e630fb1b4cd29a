"""Which of llama.cpp's ways of computing is fastest here, measured once for a model and kept beside its weights.

``python -m inference.tuning MODEL`` measures and writes ``tuning.json`` into the model's folder. Each way is measured
in a process of its own, so that one that crashes is only not chosen. Without the file, or with one of another engine or
processor, llama.cpp's defaults are used.
"""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from inference.config import InferenceSettings, physical_cores, processor_name
from models.catalog import load_catalog
from models.errors import ModelError
from models.fetch import locate

log = logging.getLogger(__name__)

FILE_NAME = "tuning.json"
# A turn of one person: a prompt of which most is cached, and an answer. Decoding weighs most.
PROMPT_TOKENS = 128
ANSWER_TOKENS = 96
MEASURED_STEPS = 24
ROUNDS = 2
MEASURE_TIMEOUT_S = 180
# Less is noise, and a default that many use is the better known ground.
WORTHWHILE = 0.93


@dataclass(frozen=True, slots=True)
class Tuning:
    """``repacks``: weights are laid out for this CPU's vector units when they are loaded. ``flash_attention``: None
    leaves the choice to llama.cpp."""

    repacks: bool = True
    flash_attention: bool | None = None


CANDIDATES = (Tuning(), Tuning(repacks=False), Tuning(flash_attention=False))


def machine() -> dict[str, str]:
    """What a measurement holds for: the engine's version and the processor."""
    return {"engine": version("llama-cpp-python"), "processor": processor_name(), "cores": str(physical_cores())}


def load_tuning(model: Path) -> Tuning:
    """What was measured for the model of this file on this machine; the defaults when nothing was."""
    path = model.with_name(FILE_NAME)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["machine"] != machine():
            return Tuning()
        return Tuning(**kept["chosen"])
    except FileNotFoundError:
        return Tuning()
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is not used: %s", path, error)
        return Tuning()


def choose(seconds: dict[Tuning, float]) -> Tuning:
    """The fastest, when it is clearly faster than the default; a default that could not be measured is never kept."""
    if not seconds:
        return Tuning()
    best = min(seconds, key=lambda tuning: seconds[tuning])
    default_s = seconds.get(Tuning())
    return best if default_s is None or seconds[best] < WORTHWHILE * default_s else Tuning()


def measure(model: Path, tuning: Tuning) -> float:
    """Seconds of a person's turn with this model, computed this way."""
    from inference.backends.base import Span
    from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions

    options = LoadOptions(
        path=model, model=model.stem, threads=physical_cores(), context_tokens=512, cell_count=1024, slot_count=8,
        tuning=tuning,
    )  # fmt: skip
    backend = LlamaCppBackend(options)
    prompt = [100 + number for number in range(PROMPT_TOKENS)]
    prompts_s = []
    for _ in range(2):
        backend.clear()
        started_at_s = time.perf_counter()
        backend.decode([Span(0, 0, prompt, 1)])
        prompts_s.append(time.perf_counter() - started_at_s)
    steps_s = []
    for number in range(MEASURED_STEPS):
        started_at_s = time.perf_counter()
        backend.decode([Span(0, PROMPT_TOKENS + number, [200 + number], 1)])
        steps_s.append(time.perf_counter() - started_at_s)
    backend.close()
    return min(prompts_s) + ANSWER_TOKENS * statistics.median(steps_s)


def measure_apart(model: Path, tuning: Tuning) -> float | None:
    """The same in a child process; None when it ends badly or takes far too long."""
    command = [sys.executable, "-m", "inference.tuning", "--measure", str(model), json.dumps(asdict(tuning))]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=MEASURE_TIMEOUT_S, check=True)  # noqa: S603
        return float(answer.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError):
        return None


def tune(model: Path) -> Tuning:
    """Measure all ways in turns, keep and return the chosen one. Raises: OSError when it cannot be kept."""
    seconds: dict[Tuning, float] = {}
    for round_number in range(ROUNDS):
        for tuning in CANDIDATES:
            if round_number and tuning not in seconds:
                continue
            taken_s = measure_apart(model, tuning)
            if taken_s is None:
                seconds.pop(tuning, None)
                continue
            seconds[tuning] = min(taken_s, seconds.get(tuning, taken_s))
    chosen = choose(seconds)
    rows = [{**asdict(tuning), "seconds": round(value, 3)} for tuning, value in seconds.items()]
    kept = {"machine": machine(), "chosen": asdict(chosen), "measured": rows}
    beside = model.with_name(f".{FILE_NAME}.new")
    beside.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    beside.replace(model.with_name(FILE_NAME))
    return chosen


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 measured (or nothing to measure), 1 it could not be kept."""
    if arguments[:1] == ["--measure"]:
        print(measure(Path(arguments[1]), Tuning(**json.loads(arguments[2]))))  # noqa: T201
        return 0
    name = arguments[0] if arguments else InferenceSettings().model
    try:
        path = locate(load_catalog().get(name))
        chosen = tune(path)
    except (ModelError, OSError) as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)  # noqa: T201
        return 1
    words = ["repacked weights" if chosen.repacks else "weights as they are in the file"]
    if chosen.flash_attention is not None:
        words.append(f"flash attention {'on' if chosen.flash_attention else 'off'}")
    print(", ".join(words))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
