"""The list of routers. Everything but health and sign-in is under ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI

from app import health, metrics
from app.access import authorise
from app.accounts import login_routes as logins
from app.accounts import routes as accounts
from app.actions import control_routes as action_controls
from app.actions import routes as actions
from app.analytics import routes as analytics
from app.assistant import routes as assistant
from app.audit import routes as audit
from app.auth import api_routes as identity
from app.auth import routes as auth
from app.chat import routes as chat
from app.conversations import routes as conversations
from app.generation import routes as generation
from app.media import routes as media
from app.memory import asset_routes as assets
from app.memory import routes as memory
from app.network import routes as network
from app.projects import routes as projects
from app.recipes import routes as recipes

PREFIX = "/api/v1"
DOMAINS: tuple[APIRouter, ...] = (
    health.router,
    identity.router,
    projects.router,
    chat.router,
    actions.router,
    action_controls.router,
    conversations.router,
    media.router,
    memory.router,
    assets.router,
    network.router,
    assistant.router,
    generation.router,
    analytics.router,
    accounts.router,
    logins.router,
    audit.router,
    recipes.router,
)


def add_routes(app: FastAPI) -> None:
    """Put every route into the app, behind ``authorise``."""
    guarded = [Depends(authorise)]
    for router in DOMAINS:
        app.include_router(router, prefix=PREFIX, dependencies=guarded)
    app.include_router(health.router, include_in_schema=False, dependencies=guarded)
    app.include_router(metrics.router, include_in_schema=False, dependencies=guarded)
    app.include_router(auth.router, dependencies=guarded)
