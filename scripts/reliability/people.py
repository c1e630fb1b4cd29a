"""Who acts in the scenarios that run within this process: the owner of the box."""

from __future__ import annotations

from typing import Any

from app.actions.records import Action
from app.services import Services


def owner(services: Services) -> Any:
    """The actor that decisions are made as."""
    return "owner"


def propose(services: Services, type_name: str, params: dict[str, Any]) -> Action:
    """A proposal in the owner's project."""
    return services.actions.propose(type_name, params, actor=owner(services))
