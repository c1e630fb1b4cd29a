"""Whether a model fits into this machine's memory, decided before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from inference.errors import StartupError

GIB = 1 << 30
# Python, the compute buffers, the vocabulary's tables and the embedding model.
OVERHEAD_BYTES = 700 * (1 << 20)
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How many cells (tokens over all sequences) the memory is shared into, and what the whole takes."""

    cell_count: int
    needed_bytes: int


def available_bytes() -> int:
    """Memory that can be used without swapping: the kernel's estimate, or what a container has left if that is less.

    0 when the system does not say.
    """
    host_bytes = 0
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                host_bytes = int(line.split()[1]) * 1024
    except OSError:
        return 0
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        if limit.isdecimal():
            used_bytes = int((CGROUP / "memory.current").read_text())
            # Cached file pages count as used but are given back under pressure.
            for line in (CGROUP / "memory.stat").read_text().splitlines():
                if line.startswith("inactive_file "):
                    used_bytes -= int(line.split()[1])
            return min(host_bytes, max(0, int(limit) - used_bytes))
    except (OSError, ValueError):
        pass
    return host_bytes


def plan_memory(
    *,
    model: str,
    weights_bytes: int,
    cell_bytes: int,
    context_tokens: int,
    max_sequences: int,
    free_bytes: int,
) -> MemoryPlan:
    """Choose the number of cells: room for two full contexts or 256 tokens a sequence, and at least one context.

    Raises: StartupError when not even one context fits, with what is needed, what is available and what to do.
    """
    fixed_bytes = weights_bytes + OVERHEAD_BYTES
    least_bytes = fixed_bytes + context_tokens * cell_bytes
    if free_bytes and least_bytes > free_bytes:
        raise StartupError(
            f"The model {model} needs {least_bytes / GIB:.1f} GiB of memory ({weights_bytes / GIB:.1f} GiB weights, "
            f"{context_tokens * cell_bytes / GIB:.1f} GiB for a context of {context_tokens:,} tokens, "
            f"{OVERHEAD_BYTES / GIB:.1f} GiB working memory), {free_bytes / GIB:.1f} GiB are available. Close other "
            "programs, choose a smaller model (herald models list, herald models use NAME), or lower "
            "HERALD_INFERENCE_CONTEXT."
        )
    wanted = max(2 * context_tokens, 256 * max_sequences)
    if free_bytes and cell_bytes:
        # Half of what is left at most: the app, the browser and the page cache live here too.
        affordable = context_tokens + int((free_bytes - least_bytes) / 2 / cell_bytes)
        wanted = min(wanted, affordable)
    cell_count = max(context_tokens, wanted) // 256 * 256
    cell_count = max(cell_count, context_tokens)
    return MemoryPlan(cell_count, fixed_bytes + cell_count * cell_bytes)
