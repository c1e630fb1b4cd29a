"""``/actions``, ``/action-types`` and the evidence files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request

from app.actions.approvals import Approver
from app.actions.records import Status
from app.actions.schemas import (
    ActionOut,
    ActionsOut,
    ActionTypeOut,
    ActionTypesOut,
    ApprovalIn,
    CancelIn,
    EditIn,
    ProposalIn,
    RejectionIn,
    SettleIn,
)
from app.actions.service import KEEP
from app.errors import NotFound
from app.services import ActorDep, CallerDep, ServicesDep
from app.stored_file import StoredFile
from automation.actions.registry import ACTION_TYPES

router = APIRouter(tags=["actions"])

EVIDENCE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
}


@router.get("/action-types")
def list_action_types() -> ActionTypesOut:
    """What the box can be asked to do, with the JSON schema of each type's params."""
    return ActionTypesOut(
        action_types=[
            ActionTypeOut(
                name=t.name,
                title=t.title,
                description=t.description,
                risk=t.risk.value,
                params_schema=t.params_class.model_json_schema(),
            )
            for t in ACTION_TYPES.values()
        ]
    )


@router.post("/actions", status_code=201)
def propose_action(body: ProposalIn, services: ServicesDep, actor: ActorDep) -> ActionOut:
    """Propose an action without the model; it waits for approval like any other."""
    return ActionOut.of(services.actions.propose(body.type, body.params, actor=actor, not_before=body.not_before))


@router.get("/actions")
def list_actions(
    services: ServicesDep,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ActionsOut:
    """Actions, the newest first."""
    return ActionsOut(actions=[ActionOut.of(a) for a in services.actions.newest(status, limit)])


@router.get("/actions/{action_id}")
def get_action(action_id: str, services: ServicesDep) -> ActionOut:
    """An action as it stands."""
    return ActionOut.of(services.actions.get(action_id))


@router.patch("/actions/{action_id}")
def edit_action(action_id: str, body: EditIn, services: ServicesDep, actor: ActorDep) -> ActionOut:
    """Replace the params of a waiting action, or when it may run; its digest changes."""
    not_before = body.not_before if "not_before" in body.model_fields_set else KEEP
    return ActionOut.of(services.actions.edit(action_id, body.params, actor=actor, not_before=not_before))


@router.post("/actions/{action_id}/approve")
def approve_action(
    action_id: str, body: ApprovalIn, services: ServicesDep, caller: CallerDep, request: Request
) -> ActionOut:
    """Approve exactly what the digest covers; the worker runs it, once as many people did as it needs."""
    approver = Approver(caller.user_id, str(caller), frozenset({request.state.project.role.value}))
    return ActionOut.of(services.actions.approve(action_id, body.digest, actor=approver))


@router.post("/actions/{action_id}/reject")
def reject_action(action_id: str, services: ServicesDep, actor: ActorDep, body: RejectionIn | None = None) -> ActionOut:
    """Decide that the action never runs."""
    return ActionOut.of(services.actions.reject(action_id, actor=actor, reason=body.reason if body else ""))


@router.post("/actions/{action_id}/cancel")
def cancel_action(action_id: str, services: ServicesDep, actor: ActorDep, body: CancelIn | None = None) -> ActionOut:
    """Take an approval back, as long as nothing is being submitted."""
    return ActionOut.of(services.actions.cancel(action_id, actor=actor, reason=body.reason if body else ""))


@router.post("/actions/{action_id}/settle")
def settle_action(action_id: str, body: SettleIn, services: ServicesDep, actor: ActorDep) -> ActionOut:
    """Say what became of an unconfirmed action."""
    has_happened = body.outcome == "succeeded"
    settled = services.actions.settle(action_id, has_happened=has_happened, actor=actor, url=body.url, note=body.note)
    return ActionOut.of(settled)


@router.get("/actions/{action_id}/evidence/{filename}", response_class=StoredFile)
def get_evidence(action_id: str, filename: str, services: ServicesDep) -> StoredFile:
    """A file that the action's run left as proof. Only files that the action lists are given out."""
    action = services.actions.get(action_id)
    folder = (services.settings.evidence_dir / action.id).resolve()
    is_listed = any(item.get("filename") == filename for item in action.evidence)
    path = (folder / Path(filename).name).resolve() if is_listed else folder
    if path.parent != folder or not path.is_file():
        raise NotFound(
            f"Action {action.id} has no evidence file {filename[:100]!r}.",
            hint="The action's `evidence` lists its files.",
        )
    media_type = EVIDENCE_TYPES.get(path.suffix.lower(), "application/octet-stream")
    disposition = "attachment" if media_type == "application/octet-stream" else "inline"
    return StoredFile(
        path,
        media_type=media_type,
        filename=path.name,
        content_disposition_type=disposition,
        headers={"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=3600"},
    )
