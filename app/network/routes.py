"""``/projects/{project_id}/network``."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.services import ActorDep, ServicesDep
from automation.host_rules import HostRules

router = APIRouter(tags=["network"])


class NetworkRules(BaseModel):
    """Host names; each also means everything below it. ``denied`` is stronger; an empty ``allowed`` allows all others.

    ``own`` are the project's own sites, whose robots.txt is not asked.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    allowed: list[str] = Field(default_factory=list)
    denied: list[str] = Field(default_factory=list)
    own: list[str] = Field(default_factory=list)


@router.get("/projects/{project_id}/network")
def get_network(project_id: str, services: ServicesDep) -> NetworkRules:
    """Where the project's automation may go."""
    return _out(services.network.rules())


@router.put("/projects/{project_id}/network")
def put_network(project_id: str, body: NetworkRules, services: ServicesDep, actor: ActorDep) -> NetworkRules:
    """Replace the lists; actions that begin from now on keep to them."""
    return _out(services.network.replace(body.allowed, body.denied, body.own, actor))


def _out(rules: HostRules) -> NetworkRules:
    return NetworkRules(allowed=list(rules.allowed), denied=list(rules.denied), own=list(rules.own))
