"""What the worker and a child say to each other: JSON, one message a line, over a socket pair.

The child asks ``{"call": name, "args": [...]}`` and gets ``{"return": value}``; it ends with ``{"result": …}`` or
``{"error": …}``. The types of the context's fields decide how a value is written and checked, so that a new field or
callback of the context travels without a word here. What comes from a child is checked: a page may have taken it over.
"""

from __future__ import annotations

import json
import re
import socket
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from automation.actions.base import ActionContext, ActionResult, Evidence, Reconciled
from automation.errors import ActionError

MAX_LINE_BYTES = 64_000_000
_OWN_FIELDS = frozenset({"evidence_dir", "egress", "secrets"})
_HINTS = {
    name: hint
    for name, hint in typing.get_type_hints(ActionContext, localns={"Egress": object}).items()
    if name not in _OWN_FIELDS
}
_IS_CALLBACK = {name: typing.get_origin(hint) is Callable for name, hint in _HINTS.items()}
_VALUES = {name: TypeAdapter(hint) for name, hint in _HINTS.items() if not _IS_CALLBACK[name]}
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_ERROR_FIELDS = ("code", "hint", "retryable", "is_refused", "is_site_fault", "retry_after_s")

RESULT: TypeAdapter[ActionResult] = TypeAdapter(ActionResult)
RECONCILED: TypeAdapter[Reconciled] = TypeAdapter(Reconciled)
_EVIDENCE: TypeAdapter[tuple[Evidence, ...]] = TypeAdapter(tuple[Evidence, ...])


class WireBroken(Exception):
    """What arrived is no message of this protocol, or the other side is gone."""


class Wire:
    """Lines of JSON over a stream socket. One reader and, under the caller's lock, one writer."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._pending = bytearray()
        self._searched = 0

    def send(self, message: dict[str, Any]) -> None:
        """Raises: WireBroken when the other side is gone."""
        try:
            self.connection.sendall(json.dumps(message, ensure_ascii=True).encode() + b"\n")
        except OSError as error:
            raise WireBroken(str(error)) from error

    def receive(self) -> dict[str, Any] | None:
        """The next message; None when the other side has ended. Raises: WireBroken, TimeoutError."""
        while not (line := self._line()):  # empty lines carry descriptors, or end a line that was broken off
            if line is None:
                return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise WireBroken("a line that is not JSON") from error
        if not isinstance(message, dict):
            raise WireBroken("a message that is not an object")
        return message

    def _line(self) -> bytes | None:
        while (end := self._pending.find(b"\n", self._searched)) < 0:
            self._searched = len(self._pending)
            if self._searched > MAX_LINE_BYTES:
                raise WireBroken(f"a message of more than {MAX_LINE_BYTES // 1_000_000} MB")
            try:
                chunk = self.connection.recv(262_144)
            except TimeoutError:
                raise
            except OSError as error:
                raise WireBroken(str(error)) from error
            if not chunk:
                return None
            self._pending += chunk
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        self._searched = 0
        return line


def pack_context(context: ActionContext) -> dict[str, Any]:
    """The context's values; its callbacks stay in the worker."""
    return {name: adapter.dump_python(getattr(context, name), mode="json") for name, adapter in _VALUES.items()}


def unpack_context(values: dict[str, Any], ask: Callable[[str, list[Any]], Any], **own: Any) -> ActionContext:
    """The context as the child's executor gets it; ``own`` are the fields that differ there.

    Args:
        ask: called with a callback's name and JSON-able arguments; returns what the worker answers.
    """
    fields: dict[str, Any] = {name: adapter.validate_python(values[name]) for name, adapter in _VALUES.items()}
    for name, is_callback in _IS_CALLBACK.items():
        if is_callback:
            fields[name] = _stub(name, ask)
    return ActionContext(**fields, **own)


def _stub(name: str, ask: Callable[[str, list[Any]], Any]) -> Callable[..., Any]:
    argument_types, return_type = typing.get_args(_HINTS[name])
    arguments = [TypeAdapter(t) for t in argument_types]
    result = TypeAdapter(return_type)

    def call(*values: Any) -> Any:
        packed = [a.dump_python(v, mode="json") for a, v in zip(arguments, values, strict=True)]
        return result.validate_python(ask(name, packed))

    return call


def run_callback(context: ActionContext, name: str, arguments: Any, hand_over: Callable[[Path], Path]) -> Any:
    """Run a callback that a child asked for, in the worker; returns the JSON-able answer.

    A path is answered with the one that ``hand_over`` gives the child in its place.

    Raises: WireBroken when there is no such callback or its arguments are of other types; whatever the callback raises.
    """
    if not _IS_CALLBACK.get(name):
        raise WireBroken(f"a call of {name!r}, which is no callback")
    argument_types, return_type = typing.get_args(_HINTS[name])
    try:
        values = [TypeAdapter(t).validate_python(a) for t, a in zip(argument_types, arguments, strict=True)]
    except (ValidationError, ValueError, TypeError) as error:
        raise WireBroken(f"arguments of {name} of other types") from error
    answer = getattr(context, name)(*values)
    if isinstance(answer, Path):
        answer = hand_over(answer)
    return TypeAdapter(return_type).dump_python(answer, mode="json")


def is_evidence_name(name: str) -> bool:
    """Whether a file of this name may lie in an evidence folder: never a path, never hidden."""
    return bool(_FILE_NAME.fullmatch(name))


def read_result(value: Any) -> ActionResult:
    """What ``execute`` returned in the child. Raises: WireBroken."""
    try:
        result = RESULT.validate_python(value)
    except ValidationError as problem:
        raise WireBroken("a result without its fields") from problem
    _check_evidence(result.evidence)
    return result


def read_reconciled(value: Any) -> Reconciled:
    """What ``reconcile`` returned in the child. Raises: WireBroken."""
    try:
        found = RECONCILED.validate_python(value)
    except ValidationError as problem:
        raise WireBroken("a result without its fields") from problem
    if found.result is not None:
        _check_evidence(found.result.evidence)
    return found


def _check_evidence(items: tuple[Evidence, ...]) -> None:
    for item in items:
        if item.filename and not is_evidence_name(item.filename):
            raise WireBroken("evidence with a name that is no file's")


def pack_error(error: ActionError) -> dict[str, Any]:
    """An error as the child sends it."""
    fields = {name: getattr(error, name) for name in _ERROR_FIELDS}
    return fields | {
        "message": error.message,
        "proposal": error.proposal,
        "evidence": _EVIDENCE.dump_python(error.evidence, mode="json"),
    }


def unpack_error(fields: dict[str, Any]) -> ActionError:
    """The error as the worker raises it. Raises: WireBroken."""
    try:
        error = ActionError(str(fields["message"]), **{name: fields[name] for name in _ERROR_FIELDS})
        error.evidence = _EVIDENCE.validate_python(fields["evidence"])
        _check_evidence(error.evidence)
        error.proposal = TypeAdapter(dict[str, Any] | None).validate_python(fields["proposal"])
    except (KeyError, ValidationError) as problem:
        raise WireBroken("an error without its fields") from problem
    return error
