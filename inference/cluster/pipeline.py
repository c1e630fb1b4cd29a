"""What runs inside the cluster: an actor that feeds the workers through Ray Data and hands their results out.

The client that a person runs may be outside the cluster (``ray://``), where Ray Data's scheduler does not belong; it
talks to this actor alone.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from typing import Any

import pyarrow
import ray
import ray.data

from inference.cluster.worker import PROBLEM, RESULT, Worker

CALLS_AT_ONCE = 2  # the next block begins while the last lines of one are still decoded


@dataclass(frozen=True, slots=True)
class Share:
    """What each worker gets. ``gpus`` 0 is the CPU."""

    workers: int
    cpus: int
    gpus: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Results (JSON, one a request), whether those were the last, and what broke the run."""

    results: list[str]
    is_over: bool
    problem: str = ""


class Pipeline:
    """Runs in an actor of its own; when the client goes away, Ray ends it with its workers."""

    def __init__(self, blocks: list[Any], model: str, endpoint: str, share: Share) -> None:
        """``blocks`` are references to tables with a column ``line``."""
        self._found: queue.Queue[Taken] = queue.Queue()
        work = (blocks, model, endpoint, share)
        threading.Thread(target=self._work, args=work, name="pipeline", daemon=True).start()

    def take(self, wait_s: float) -> Taken:
        """What the next block came to, after at most ``wait_s``; nothing when none has ended by then."""
        try:
            return self._found.get(timeout=wait_s)
        except queue.Empty:
            return Taken([], is_over=False)

    def _work(self, blocks: list[Any], model: str, endpoint: str, share: Share) -> None:
        try:
            for table in self._answered(blocks, model, endpoint, share).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                columns = pyarrow.table(table)
                problem = next(filter(None, columns[PROBLEM].to_pylist()), "")
                if problem:
                    self._found.put(Taken([], is_over=True, problem=problem))
                    return
                self._found.put(Taken(columns[RESULT].to_pylist(), is_over=False))
        except Exception as error:
            self._found.put(Taken([], is_over=True, problem=root_cause(error)))
        else:
            self._found.put(Taken([], is_over=True))

    def _answered(self, blocks: list[Any], model: str, endpoint: str, share: Share) -> ray.data.Dataset:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        lines = ray.data.from_arrow_refs(blocks)
        return lines.map_batches(
            Worker,
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            fn_constructor_args=(model, endpoint, share.cpus),
            compute=ray.data.ActorPoolStrategy(
                size=share.workers,
                max_concurrent_calls_per_actor=CALLS_AT_ONCE,
                enable_true_multi_threading=True,
            ),
            num_cpus=share.cpus,
            num_gpus=share.gpus or None,
        )


def root_cause(error: BaseException) -> str:
    """What really went wrong: Ray wraps it several times, each with a stack of its own."""
    while True:
        inner = getattr(error, "cause", None) or error.__cause__
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip() if lines else 'no reason was given'}"


def node_facts() -> dict[str, str]:
    """What must be alike on the client and in the cluster."""
    import platform

    return {"python": platform.python_version(), "ray": ray.__version__, "node": os.uname().nodename}
