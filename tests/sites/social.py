"""A small copy of X: its login in steps, its composer and its timeline, with the marks that the real pages carry.

Posts are kept in memory; ``GET /_posts`` shows them to tests as JSON. Accounts: acme / s3cret, and globex / s3cret.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from automation.sites.x_text import weighted_length


def _page(name: str) -> str:
    return (Path(__file__).parent / "pages" / name).read_text(encoding="utf-8")


ACCOUNTS = {"acme": "s3cret", "globex": "s3cret"}


@dataclass
class Options:
    """How the copy behaves.

    Attributes:
        slow_s: delay of every page and of each post.
        has_consent: a cookie banner covers the page until it is answered.
        login_step: an extra step at login: "" none, "captcha" a puzzle, "unusual" a question for the telephone number.
        refuse_posts: what the platform says instead of taking a post ("Whoops! You already said that.").
        lose_answer: the post is taken, but the page never says so and the timeline does not show it.
        drop_newlines: the composer is broken and loses line breaks.
        hide_toast: no "Your post was sent" appears; only the profile shows the post.
    """

    slow_s: float = 0.0
    has_consent: bool = False
    login_step: str = ""
    refuse_posts: str = ""
    lose_answer: bool = False
    drop_newlines: bool = False
    hide_toast: bool = False


@dataclass
class Post:
    """One post."""

    id: int
    handle: str
    text: str
    at: datetime


@dataclass
class State:
    """All that the copy remembers."""

    options: Options
    posts: list[Post] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    login_count: int = 0
    post_attempts: int = 0
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1900000000000000001))


STYLE = _page("social_style.html")

CONSENT = _page("social_consent.html")

LOGIN = _page("social_login.html")

COMPOSER = _page("social_composer.html")


def _article(post: Post) -> str:
    path = f"/{post.handle}/status/{post.id}"
    return (
        f'<article data-testid="tweet" role="article"><div data-testid="User-Name">@{post.handle} '
        f'<a href="{path}"><time datetime="{post.at.isoformat()}">now</time></a></div>'
        f'<div data-testid="tweetText" lang="en">{html.escape(post.text)}</div></article>'
    )


def _document(request: Request, body: str, title: str = "X") -> HTMLResponse:
    state: State = request.app.state.social
    consent = CONSENT if state.options.has_consent and "consent" not in request.cookies else ""
    head = f"<meta charset=utf-8><title>{title}</title>{STYLE}"
    return HTMLResponse(f"<!doctype html><html lang=en><head>{head}</head><body>{body}{consent}</body></html>")


def _handle(request: Request) -> str:
    state: State = request.app.state.social
    return state.sessions.get(request.cookies.get("auth_token", ""), "")


def _framed(handle: str, main: str) -> str:
    return (
        '<div class=layout><nav role=navigation aria-label="Primary">'
        '<a href="/home" data-testid="AppTabBar_Home_Link">Home</a>'
        f'<a href="/{handle}" data-testid="AppTabBar_Profile_Link">Profile</a>'
        '<a href="/compose/post" data-testid="SideNav_NewTweet_Button">Post</a>'
        f'<div role=button data-testid="SideNav_AccountSwitcher_Button">@{handle}</div></nav>'
        f"<main role=main>{main}</main></div>"
    )


async def root(request: Request) -> Response:
    return RedirectResponse("/home" if _handle(request) else "/i/flow/login")


async def login_page(request: Request) -> Response:
    await _delay(request)
    return RedirectResponse("/home") if _handle(request) else _document(request, LOGIN, "Log in to X / X")


async def login_user(request: Request) -> Response:
    user = json.loads(await request.body())["user"].lstrip("@").lower()
    step = request.app.state.social.options.login_step
    if user not in ACCOUNTS:
        return JSONResponse({"error": "Sorry, we could not find your account."})
    return JSONResponse({"step": step or "password"})


async def login_password(request: Request) -> Response:
    state: State = request.app.state.social
    data = json.loads(await request.body())
    user = data["user"].lstrip("@").lower()
    if ACCOUNTS.get(user) != data["password"]:
        return JSONResponse({"error": "Wrong password!"})
    token = secrets.token_hex(16)
    state.sessions[token] = user
    state.login_count += 1
    response = JSONResponse({"step": "home"})
    response.set_cookie("auth_token", token, httponly=True, max_age=86_400)
    return response


async def home(request: Request) -> Response:
    await _delay(request)
    handle = _handle(request)
    if not handle:
        return RedirectResponse("/i/flow/login")
    state: State = request.app.state.social
    composer = COMPOSER.replace("DROP_NEWLINES", json.dumps(state.options.drop_newlines))
    composer = composer.replace("HIDE_TOAST", json.dumps(state.options.hide_toast))
    posts = "".join(_article(p) for p in reversed(state.posts))
    return _document(request, _framed(handle, f"{composer}<section id=posts>{posts}</section>"), "Home / X")


async def profile(request: Request) -> Response:
    await _delay(request)
    handle, state = _handle(request), request.app.state.social
    if not handle:
        return RedirectResponse("/i/flow/login")
    wanted = request.path_params["handle"].lower()
    posts = (
        "" if state.options.lose_answer else "".join(_article(p) for p in reversed(state.posts) if p.handle == wanted)
    )
    return _document(request, _framed(handle, f"<h2>@{html.escape(wanted)}</h2><section id=posts>{posts}</section>"))


async def status(request: Request) -> Response:
    post = next((p for p in request.app.state.social.posts if p.id == request.path_params["post_id"]), None)
    if post is None:
        return _document(request, "<h1>Hmm...this page doesn’t exist.</h1>")
    return _document(request, _framed(_handle(request) or "guest", _article(post)))


async def measure(request: Request) -> Response:
    text = json.loads(await request.body())["text"]
    length = weighted_length(text)
    return JSONResponse({"length": length, "ok": bool(text.strip()) and length <= 280})


async def post(request: Request) -> Response:
    await _delay(request)
    state: State = request.app.state.social
    handle, text = _handle(request), json.loads(await request.body())["text"]
    state.post_attempts += 1
    if not handle:
        return JSONResponse({"error": "You are logged out."})
    if state.options.refuse_posts:
        return JSONResponse({"error": state.options.refuse_posts})
    if not text.strip() or weighted_length(text) > 280:
        return JSONResponse({"error": "Your post is too long."})
    new = Post(next(state.ids), handle, text, datetime.now(UTC))
    state.posts.append(new)
    if state.options.lose_answer:
        return JSONResponse({"silent": True})
    return JSONResponse({"path": f"/{handle}/status/{new.id}", "article": _article(new)})


async def list_posts(request: Request) -> Response:
    """For tests: every post that was taken."""
    return JSONResponse([{"id": p.id, "handle": p.handle, "text": p.text} for p in request.app.state.social.posts])


async def _delay(request: Request) -> None:
    await asyncio.sleep(request.app.state.social.options.slow_s)


def create_app(options: Options | None = None) -> Starlette:
    """The copy of X; ``app.state.social`` holds its State."""
    app = Starlette(
        routes=[
            Route("/", root),
            Route("/i/flow/login", login_page),
            Route("/login", login_page),
            Route("/_login/user", login_user, methods=["POST"]),
            Route("/_login/password", login_password, methods=["POST"]),
            Route("/home", home),
            Route("/compose/post", home),
            Route("/_measure", measure, methods=["POST"]),
            Route("/_post", post, methods=["POST"]),
            Route("/_posts", list_posts),
            Route("/{handle}/status/{post_id:int}", status),
            Route("/{handle}", profile),
        ]
    )
    app.state.social = State(options or Options())
    return app
