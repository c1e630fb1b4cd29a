"""One worker of a cluster: an engine of its own, started from this node's settings, that answers blocks of lines.

It is what Ray Data calls a callable class: made once in an actor, called with a block at a time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from inference.batch.runner import answer_line, result_entry
from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.serve import make_embedder, make_engine
from inference.server.batch_lines import LineExecutor

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

T = TypeVar("T")
LINE, RESULT, PROBLEM = "line", "result", "problem"


class Worker:
    """Answers the lines of a block, as many at once as its engine decodes together."""

    def __init__(self, model: str, endpoint: str, cpus: int) -> None:
        """Start the engine. What goes wrong is kept and said with the first block.

        Ray starts an actor again whose constructor fails, and hides a reason that is raised among its own stacks.
        """
        self._endpoint = endpoint
        self._problem = ""
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="worker-loop", daemon=True).start()
        try:
            self._start(model, cpus)
        except (StartupError, ValueError) as error:
            self._problem = str(error)

    def _start(self, model: str, cpus: int) -> None:
        settings = node_settings(model, self._endpoint, cpus)
        engine, embedder = make_engine(settings), make_embedder(settings)
        if self._endpoint == "/v1/embeddings":
            self._run(embedder.load())
        else:
            self._run(engine.start())
        self._execute = LineExecutor(engine, embedder)
        self._places = asyncio.Semaphore(settings.inference_max_sequences)

    def __call__(self, block: pyarrow.Table) -> pyarrow.Table:
        """A table with a column ``line`` (requests, checked before) becomes one with a column ``result`` (JSON).

        Where the engine could not be started on this node, its one row says so in the column ``problem``.
        """
        import pyarrow

        if self._problem:
            text = f"A worker on {os.uname().nodename} cannot start: {self._problem}"
            return pyarrow.table({RESULT: [""], PROBLEM: [text]})
        results = self._run(self._answer_all(block[LINE].to_pylist()))
        return pyarrow.table({RESULT: results, PROBLEM: [""] * len(results)})

    async def _answer_all(self, lines: list[str]) -> list[str]:
        return list(await asyncio.gather(*(self._answer(line) for line in lines)))

    async def _answer(self, line: str) -> str:
        request = json.loads(line)
        async with self._places:
            answer = await answer_line(self._execute, self._endpoint, request["body"])
        return json.dumps(result_entry(request["custom_id"], answer.response(), None))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def node_settings(model: str, endpoint: str, cpus: int) -> InferenceSettings:
    """This node's own settings, with the model that the lines ask for. Raises: ValueError for a wrong setting."""
    asked = {"embedding_model" if endpoint == "/v1/embeddings" else "model": model}
    settings = InferenceSettings(**asked)  # type: ignore[arg-type]
    if not settings.inference_threads:
        # Several workers may share a node: each decodes on the processors that Ray has given it.
        settings.inference_threads = cpus
    return settings
