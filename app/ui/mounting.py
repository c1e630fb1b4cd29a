"""Puts the page into the app."""

from __future__ import annotations

import asyncio
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request

from app.auth.records import Actor
from app.settings import Settings
from app.ui.page import build
from app.ui.theme import theme

HERE = Path(__file__).parent
FAVICON = HERE / "favicon.png"


def mount(app: FastAPI, settings: Settings) -> FastAPI:
    """Serve the page at ``/`` of ``app``; call it last, since it answers every address that no route took.

    The app's guard has let a request in before the page sees it; without its mark in ``request.state`` nobody gets in.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(_mount_in_loop(app, settings))
    else:
        _mount(app, settings)
    return app


async def _mount_in_loop(app: FastAPI, settings: Settings) -> None:
    """Without a running event loop Gradio makes several for its locks and leaves them open."""
    _mount(app, settings)


def _mount(app: FastAPI, settings: Settings) -> None:
    gr.mount_gradio_app(
        app,
        build(settings),
        path="/",
        auth_dependency=_actor,
        theme=theme(),
        head=_head(),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        show_error=False,
        favicon_path=str(FAVICON),
        max_file_size="1kb",  # files go to the API; Gradio's own upload route has no use here
    )


def _actor(request: Request) -> str | None:
    actor: Actor | None = getattr(request.state, "actor", None)
    return actor.user_id if actor else None


def _head() -> str:
    style = (HERE / "style.css").read_text(encoding="utf-8")
    script = (HERE / "herald.js").read_text(encoding="utf-8")
    return f"<style>{style}</style><script>{script}</script>"
