"""The API's shapes of actions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from app.actions.records import Action


class PreviewLineOut(BaseModel):
    """One line of the card. What shows it must mark hidden characters (``app.invisibles``)."""

    label: str
    value: str
    note: str
    problem: str


class ErrorOut(BaseModel):
    """Why an action failed and what to do next."""

    code: str
    message: str
    hint: str


class EvidenceOut(BaseModel):
    """One piece of proof and where it can be looked at."""

    kind: str
    label: str
    url: str


class ActionOut(BaseModel):
    """An action as it stands."""

    id: str
    type: str
    title: str
    params: dict[str, Any]
    digest: str
    status: str
    risk: str
    preview: list[PreviewLineOut]
    progress: str
    result: dict[str, Any] | None
    error: ErrorOut | None
    evidence: list[EvidenceOut]
    conversation_id: str | None
    created_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime

    @classmethod
    def of(cls, action: Action) -> ActionOut:
        """The wire form of an action."""
        return cls(
            id=action.id,
            type=action.type,
            title=action.title,
            params=action.params,
            digest=action.digest,
            status=action.status.value,
            risk=action.risk,
            preview=[PreviewLineOut(**asdict(line)) for line in action.preview],
            progress=action.progress,
            result=action.result,
            error=ErrorOut(**action.error) if action.error else None,
            evidence=[_evidence(action.id, item) for item in action.evidence],
            conversation_id=action.conversation_id,
            created_at=action.created_at,
            decided_at=action.decided_at,
            finished_at=action.finished_at,
            expires_at=action.expires_at,
        )


def _evidence(action_id: str, item: dict[str, str]) -> EvidenceOut:
    url = f"/api/v1/actions/{action_id}/evidence/{item['filename']}" if item.get("filename") else item.get("url", "")
    return EvidenceOut(kind=item["kind"], label=item["label"], url=url)


class ActionsOut(BaseModel):
    """Actions, the newest first."""

    actions: list[ActionOut]


class ProposalIn(BaseModel):
    """An action proposed by a program."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(min_length=1, max_length=100)]
    params: dict[str, Any]


class EditIn(BaseModel):
    """New params, which replace the old ones whole."""

    model_config = ConfigDict(extra="forbid")

    params: dict[str, Any]


class ApprovalIn(BaseModel):
    """The digest of exactly what was seen and is approved."""

    model_config = ConfigDict(extra="forbid")

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RejectionIn(BaseModel):
    """Why it was rejected, if the person says so."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


class ActionTypeOut(BaseModel):
    """One thing that the box can be asked to do."""

    name: str
    title: str
    description: str
    risk: str
    params_schema: dict[str, Any]


class ActionTypesOut(BaseModel):
    """Everything that the box can be asked to do."""

    action_types: list[ActionTypeOut]
