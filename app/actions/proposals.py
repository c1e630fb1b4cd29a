"""From what a model or a program proposed to validated params and the lines of a card. Touches no database."""

from __future__ import annotations

import json
from typing import Any

import structlog
from pydantic import ValidationError

from app.actions.records import Action, Approval, Hold, Status
from app.actions.rules import canonical_json
from app.actions.tables import ActionRow
from app.errors import InvalidInput
from app.text import refuse_control_characters
from automation.actions.base import Account, ActionType, Params, PreviewLine
from automation.actions.registry import ACTION_TYPES

log = structlog.get_logger(__name__)


def type_named(name: str) -> ActionType[Any]:
    """The action type of that name.

    Raises: InvalidInput, which lists those there are.
    """
    if name not in ACTION_TYPES:
        raise InvalidInput(
            f"There is no action type {name!r}.",
            hint=f"Known types: {', '.join(sorted(ACTION_TYPES))}.",
            code="unknown_action_type",
        )
    return ACTION_TYPES[name]


def validated_params(action_type: ActionType[Any], params: dict[str, Any]) -> Params:
    """The params as the type's class.

    Raises: InvalidInput, which names every field that is wrong, why, and the actual value.
    """
    try:
        valid: Params = action_type.params_class.model_validate(params)
    except ValidationError as error:
        raise InvalidInput(
            f"The params of {action_type.name} are not valid: " + "; ".join(field_problem(p) for p in error.errors()),
            hint=f"GET /api/v1/action-types describes the params of {action_type.name}.",
            code="invalid_params",
        ) from None
    _refuse_controls(valid.model_dump(mode="json"), "params")
    return valid


def field_problem(problem: Any) -> str:
    """One validation problem in one line: ``url: Field required``, ``text: … (got 'a…')``."""
    place = ".".join(str(part) for part in problem["loc"]) or "params"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] in {"missing", "extra_forbidden"}:
        return f"{place}: {message}"
    shown = repr(problem["input"])
    return f"{place}: {message} (got {shown[:80] + '…' if len(shown) > 80 else shown})"


def _refuse_controls(value: Any, place: str) -> None:
    if isinstance(value, str):
        refuse_control_characters(value, place)
    elif isinstance(value, dict):
        for key, item in value.items():
            refuse_control_characters(key, f"A key of {place}")
            _refuse_controls(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_controls(item, f"{place}[{index}]")


def params_json_of(params: Params) -> str:
    """The bytes that are stored, approved and run."""
    return canonical_json(params.model_dump(mode="json"))


def stored_params(type_name: str, params_json: str) -> Params:
    """The params class over stored bytes.

    Raises: InvalidInput when this version no longer knows the type or refuses the params.
    """
    return validated_params(type_named(type_name), json.loads(params_json))


def account_of(row: ActionRow) -> Account | None:
    """The account that the row is bound to."""
    return Account(**row.account) if row.account else None


def preview_of(row: ActionRow, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
    """The card's lines; anything that prevents a preview is a problem line, so that it cannot be approved."""
    bound = account_of(row)
    if row.status != Status.AWAITING_APPROVAL and bound is not None:
        accounts = (bound,)
    try:
        action_type = type_named(row.type)
        return tuple(action_type.preview(validated_params(action_type, json.loads(row.params_json)), accounts))
    except InvalidInput as error:
        return (PreviewLine("Params", row.params_json[:500], problem=error.message),)
    except Exception as error:
        log.exception("preview_failed", action_id=row.id, type=row.type)
        problem = f"It cannot be shown: {type(error).__name__}: {error}"
        return (PreviewLine("Params", row.params_json[:500], problem=problem),)


def action_of(
    row: ActionRow,
    accounts: tuple[Account, ...],
    approvals: tuple[Approval, ...] = (),
    people_needed: int = 1,
) -> Action:
    """The record of a row."""
    action_type = ACTION_TYPES.get(row.type)
    is_open = row.status in {Status.APPROVED, Status.SENDING}
    return Action(
        id=row.id,
        type=row.type,
        title=action_type.title if action_type else row.type,
        params=json.loads(row.params_json),
        digest=row.digest,
        status=Status(row.status),
        risk=action_type.risk.value if action_type else "write",
        preview=preview_of(row, accounts),
        progress=row.progress,
        result=row.result,
        error=row.error,
        evidence=tuple(row.evidence),
        conversation_id=row.conversation_id,
        project_id=row.project_id,
        created_at=row.created_at,
        decided_at=row.decided_at,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
        not_before=row.not_before,
        target=row.target,
        intent_id=row.intent_id,
        account=account_of(row),
        proposed_by=row.proposed_by,
        is_tainted=row.is_tainted,
        is_running=row.worker_id is not None,
        held=Hold(row.held_reason, row.held_until) if is_open and row.held_reason else None,
        approvals=approvals,
        people_needed=people_needed,
    )
