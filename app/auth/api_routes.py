"""``/auth``: signing up, logging in and out, keys, a new password, for programs."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.auth.mail import send_reset_link
from app.auth.records import OWNER_ID, ApiKey, User
from app.auth.schemas import (
    ForgotIn,
    KeyIn,
    KeyOut,
    KeysOut,
    LoginIn,
    MeOut,
    NewKeyOut,
    ResetIn,
    SignupIn,
    SignupOut,
    TokenOut,
    UserOut,
)
from app.auth.service import COOKIE, TOKEN_LIFETIME
from app.services import CallerDep, Services, ServicesDep

router = APIRouter(prefix="/auth", tags=["auth"])

EXPIRES_IN_S = int(TOKEN_LIFETIME.total_seconds())


@router.post("/signup", status_code=201)
def sign_up(body: SignupIn, services: ServicesDep, actor: CallerDep) -> SignupOut:
    """Sign up. The first person becomes the owner of the box; others come by invitation, or see nobody's projects."""
    accept = services.projects.acceptance_of(body.invitation) if body.invitation else None
    user = services.auth.users.sign_up(
        body.email,
        body.password.get_secret_value(),
        body.name,
        actor=actor if actor.user_id == OWNER_ID else None,
        accept_invitation=accept,
    )
    token = services.auth.issue_token(user)
    return SignupOut(**_fields(user), access_token=token, expires_in_s=EXPIRES_IN_S)


@router.post("/login")
def log_in(body: LoginIn, request: Request, services: ServicesDep) -> TokenOut:
    """Exchange mail address and password for an access token."""
    client = request.client.host if request.client else "?"
    user = services.auth.users.log_in(body.email, body.password.get_secret_value(), client)
    return TokenOut(access_token=services.auth.issue_token(user), expires_in_s=EXPIRES_IN_S)


@router.post("/logout", status_code=204)
def log_out(request: Request, services: ServicesDep) -> Response:
    """End the token or the browser session that the request came with."""
    services.auth.revoke_token(request.headers.get("authorization", "").partition(" ")[2].strip())
    response = Response(status_code=204)
    if request.cookies.get(COOKIE):
        services.auth.sign_out(request.cookies[COOKIE])
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


@router.get("/me")
def get_me(services: ServicesDep, actor: CallerDep) -> MeOut:
    """Who is asking."""
    scopes = sorted(actor.scopes) if actor.scopes is not None else None
    return MeOut(**_fields(services.auth.users.get(actor.user_id)), via=actor.via, scopes=scopes)


@router.post("/forgot", status_code=202)
def forgot_password(body: ForgotIn, services: ServicesDep) -> dict[str, str]:
    """Send a link for a new password by mail, if that address is known. The answer is the same either way."""
    return {"detail": request_reset(services, body.email)}


@router.post("/reset")
def reset_password(body: ResetIn, services: ServicesDep) -> UserOut:
    """Set a new password with the token of a link. It ends every session of the user."""
    user = services.auth.users.reset_password(body.token, body.password.get_secret_value())
    return UserOut.model_validate(user)


@router.get("/keys")
def list_keys(services: ServicesDep, actor: CallerDep) -> KeysOut:
    """The caller's own keys, without their secrets."""
    return KeysOut(keys=[KeyOut.model_validate(k) for k in services.auth.keys.all(actor.user_id)])


@router.post("/keys", status_code=201)
def create_key(body: KeyIn, services: ServicesDep, actor: CallerDep) -> NewKeyOut:
    """Make a key. Its secret is shown this once."""
    return _new_key(*services.auth.keys.create(actor, body.name, body.scopes, body.tier))


@router.post("/keys/{key_id}/rotate")
def rotate_key(key_id: str, services: ServicesDep, actor: CallerDep) -> NewKeyOut:
    """Give a key a new secret; the old one is worthless at once."""
    return _new_key(*services.auth.keys.rotate(actor, key_id))


@router.delete("/keys/{key_id}", status_code=204)
def delete_key(key_id: str, services: ServicesDep, actor: CallerDep) -> None:
    """Withdraw a key."""
    services.auth.keys.delete(actor, key_id)


def request_reset(services: Services, email: str) -> str:
    """Start the mail to a lost password's owner, if there is one; says the same of every address."""
    if services.settings.smtp_url is None:
        return "This box sends no mail: `herald users reset ADDRESS` on its machine prints a link."
    send_reset_link(services.auth.users, services.settings, email)
    return "If somebody signed up with this address, a link for a new password is on its way to it."


def _new_key(key: ApiKey, secret: str) -> NewKeyOut:
    return NewKeyOut(**KeyOut.model_validate(key).model_dump(), key=secret)


def _fields(user: User) -> dict[str, object]:
    return UserOut.model_validate(user).model_dump()
