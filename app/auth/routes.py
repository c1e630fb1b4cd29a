"""The pages ``/signin``, ``/signup``, ``/forgot``, ``/reset`` and ``/signout``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.auth.api_routes import request_reset
from app.auth.pages import forgot_page, reset_page, signin_page, signout_page, signup_page
from app.auth.records import OWNER_ID
from app.auth.service import COOKIE, PROJECT_COOKIE, SESSION_LIFETIME
from app.auth.users import checked_email
from app.errors import AppError, NotAuthenticated, status_code_of
from app.services import CallerDep, ServicesDep

router = APIRouter(include_in_schema=False)

NO_STORE = {"Cache-Control": "no-store"}
Field = Annotated[str, Form(max_length=1_000)]


@router.get("/signin")
def sign_in(
    request: Request,
    services: ServicesDep,
    token: Annotated[str, Query(max_length=200)] = "",
    next: Annotated[str, Query(max_length=500)] = "/",
) -> Response:
    """Ask for mail address and password, or redeem a one-time link: sets the cookie and goes on to the UI."""
    if not token:
        return HTMLResponse(signin_page(next_path=_own_path(next)), headers=NO_STORE)
    try:
        cookie = services.auth.redeem(token)
    except NotAuthenticated as error:
        return HTMLResponse(signin_page(error.message), status_code=401, headers=NO_STORE)
    return _signed_in(request, cookie, next)


@router.post("/signin")
def sign_in_with_password(
    request: Request, services: ServicesDep, email: Field = "", password: Field = "", next: Field = "/"
) -> Response:
    """Open a browser session for a mail address and its password."""
    try:
        user = services.auth.users.log_in(email, password, request.client.host if request.client else "?")
    except AppError as error:
        page = signin_page(error.message, email=email, next_path=_own_path(next))
        return HTMLResponse(page, status_code=status_code_of(error), headers=NO_STORE)
    services.auth.sign_out(request.cookies.get(COOKIE, ""))
    return _signed_in(request, services.auth.open_browser_session(user), next)


@router.get("/signup")
def ask_sign_up(invitation: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Ask for name, mail address and password."""
    return HTMLResponse(signup_page(invitation=invitation), headers=NO_STORE)


@router.post("/signup")
def sign_up(
    request: Request,
    services: ServicesDep,
    actor: CallerDep,
    name: Field = "",
    email: Field = "",
    password: Field = "",
    invitation: Field = "",
    join: Field = "",
) -> Response:
    """Make a user and open their browser session; or let the one who is signed in join by an invitation."""
    try:
        if join:
            if not actor.user_id:
                return RedirectResponse("/signin", status_code=303, headers=NO_STORE)
            services.projects.accept(actor, invitation)
            return RedirectResponse("/", status_code=303, headers=NO_STORE)
        user = services.auth.users.sign_up(
            email,
            password,
            name,
            actor=actor if actor.user_id == OWNER_ID else None,
            accept_invitation=services.projects.acceptance_of(invitation) if invitation else None,
        )
    except AppError as error:
        page = signup_page(f"{error.message} {error.hint}", email=email, name=name, invitation=invitation)
        return HTMLResponse(page, status_code=status_code_of(error), headers=NO_STORE)
    services.auth.sign_out(request.cookies.get(COOKIE, ""))
    return _signed_in(request, services.auth.open_browser_session(user), "/")


@router.get("/forgot")
def ask_forgot(services: ServicesDep) -> Response:
    """Ask for the mail address, or say how else a link is made."""
    return HTMLResponse(forgot_page(sends_mail=services.settings.smtp_url is not None), headers=NO_STORE)


@router.post("/forgot")
def forgot(services: ServicesDep, email: Field = "") -> Response:
    """Send the link, if somebody signed up with that address. The page is the same either way."""
    sends_mail = services.settings.smtp_url is not None
    try:
        told = request_reset(services, checked_email(email)) if sends_mail else ""
    except AppError as error:
        page = forgot_page(problem=f"{error.message} {error.hint}", email=email, sends_mail=sends_mail)
        return HTMLResponse(page, status_code=status_code_of(error), headers=NO_STORE)
    return HTMLResponse(forgot_page(told, sends_mail=sends_mail), headers=NO_STORE)


@router.get("/reset")
def ask_reset(token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Ask for the new password."""
    return HTMLResponse(reset_page(token), headers=NO_STORE)


@router.post("/reset")
def reset(services: ServicesDep, token: Field = "", password: Field = "") -> Response:
    """Set the new password; the link works once."""
    try:
        services.auth.users.reset_password(token, password)
    except AppError as error:
        page = reset_page(token, f"{error.message} {error.hint}")
        return HTMLResponse(page, status_code=status_code_of(error), headers=NO_STORE)
    return RedirectResponse("/signin", status_code=303, headers=NO_STORE)


@router.get("/signout")
def ask_sign_out() -> Response:
    """Ask whether to sign out."""
    return HTMLResponse(signout_page(), headers=NO_STORE)


@router.post("/signout")
def sign_out(request: Request, services: ServicesDep) -> Response:
    """End this browser's session."""
    services.auth.sign_out(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("/signin", status_code=303, headers=NO_STORE)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(PROJECT_COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _signed_in(request: Request, cookie: str, next_path: str) -> Response:
    response = RedirectResponse(_own_path(next_path), status_code=303, headers=NO_STORE)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


def _own_path(target: str) -> str:
    """The target when it is a plain path of this app, else the front page: a link must not lead elsewhere."""
    is_own = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_own else "/"
