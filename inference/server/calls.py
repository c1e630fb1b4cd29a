"""``GET /v1/calls``: the newest calls as they ended. Herald's own, OpenAI has nothing like it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from inference.server.state import calls_of
from inference.traces import KEPT_CALLS

router = APIRouter()


@router.get("/v1/calls")
async def list_calls(request: Request, limit: Annotated[int, Query(ge=1, le=KEPT_CALLS)] = 50) -> dict[str, Any]:
    """The newest first; what they were about is not kept."""
    return {"object": "list", "data": calls_of(request).newest(limit)}
