"""Attempts: again after a passing fault, never once something irreversible has begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from automation import execution
from automation.actions.base import ActionContext, ActionError, ActionResult, ActionType, Credential, Params, Risk
from automation.execution import Interrupted


class Scripted(ActionType[Params]):
    """An action that does what the test says, once for each attempt."""

    name = "scripted"
    title = "Do as scripted"
    description = "For tests."
    risk = Risk.WRITE
    params_class = Params

    def __init__(self, *steps: Callable[[ActionContext], Any]) -> None:
        self.steps = list(steps)
        self.count = 0

    def preview(self, params: Params, accounts: tuple[Any, ...]) -> tuple[Any, ...]:
        return ()

    def execute(self, params: Params, context: ActionContext) -> ActionResult:
        self.count += 1
        self.steps[min(self.count, len(self.steps)) - 1](context)
        return ActionResult("done", {})


def fail(error: Exception) -> Callable[[ActionContext], None]:
    def step(_context: ActionContext) -> None:
        raise error

    return step


def passing_fault() -> ActionError:
    return ActionError("The site is busy.", retryable=True)


def run(action: Scripted, context: ActionContext) -> ActionResult:
    return execution.run(action, Params(), context, pause=lambda _s: None)


def test_gives_up_after_three_attempts(make_context: Callable[..., ActionContext]) -> None:
    """The last attempt's error is the one that is told."""
    action = Scripted(fail(passing_fault()))
    with pytest.raises(ActionError, match="busy"):
        run(action, make_context())
    assert action.count == 3


def test_permanent_errors_are_not_repeated(make_context: Callable[..., ActionContext]) -> None:
    """An error that trying again cannot help is told at once."""
    action = Scripted(fail(ActionError("No such page.")))
    with pytest.raises(ActionError):
        run(action, make_context())
    assert action.count == 1


def test_nothing_is_repeated_after_the_irreversible_step(make_context: Callable[..., ActionContext]) -> None:
    """Even a retryable error ends the action once the submit has begun."""

    def submit_and_fail(context: ActionContext) -> None:
        context.before_irreversible()
        raise passing_fault()

    committed: list[bool] = []
    action = Scripted(submit_and_fail)
    with pytest.raises(ActionError) as caught:
        run(action, make_context(before_irreversible=lambda: committed.append(True)))
    assert (action.count, committed, caught.value.retryable) == (1, [True], False)


def test_a_refused_commit_stops_before_the_step(make_context: Callable[..., ActionContext]) -> None:
    """When the irreversible step cannot be recorded, it is not taken."""
    taken: list[bool] = []

    def step(context: ActionContext) -> None:
        context.before_irreversible()
        taken.append(True)

    with pytest.raises(ActionError, match="disk"):
        run(Scripted(step), make_context(before_irreversible=lambda: fail(ActionError("disk full"))(None)))  # type: ignore[arg-type]
    assert taken == []


def test_interruption_passes_through(make_context: Callable[..., ActionContext]) -> None:
    """A stopping worker is not an error of the action."""
    with pytest.raises(Interrupted):
        run(Scripted(fail(Interrupted())), make_context())


def test_unexpected_errors_are_presentable(make_context: Callable[..., ActionContext]) -> None:
    """A bug becomes an error for people, without its inner text."""
    with pytest.raises(ActionError) as caught:
        run(Scripted(fail(KeyError("secret detail"))), make_context())
    assert caught.value.code == "internal_error"
    assert "secret detail" not in caught.value.message


def test_passwords_never_stand_in_errors(make_context: Callable[..., ActionContext]) -> None:
    """A message that quotes the password is shown without it."""
    error = ActionError("could not type hunter2", hint="is hunter2 right?")
    with pytest.raises(ActionError) as caught:
        run(Scripted(fail(error)), make_context(credential=Credential("jo", "hunter2")))
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_second_attempt_succeeds_with_clean_evidence(make_context: Callable[..., ActionContext]) -> None:
    """A passing fault is followed by progress, a pause, an empty evidence folder and a success."""

    def leave_a_file_and_fail(context: ActionContext) -> None:
        (context.evidence_dir / "01-old.png").write_bytes(b"x")
        raise passing_fault()

    said: list[str] = []
    context = make_context(progress=said.append)
    action = Scripted(leave_a_file_and_fail, lambda _c: None)
    assert run(action, context).summary == "done"
    assert said == ["Trying again (2 of 3): The site is busy."]
    assert list(context.evidence_dir.iterdir()) == []


def test_no_second_attempt_without_time(make_context: Callable[..., ActionContext]) -> None:
    """All attempts share one budget of time."""
    action = Scripted(fail(passing_fault()))
    with pytest.raises(ActionError):
        run(action, make_context(timeout_s=5))
    assert action.count == 1
