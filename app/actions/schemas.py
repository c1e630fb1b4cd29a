"""The API's shapes of actions."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from app.actions.records import Action, Stop
from app.projects.records import ProjectId


class PreviewLineOut(BaseModel):
    """One line of the card. What shows it must mark hidden characters (``app.invisibles``)."""

    label: str
    value: str
    note: str
    problem: str


class ErrorOut(BaseModel):
    """Why an action failed and what to do next.

    ``looked`` is what looks at the platform found, if there were any; ``proposal_id`` is the action that was proposed
    instead, such as when a form had changed.
    """

    code: str
    message: str
    hint: str
    looked: str = ""
    proposal_id: str = ""


class EvidenceOut(BaseModel):
    """One piece of proof and where it can be looked at."""

    kind: str
    label: str
    url: str


class AccountPortOut(BaseModel):
    """The account that the digest binds."""

    platform: str
    handle: str
    base_url: str


class HeldOut(BaseModel):
    """Why an approved action waits. ``until`` is null when that depends on something else than time."""

    reason: str
    until: datetime | None


class ApprovalOut(BaseModel):
    """Who approved the present digest, and when."""

    by: str
    at: datetime


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
    project_id: str
    created_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    not_before: datetime | None
    target: str
    intent_id: str
    account: AccountPortOut | None
    proposed_by: str
    is_tainted: bool
    is_running: bool
    held: HeldOut | None
    approvals: list[ApprovalOut]
    people_needed: int

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
            project_id=action.project_id,
            created_at=action.created_at,
            decided_at=action.decided_at,
            finished_at=action.finished_at,
            expires_at=action.expires_at,
            not_before=action.not_before,
            target=action.target,
            intent_id=action.intent_id,
            account=AccountPortOut(**asdict(action.account)) if action.account else None,
            proposed_by=action.proposed_by,
            is_tainted=action.is_tainted,
            is_running=action.is_running,
            held=HeldOut(reason=action.held.reason, until=action.held.until) if action.held else None,
            approvals=[ApprovalOut(by=a.by, at=a.at) for a in action.approvals],
            people_needed=action.people_needed,
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
    not_before: AwareDatetime | None = None
    project_id: ProjectId = None


class EditIn(BaseModel):
    """New params, which replace the old ones whole, or a new moment to run at (null: at once), or both."""

    model_config = ConfigDict(extra="forbid")

    params: dict[str, Any] | None = None
    not_before: AwareDatetime | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> EditIn:
        if not self.model_fields_set:
            raise ValueError("params or not_before must be given")
        return self


class ApprovalIn(BaseModel):
    """The digest of exactly what was seen and is approved."""

    model_config = ConfigDict(extra="forbid")

    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class RejectionIn(BaseModel):
    """Why it was rejected, if the person says so."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


class CancelIn(BaseModel):
    """Why it was cancelled, if the person says so."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=1_000)] = ""


class SettleIn(BaseModel):
    """What a person found out about an action whose end Herald did not see."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["succeeded", "failed"]
    url: Annotated[str, Field(max_length=2_000)] = ""
    note: Annotated[str, Field(max_length=1_000)] = ""

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not value.lower().startswith(("https://", "http://")):
            raise ValueError("must be an http or https address")
        return value


class StopIn(BaseModel):
    """Why everything is stopped, if the person says so."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(max_length=300)] = ""


class StopOut(BaseModel):
    """Whether all actions are stopped."""

    is_stopped: bool
    reason: str = ""
    stopped_by: str = ""
    stopped_at: datetime | None = None

    @classmethod
    def of(cls, stop: Stop) -> StopOut:
        """The wire form of the stop."""
        return cls(is_stopped=True, reason=stop.reason, stopped_by=stop.stopped_by, stopped_at=stop.stopped_at)


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
