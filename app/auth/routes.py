"""``/signin`` and ``/signout``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.auth.pages import signin_page, signout_page
from app.auth.service import COOKIE, SESSION_LIFETIME
from app.errors import NotAuthenticated
from app.services import ServicesDep

router = APIRouter(include_in_schema=False)

NO_STORE = {"Cache-Control": "no-store"}


@router.get("/signin")
def sign_in(
    request: Request,
    services: ServicesDep,
    token: Annotated[str, Query(max_length=200)] = "",
    next: Annotated[str, Query(max_length=500)] = "/",
) -> Response:
    """Redeem a one-time link: sets the cookie and goes on to the UI."""
    if not token:
        return HTMLResponse(signin_page(), headers=NO_STORE)
    try:
        cookie = services.auth.redeem(token)
    except NotAuthenticated as error:
        return HTMLResponse(signin_page(error.message), status_code=401, headers=NO_STORE)
    response = RedirectResponse(_own_path(next), status_code=303, headers=NO_STORE)
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
    return response


def _own_path(target: str) -> str:
    """The target when it is a plain path of this app, else the front page: a link must not lead elsewhere."""
    is_own = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if is_own else "/"
