"""``GET /audit``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from app.services import ServicesDep

router = APIRouter(tags=["audit"])


class AuditEntryOut(BaseModel):
    """One event of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    actor: str
    event: str
    action_id: str | None
    detail: dict[str, Any]
    hash: str


class AuditOut(BaseModel):
    """Events, the newest first."""

    entries: list[AuditEntryOut]


@router.get("/audit")
def list_audit(
    services: ServicesDep,
    action_id: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before_id: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> AuditOut:
    """The append-only log of proposals, decisions, runs and results."""
    entries = services.audit.entries(action_id, limit, before_id)
    return AuditOut(entries=[AuditEntryOut.model_validate(e) for e in entries])
