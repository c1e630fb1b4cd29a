"""The client of a cluster: connects, cuts the file into blocks, and writes what comes back, block by block."""

from __future__ import annotations

import itertools
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import ray
from ray.exceptions import RayError

from inference.batch.journal import write_atomically
from inference.cluster.pipeline import Pipeline, Share, node_facts, root_cause
from inference.cluster.requests import HINT, Requests
from inference.cluster.worker import LINE
from inference.errors import StartupError

BLOCK_LINES = 256
BLOCKS_PER_WORKER = 4  # small files are cut finer, so that every worker has something to do
WAIT_S = 1.0
CONNECT_S = 60
Say = Callable[..., None]


def run(work: Requests, shards: Path, address: str, share: tuple[int, int, int], say: Say) -> None:
    """Answer every line of a file that was checked and write the results into ``shards``.

    Args:
        share: workers, processors and GPUs of each; 0 workers and -1 GPUs are chosen for the cluster.
        say: told ``workers``, ``progress`` (requests done and failed, tokens) and ``done``.

    Raises: StartupError for the cluster, OSError.
    """
    connect(address)
    try:
        chosen = chosen_share(*share)
        say("workers", count=chosen.workers, cpus=chosen.cpus, gpus=chosen.gpus, total=work.total)
        lines = max(1, min(BLOCK_LINES, -(-work.total // (chosen.workers * BLOCKS_PER_WORKER))))
        blocks = [ray.put(block) for block in read_blocks(work.path, lines)]
        chosen = replace(chosen, workers=min(chosen.workers, len(blocks)))
        # It sleeps while the workers work, so it takes no processor from them.
        pipeline: Any = ray.remote(Pipeline).options(num_cpus=0).remote(blocks, work.model, work.endpoint, chosen)
        try:
            _collect(pipeline, shards, say)
        finally:
            # Its workers end with it, at once: Ray itself would wait for this client's connection to be forgotten.
            ray.kill(pipeline)
    except RayError as error:
        raise StartupError(
            f"The cluster at {address} broke: {root_cause(error)}. What is done is kept; when the cluster is back, the "
            "same command goes on."
        ) from error
    except ConnectionError as error:
        raise StartupError(
            f"The connection to the cluster at {address} broke: {error}. What is done is kept; run the same command "
            "again."
        ) from error
    finally:
        ray.shutdown()


def connect(address: str) -> None:
    """Join the cluster and make sure that it is one of our kind. Raises: StartupError."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    else:
        options["address"] = address
    try:
        ray.init(**options)
        ray.get(ray.remote(node_facts).options(num_cpus=0).remote(), timeout=CONNECT_S)
    except (ModuleNotFoundError, AttributeError) as error:
        raise StartupError(
            f"The cluster at {address} has no Herald of this version on its nodes ({error}). Install it there, with "
            "the extra cluster, and start Ray from its environment."
        ) from error
    except (ConnectionError, RuntimeError, ValueError, AssertionError, RayError, OSError) as error:
        raise StartupError(
            f"There is no connection to the cluster at {address}: {root_cause(error)}. {HINT}"
        ) from error


def chosen_share(workers: int, cpus: int, gpus: int) -> Share:
    """Fit the shares to what the cluster has. Raises: StartupError when not even one worker fits."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found_gpus = int(sum(node.get("GPU", 0) for node in nodes))
    each = (1 if found_gpus else 0) if gpus < 0 else gpus
    fitting = sum(_fits(node, cpus, each) for node in nodes)
    if fitting < max(1, workers):
        have = "; ".join(f"{int(node.get('CPU', 0))} CPUs and {int(node.get('GPU', 0))} GPUs" for node in nodes)
        raise StartupError(
            f"{max(1, workers)} workers with {cpus} CPUs and {each} GPUs each do not fit on the cluster's nodes "
            f"({have}); {fitting} would. Ask for less with --workers, --cpus or --gpus, or add nodes."
        )
    usual = found_gpus // each if each else sum(1 for node in nodes if _fits(node, cpus, each))
    return Share(workers or min(usual, fitting), cpus, each)


def _fits(node: dict[str, float], cpus: int, gpus: int) -> int:
    """How many workers a node has room for."""
    by_cpus = int(node.get("CPU", 0)) // cpus
    return min(by_cpus, int(node.get("GPU", 0)) // gpus) if gpus else by_cpus


def read_blocks(path: Path, lines: int) -> Iterator[pyarrow.Table]:
    """The requests in tables of so many rows."""
    with path.open(encoding="utf-8") as file:
        wanted = (line.strip() for line in file if line.strip())
        while block := list(itertools.islice(wanted, lines)):
            yield pyarrow.table({LINE: block})


def _collect(pipeline: Any, shards: Path, say: Say) -> None:
    shards.mkdir(exist_ok=True)
    done, failed, tokens = 0, 0, 0
    while True:
        # Ray answers late or not at all while the head is in trouble; it raises when it gives up.
        taken = ray.get(pipeline.take.remote(WAIT_S))
        if taken.problem:
            raise StartupError(f"The batch broke: {taken.problem}. What is done is kept; run the same command again.")
        if taken.results:
            data = "".join(f"{result}\n" for result in taken.results).encode()
            write_atomically(shards / f"{secrets.token_hex(8)}.jsonl", data)
            for response in (json.loads(result)["response"] for result in taken.results):
                is_done = response["status_code"] == 200
                done += is_done
                failed += not is_done
                tokens += _written(response["body"]) if is_done else 0
        say("progress", done=done, failed=failed, tokens=tokens)
        if taken.is_over:
            say("done")
            return


def _written(body: dict[str, Any]) -> int:
    usage = body.get("usage") or {}
    return int(usage.get("completion_tokens", usage.get("output_tokens", 0)) or 0)
