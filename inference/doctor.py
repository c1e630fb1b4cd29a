"""``herald doctor``: what inference found on this machine, what it chose for it, and why. Starts nothing."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from inference.config import InferenceSettings, physical_cores, processor_name
from inference.errors import StartupError
from inference.memory import GIB, available_bytes, plan_memory
from inference.serve import locate_model
from inference.upstream.opening import model_folder, plan_of
from inference.upstream.vllm_plan import find_cards
from models.catalog import Kind

Line = tuple[str, str, str]


def main() -> int:
    """Print the findings; the exit status is 1 when inference could not start as things are."""
    try:
        settings = InferenceSettings()
        machine, chosen = examine_machine(), examine_choice(settings)
    except ValidationError as error:
        first = error.errors()[0]
        return _refuse(f"HERALD_{str(first['loc'][0]).upper()} cannot be {first['input']!r}: {first['msg']}")
    except StartupError as error:
        return _refuse(str(error))
    for title, lines in (("This machine", machine), (f"{settings.model} with {settings.inference_backend}", chosen)):
        print(title)  # noqa: T201
        for name, value, why in lines:
            print(f"  {name:<26}{value:<14}{why}".rstrip())  # noqa: T201
    return 0


def examine_machine() -> list[Line]:
    """Processor, memory and GPUs."""
    free = f"{available_bytes() / GIB:.1f} GiB"
    lines = [("cores", str(physical_cores()), processor_name()), ("memory available", free, "")]
    cards = find_cards()
    if not cards:
        return [*lines, ("GPU", "none", "nvidia-smi is not there or names no card")]
    return [
        *lines,
        *(
            (f"GPU {number}", f"{card.memory_bytes / GIB:.0f} GiB", f"{card.name}, compute capability {major}.{minor}")
            for number, card in enumerate(cards)
            for major, minor in (card.capability,)
        ),
    ]


def examine_choice(settings: InferenceSettings) -> list[Line]:
    """What inference would start with. Raises: StartupError when it could not."""
    if settings.inference_backend == "vllm":
        return _vllm(settings)
    if settings.inference_backend != "llama_cpp":
        return [("prompts", "leave", "a hosted provider computes")]
    from inference.backends.llama_cpp import read_shape

    shape = read_shape(locate_model(settings.model, Kind.CHAT))
    context_tokens = min(settings.inference_context, shape.trained_context)
    plan = plan_memory(
        model=settings.model,
        weights_bytes=shape.weights_bytes,
        cell_bytes=shape.cell_bytes,
        context_tokens=context_tokens,
        max_sequences=settings.inference_max_sequences,
        free_bytes=available_bytes(),
    )
    return [
        ("context", str(context_tokens), f"tokens; the model was trained on {shape.trained_context:,}"),
        ("cache", str(plan.cell_count), "tokens over all requests"),
        ("memory needed", f"{plan.needed_bytes / GIB:.1f} GiB", f"{shape.weights_bytes / GIB:.1f} GiB of it weights"),
        ("threads", str(settings.inference_threads or physical_cores()), "at most; fewer where they measure faster"),
    ]


def _vllm(settings: InferenceSettings) -> list[Line]:
    if settings.vllm_urls:
        return [("servers", "given", settings.vllm_urls)]
    plan = plan_of(settings, model_folder(settings))
    if plan is None:
        return [("vLLM", "on the CPU", "no GPU was found; see ./scripts/vllm install")]
    owner = [("your arguments", settings.vllm_args, "override the above")] if settings.vllm_args else []
    return [*((f"--{name}", value, why) for name, value, why in plan.reasons), *owner]


def _refuse(reason: str) -> int:
    print(f"Inference cannot start: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
