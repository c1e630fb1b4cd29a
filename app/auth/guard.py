"""The gate in front of every route, page and file: host, key or session, and the origin of what changes state.

It is a middleware rather than a dependency so that a route that somebody forgets to protect is protected.
"""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import quote, urlsplit

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.limiter import FailureLimiter
from app.auth.rates import RequestRates
from app.auth.records import Actor, Permission
from app.auth.service import COOKIE, AuthService
from app.error_responses import error_response
from app.errors import AppError, Forbidden, InvalidInput, NotAuthenticated, TooManyRequests
from app.settings import Settings

OPEN_PATHS = frozenset(
    {
        "/healthz",
        "/healthz/db",
        "/readyz",
        "/api/v1/healthz",
        "/api/v1/healthz/db",
        "/api/v1/readyz",
        "/signin",
        "/signup",
        "/forgot",
        "/reset",
        "/api/v1/auth/signup",
        "/api/v1/auth/login",
        "/api/v1/auth/forgot",
        "/api/v1/auth/reset",
        "/favicon.ico",
        "/robots.txt",
    }
)
HEALTH_PATHS = frozenset(path for path in OPEN_PATHS if "health" in path or "ready" in path)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
METRICS_PATH = "/metrics"
SCRAPER = Actor(user_id="", name="Prometheus", is_box_owner=True, via="system", scopes=frozenset({Permission.BOX}))
"""Whoever asks for the metrics with inference's key, which Prometheus has for inference's own."""
NOBODY = Actor(user_id="", name="nobody", is_box_owner=False, via="system")


class Guard:
    """ASGI middleware. Sets ``scope["state"]["actor"]`` to who is asking (an ``Actor``)."""

    def __init__(self, app: ASGIApp, auth: AuthService, settings: Settings) -> None:
        self._app = app
        self._auth = auth
        self._hosts = settings.host_names
        self._https_host = settings.public_https_host
        self._inference_key = settings.inference_key_text().encode()
        self._limiter = FailureLimiter()
        self._rates = RequestRates(settings.requests_per_user, settings.requests_per_address)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if self._https_host and _host_of(scope) == self._https_host:
            # A proxy with TLS stands in front, whether it says so or not: cookies and links are for https.
            scope["scheme"] = "https" if scope["type"] == "http" else "wss"
        connection = HTTPConnection(scope)
        try:
            self._check_host(connection)
            if not _is_local_health(connection):
                self._rates.count_address(_client_of(connection))
            actor = await self._actor_of(connection)
            self._rates.count_user(actor)
        except AppError as error:
            await self._refuse(error, connection, scope, receive, send)
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)

    def _check_host(self, connection: HTTPConnection) -> None:
        """A page whose name was rebound to this machine sends its own name as Host; refuse all but ours."""
        if not self._hosts or connection.scope["path"] in HEALTH_PATHS:
            return
        host = _without_port(connection.headers.get("host", "")).lower()
        if host not in self._hosts and not _is_own_address(host, connection):
            raise InvalidInput(
                f"This app is not served under the host name {host[:200]!r}.",
                hint=f"Use one of {', '.join(dict.fromkeys(self._hosts))}, or add the name to HERALD_ALLOWED_HOSTS.",
                code="host_not_allowed",
            )

    async def _actor_of(self, connection: HTTPConnection) -> Actor:
        if connection.scope["path"] in OPEN_PATHS:
            return await self._actor_of_open(connection)
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            return await to_thread.run_sync(self._program, authorization, connection)
        cookie = connection.cookies.get(COOKIE, "")
        actor = await to_thread.run_sync(self._auth.actor_of_cookie, cookie) if cookie else None
        if actor is not None:
            _check_same_origin(connection)
            return actor
        raise NotAuthenticated(
            "The session has ended or its cookie is not valid." if cookie else "No key and no session came with this.",
            hint="Programs send `Authorization: Bearer KEY`; a browser signs in with the link of `herald signin`.",
        )

    async def _actor_of_open(self, connection: HTTPConnection) -> Actor:
        """Who asks for an open path, if they say so rightly; a form there must come from Herald's own pages, too."""
        _check_same_origin(connection)
        if connection.scope["path"] in HEALTH_PATHS:
            return NOBODY
        cookie = connection.cookies.get(COOKIE, "")
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await to_thread.run_sync(self._auth.actor_of_key, key.strip()) or NOBODY
        return (await to_thread.run_sync(self._auth.actor_of_cookie, cookie) if cookie else None) or NOBODY

    def _program(self, authorization: str, connection: HTTPConnection) -> Actor:
        client = _client_of(connection)
        wait_s = self._limiter.retry_after_s(client)
        if wait_s and not _is_loopback(client):
            raise _too_many(wait_s)
        scheme, _, key = authorization.partition(" ")
        is_bearer, key = scheme.lower() == "bearer", key.strip()
        if is_bearer and connection.scope["path"] == METRICS_PATH and self._is_inference_key(key):
            return SCRAPER
        actor = self._auth.actor_of_key(key) if is_bearer else None
        if actor is not None:
            return actor
        self._limiter.add_failure(client)
        if wait_s:  # from this machine a right key still passes: one confused script must not lock its owner out
            raise _too_many(wait_s)
        raise NotAuthenticated(
            "The key or token is wrong, has ended or was withdrawn."
            if is_bearer
            else "The Authorization header is not `Bearer KEY`.",
            hint="The key is HERALD_API_KEY, or else in keys/api.key of the data folder.",
        )

    def _is_inference_key(self, key: str) -> bool:
        return secrets.compare_digest(key.encode("utf-8", "surrogateescape"), self._inference_key)

    async def _refuse(
        self, error: AppError, connection: HTTPConnection, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4401, "reason": error.code})
            return
        response: Response
        path = scope["path"]
        wants_page = "text/html" in connection.headers.get("accept", "") and scope["method"] in {"GET", "HEAD"}
        if isinstance(error, NotAuthenticated) and wants_page and not path.startswith("/api/"):
            target = f"/signin?next={quote(path)}" if path not in {"", "/"} else "/signin"
            response = RedirectResponse(target, status_code=303)
        else:
            response = error_response(error)
        await response(scope, receive, send)


def _check_same_origin(connection: HTTPConnection) -> None:
    """Refuse what another site makes a signed-in browser send. Source: Fetch Metadata, RFC 6454."""
    if connection.scope["type"] == "http" and connection.scope["method"] in SAFE_METHODS:
        return
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    if site in {"same-origin", "none"}:
        return
    if site is None and (origin is None or urlsplit(origin).netloc == connection.headers.get("host", "")):
        return  # browsers always send Origin with what changes state: without both it is a program that has the cookie
    raise Forbidden(
        f"A change by a signed-in browser must come from Herald's own pages; this one came from {origin or site!r}.",
        hint="Programs send `Authorization: Bearer KEY` instead of the cookie.",
        code="cross_site",
    )


def _too_many(wait_s: int) -> TooManyRequests:
    return TooManyRequests(
        f"Too many wrong keys came from this address; the next attempt is possible in {wait_s} s.",
        hint="The key is HERALD_API_KEY, or else in keys/api.key of the data folder.",
        code="too_many_failures",
        retry_after_s=wait_s,
    )


def _host_of(scope: Scope) -> str:
    return next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), "")


def _client_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else "?"


def _is_local_health(connection: HTTPConnection) -> bool:
    """Whether it is this machine's own watchdog, which must never be told to wait."""
    return connection.scope["path"] in HEALTH_PATHS and _is_loopback(_client_of(connection))


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if ":" in host else host


def _is_own_address(host: str, connection: HTTPConnection) -> bool:
    """Whether the host is the bare address that was connected to: that cannot be a rebound name."""
    server = connection.scope.get("server") or ("", 0)
    try:
        return ipaddress.ip_address(host.strip("[]")) == ipaddress.ip_address(server[0])
    except ValueError:
        return False


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
