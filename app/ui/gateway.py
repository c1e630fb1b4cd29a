"""How the page's Python half reaches the app: over its own HTTP API, with the browser's session, so that the API decides."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import threading
import time
from typing import Any

import gradio as gr
import httpx

from app.client import PROJECT_COOKIE, SESSION_COOKIE, ApiError, HeraldClient, ProjectInfo

_SCHEMAS_FRESH_S = 300.0


class Gateway:
    """Makes a client for each browser request over one shared connection pool."""

    def __init__(self) -> None:
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(limits=httpx.Limits(max_connections=200, max_keepalive_connections=20)),
            trust_env=False,  # a proxy of the environment must not see requests to this very process
        )
        self._schemas: dict[str, dict[str, Any]] = {}
        self._schemas_at = 0.0
        self._lock = threading.Lock()

    def client(self, request: gr.Request) -> HeraldClient:
        """A client that acts as the signed-in browser.

        The address is that of the socket on which the browser's request came in. The Host header goes along, so that the
        app's check of host and origin sees what it saw of the browser.
        """
        inner = request.request
        if inner is None:
            raise RuntimeError("The page needs the request of the browser.")
        scope = inner.scope
        host, port = scope["server"][0], scope["server"][1]
        shown = f"[{host}]" if ":" in host else host
        base_url = f"http://{shown}:{port}"
        named = inner.headers.get("host", f"{shown}:{port}")
        return HeraldClient(
            base_url,
            session=inner.cookies.get(SESSION_COOKIE, ""),
            project=inner.cookies.get(PROJECT_COOKIE, ""),
            http=self._http,
            headers={"Host": named, "Origin": f"http://{named}"},
        )

    def project_id(self, request: gr.Request) -> str:
        """The project that is open in the browser, else the one that the API takes as well. Raises: ApiError."""
        opened, _ = self.projects(request)
        if opened is None:
            raise ApiError("no_project", "You belong to no project yet.", "Make one under Projects.", 404)
        return opened["id"]

    def projects(self, request: gr.Request) -> tuple[ProjectInfo | None, list[ProjectInfo]]:
        """The open project and all of the user's, the oldest first. Raises: ApiError."""
        inner = request.request
        chosen = inner.cookies.get(PROJECT_COOKIE) if inner else None
        found = self.client(request).projects()
        # The same order as app.access: the chosen one, the oldest that is the user's own, the oldest.
        ranked = sorted(found, key=lambda p: (p["id"] != chosen, p["role"] != "owner"))
        return (ranked[0] if ranked else None), found

    def schemas(self, client: HeraldClient) -> dict[str, dict[str, Any]]:
        """Params schema by action type, remembered for some minutes. Raises: ApiError."""
        with self._lock:
            if self._schemas and time.monotonic() - self._schemas_at < _SCHEMAS_FRESH_S:
                return self._schemas
        schemas = {info["name"]: info["params_schema"] for info in client.action_types()}
        with self._lock:
            self._schemas, self._schemas_at = schemas, time.monotonic()
        return schemas
