"""The AT Protocol's calls over HTTP, through the filtering proxy: a session that renews itself, errors in plain words.

Source: the lexicons ``com.atproto.server`` and ``com.atproto.repo``.
"""

from __future__ import annotations

import time
from typing import Any

import httpx

from automation.actions.base import ActionContext, ActionError
from automation.egress import Egress
from automation.egress_http import REFUSED_HEADER
from automation.sites.base import HumanNeeded, LoginExpired, Site, plain_handle

_TIMEOUT_S = 30.0
_STALE = frozenset({"ExpiredToken", "InvalidToken"})
_SESSION_KEY = "atproto"


class XrpcError(ActionError):
    """The server answered with an error; ``status`` and ``name`` are its own, 0 and "" when no answer came."""

    status = 0
    name = ""


class XrpcClient:
    """One execution's conversation with one server, as one account. Not thread-safe."""

    def __init__(self, site: Site, context: ActionContext, egress: Egress, http: httpx.Client) -> None:
        self._site, self._context, self._egress, self._http = site, context, egress, http
        self._account = site.account_of(context)
        self._base_url = self._account.base_url.rstrip("/")
        self._deadline = time.monotonic() + context.timeout_s
        self._tokens: dict[str, str] = {}

    @property
    def did(self) -> str:
        """The account's permanent name."""
        return self._tokens["did"]

    def log_in(self) -> None:
        """Use the kept session, or make one with the account's app password. Raises: LoginExpired, ActionError."""
        kept = (self._context.load_session() or {}).get(_SESSION_KEY)
        if isinstance(kept, dict) and {"did", "handle", "access", "refresh"} <= kept.keys():
            self._tokens = kept
            try:
                self.get("com.atproto.server.getSession")
            except XrpcError as error:
                if error.status not in (400, 401):
                    raise
                self._log_in_anew()
        else:
            self._log_in_anew()
        if plain_handle(self._tokens["handle"]) != plain_handle(self._account.handle):
            raise LoginExpired(
                f"The login is that of @{self._tokens['handle']}, not of @{self._account.handle}; nothing was posted.",
                code="wrong_account",
                hint=self._site.reconnect_hint,
            )

    def get(self, method: str, **params: str) -> dict[str, Any]:
        """A query. Raises: XrpcError."""
        return self._authorised("GET", method, params=params)

    def post(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """A procedure. Raises: XrpcError."""
        return self._authorised("POST", method, json=body)

    def upload(self, content: bytes, media_type: str) -> dict[str, Any]:
        """Store a file; returns its blob reference. A blob that no record names is removed by the server."""
        headers = {"content-type": media_type}
        return dict(self._authorised("POST", "com.atproto.repo.uploadBlob", content=content, headers=headers)["blob"])

    def remaining_s(self) -> float:
        """Seconds left of the execution's time."""
        return self._deadline - time.monotonic()

    # ---- the session

    def _log_in_anew(self) -> None:
        credential = self._context.credential
        if credential is None or not credential.password:
            raise LoginExpired(
                f"{self._site.title} asks for a login, and no app password is stored for the account.",
                hint=self._site.reconnect_hint,
            )
        self._context.progress(f"Logging in to {self._site.title}")
        login = {"identifier": credential.username.removeprefix("@"), "password": credential.password}
        try:
            answer = self._send("POST", "com.atproto.server.createSession", "", json=login)
        except XrpcError as error:
            raise self._login_error(error) from error
        self._keep(answer)

    def _login_error(self, error: XrpcError) -> ActionError:
        if error.name == "AuthFactorTokenRequired":
            return HumanNeeded(
                f"{self._site.title} asks for a code that it sent by mail.",
                code="login_challenge",
                hint="Make an app password in the platform's settings and connect the account with it.",
            )
        if error.status in (400, 401, 403):
            return LoginExpired(error.message, code="login_failed", hint=self._site.reconnect_hint)
        return error

    def _renew(self) -> None:
        """New tokens for the kept session, or a new login. Raises: ActionError."""
        try:
            answer = self._send("POST", "com.atproto.server.refreshSession", self._tokens["refresh"])
        except XrpcError as error:
            if error.status not in (400, 401):
                raise
            self._log_in_anew()
        else:
            self._keep(answer)

    def _keep(self, answer: dict[str, Any]) -> None:
        self._tokens = {
            "did": answer["did"],
            "handle": answer["handle"],
            "access": answer["accessJwt"],
            "refresh": answer["refreshJwt"],
        }
        self._context.save_session({_SESSION_KEY: self._tokens})

    # ---- HTTP

    def _authorised(self, verb: str, method: str, **request: Any) -> dict[str, Any]:
        try:
            return self._send(verb, method, self._tokens["access"], **request)
        except XrpcError as error:
            if error.name not in _STALE:
                raise
        self._renew()
        return self._send(verb, method, self._tokens["access"], **request)

    def _send(self, verb: str, method: str, token: str, **request: Any) -> dict[str, Any]:
        url = f"{self._base_url}/xrpc/{method}"
        headers = request.pop("headers", {}) | ({"authorization": f"Bearer {token}"} if token else {})
        timeout_s = min(_TIMEOUT_S, max(0.1, self.remaining_s()))
        try:
            response = self._http.request(verb, url, headers=headers, timeout=timeout_s, **request)
            response.read()
        except httpx.HTTPError as error:
            raise self._explain_transport(error, url) from error
        if response.is_success:
            return dict(response.json()) if response.content else {}
        raise self._explain_answer(response, url)

    def _explain_transport(self, error: httpx.HTTPError, url: str) -> ActionError:
        if cause := self._egress.explain(url):
            return cause
        slow = isinstance(error, httpx.TimeoutException)
        message = "did not answer in time" if slow else "broke the connection"
        return XrpcError(
            f"{self._base_url} {message}.",
            code="timeout" if slow else "site_unreachable",
            hint="Try again later.",
            retryable=True,
        )

    def _explain_answer(self, response: httpx.Response, url: str) -> XrpcError:
        if response.headers.get(REFUSED_HEADER) == "refused":
            raise self._egress.explain(url) or ActionError(f"{url} was refused.", code="address_refused")
        try:
            body = response.json()
        except ValueError:
            body = {}
        name, said = (str(body.get(key) or "") if isinstance(body, dict) else "" for key in ("error", "message"))
        detail = " ".join((said or name or response.reason_phrase).split())[:200]
        is_later = response.status_code == 429 or response.status_code >= 500
        error = XrpcError(
            f"{self._site.title} answered with HTTP status {response.status_code}: “{detail}”.",
            code="rate_limited" if response.status_code == 429 else "http_error",
            hint="Try again later." if is_later else f"Look at the account on {self._site.title}.",
            retryable=is_later,
            retry_after_s=_retry_after_s(response) if is_later else None,
        )
        error.status, error.name = response.status_code, name
        return error


def _retry_after_s(response: httpx.Response) -> float | None:
    """From ``Retry-After`` in seconds, or the protocol's own ``RateLimit-Reset`` in Unix time."""
    for header, now in (("retry-after", 0.0), ("ratelimit-reset", time.time())):
        value = response.headers.get(header, "")
        if value.isdigit():
            return max(0.0, float(value) - now)
    return None
