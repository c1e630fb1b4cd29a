"""One child: it runs one action, asks the worker for everything else, and ends.

It knows no database, no key and no other action. Started by ``zygote`` after the door was shut.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from automation.actions.base import ActionContext, ActionType, MediaRef
from automation.actions.registry import ACTION_TYPES
from automation.errors import ActionError
from automation.execution import guarded
from automation.hands.remote import show_browser
from automation.hands.wire import RECONCILED, RESULT, Wire, pack_error, unpack_context, unpack_error
from automation.redaction import redacted

_NO_ANSWER_S = 600.0


class WorkerGone(BaseException):
    """The worker hung up: nothing may go on. No executor catches it."""


class Link:
    """The child's end of the wire: calls with answers, and what the worker says of its own accord."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._sending = threading.Lock()
        self.on_over_budget: Callable[[], None] = lambda: None
        threading.Thread(target=self._read, name="wire", daemon=True).start()

    def ask(self, name: str, arguments: list[Any]) -> Any:
        """Call the worker. Raises: WorkerGone."""
        self.say({"call": name, "args": arguments})
        answer = self._answers.get(timeout=_NO_ANSWER_S)
        if answer is None:
            raise WorkerGone
        return answer.get("return")

    def say(self, message: dict[str, Any]) -> None:
        """Send a message that has no answer. Raises: WireBroken."""
        with self._sending:
            self._wire.send(message)

    def _read(self) -> None:
        try:
            while (message := self._wire.receive()) is not None:
                if message.get("event") == "over_budget":
                    self.on_over_budget()
                else:
                    self._answers.put(message)
        finally:
            self._answers.put(None)


class RemoteEgress:
    """The proxy as the child knows it: it runs in the worker, which answers the questions. See ``egress.Egress``."""

    def __init__(self, link: Link, port: int) -> None:
        self._link = link
        self.url = f"http://127.0.0.1:{port}"

    @property
    def on_over_budget(self) -> Callable[[], None]:
        """What is done when the execution received more than it may."""
        return self._link.on_over_budget

    @on_over_budget.setter
    def on_over_budget(self, call: Callable[[], None]) -> None:
        self._link.on_over_budget = call

    @property
    def is_over_budget(self) -> bool:
        """Whether everything was cut off, because the execution received more than it may."""
        return bool(self._link.ask("egress.is_over_budget", []))

    def explain(self, url: str) -> ActionError | None:
        """The reason why ``url``'s host could not be reached, if it was the proxy's doing."""
        fields = self._link.ask("egress.explain", [url])
        return unpack_error(fields) if fields else None

    def too_large_error(self) -> ActionError:
        """The error of an execution that received too much."""
        return unpack_error(self._link.ask("egress.too_large_error", []))


class _LogToWorker(logging.Handler):
    """The child's log lines, for the worker to write down."""

    def __init__(self, link: Link) -> None:
        super().__init__(logging.INFO)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._link.say({"log": record.getMessage(), "level": record.levelname.lower(), "logger": record.name})
        except Exception:
            self.handleError(record)


def work(connection: socket.socket, listener: socket.socket, scratch: Path) -> None:
    """Take the order, run it, tell what came of it. Returns when everything is said."""
    wire = Wire(connection)
    order = wire.receive()
    if order is None:
        return
    link = Link(wire)
    logging.basicConfig(level=logging.INFO, handlers=[_LogToWorker(link)], force=True)
    port = int(listener.getsockname()[1])
    listener.close()  # the worker's copy goes on listening
    try:
        context = unpack_context(
            order["context"], link.ask, evidence_dir=scratch / "evidence", egress=RemoteEgress(link, port)
        )
        context = guarded(context)  # what the child writes down itself has no secrets either
        context.media_path = _in_scratch(context.media_path, scratch)
        answer = _run(order, context, link)
    except ActionError as error:
        answer = {"error": pack_error(error)}
    except Exception as error:
        link.say({"log": redacted("".join(traceback.format_exception(error))), "level": "error", "logger": __name__})
        failed = ActionError(
            f"“{order['title']}” failed unexpectedly ({type(error).__name__}).",
            code="internal_error",
            hint="The worker's log has the details.",
        )
        answer = {"error": pack_error(failed)}
    link.say(answer)


def _in_scratch(path_of: Callable[[MediaRef], Path], scratch: Path) -> Callable[[MediaRef], Path]:
    """The worker names what it handed over relative to the scratch folder, whose place only the child knows."""
    return lambda ref: scratch / path_of(ref)


def _run(order: dict[str, Any], context: ActionContext, link: Link) -> dict[str, Any]:
    if order["method"] == "log_in":
        state = show_browser(
            order["url"], context, lambda frame: link.ask("login.show", [frame]), lambda: link.ask("login.inputs", [])
        )
        return {"result": state}
    action: ActionType[Any] = ACTION_TYPES[order["type"]]
    params = action.params_class.model_validate(order["params"])
    if order["method"] == "reconcile":
        found = action.reconcile(params, context, datetime.fromisoformat(order["began_at"]))
        return {"result": RECONCILED.dump_python(found, mode="json")}
    return {"result": RESULT.dump_python(action.execute(params, context), mode="json")}
