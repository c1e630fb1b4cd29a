"""Small copies of LinkedIn, Facebook, Instagram, TikTok and YouTube: login, composer, list of posts, a post's own page.

One server for each; the pages of ``pages/networks`` carry the marks and the layout of the real ones as far as they are
publicly known. Accounts: acme / s3cret, and globex / s3cret. Posts are kept in memory; ``app.state.network`` holds all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ACCOUNTS = {"acme": "s3cret", "globex": "s3cret"}
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages" / "networks"), autoescape=True, trim_blocks=False
)
# What another release of the site's own markup loses: only roles, labels and places are left.
_MARKS = re.compile(r'\s(?:id|class|name|data-testid|data-e2e|jsname)="[^"]*"')


@dataclass(frozen=True)
class Network:
    """What differs between the copies. ``paths`` maps a path to its page; {handle} and {id} are matched in it."""

    platform: str
    login_path: str
    paths: dict[str, str]
    post_url: str
    limit: int
    after_publish: str
    code_step: str
    notice_class: str = ""
    needs_file: bool = False
    is_public: bool = False
    """Whether the home page is shown to those who are not logged in."""


_ALERT = "notice('{}');"
NETWORKS = {
    n.platform: n
    for n in (
        Network(
            "linkedin",
            "/login",
            {
                "/feed/": "home",
                r"/in/(?P<handle>[\w.-]+)/recent-activity/all/": "profile",
                r"/feed/update/urn:li:activity:(?P<id>\d+)/": "post",
            },
            "/feed/update/urn:li:activity:{id}/",
            3_000,
            """notice('Post successful. <a href="' + answer.path + '">View post</a>');""",
            '<p>Enter the code that we sent</p><input id="input__email_verification_pin" name="pin">',
            "artdeco-toast-item",
        ),
        Network(
            "facebook",
            "/login/",
            {"/": "home", r"/(?P<handle>[\w.]+)/posts/(?P<id>\d+)": "post", r"/(?P<handle>[\w.]+)": "profile"},
            "/{handle}/posts/{id}",
            63_206,
            "show('dialog', false);",
            '<p>Go to your authentication app</p><input name="approvals_code" aria-label="Code">',
        ),
        Network(
            "instagram",
            "/accounts/login/",
            {"/": "home", r"/p/(?P<id>[\w-]+)/": "post", r"/(?P<handle>[\w.]+)/": "profile"},
            "/p/{id}/",
            2_200,
            _ALERT.format("Your post has been shared."),
            '<p>Enter the code</p><input name="verificationCode" aria-label="Security code">',
            needs_file=True,
        ),
        Network(
            "tiktok",
            "/login/phone-or-email/email",
            {
                "/": "home",
                "/tiktokstudio/upload": "composer",
                r"/@(?P<handle>[\w.]+)/video/(?P<id>\d+)": "post",
                r"/@(?P<handle>[\w.]+)": "profile",
            },
            "/@{handle}/video/{id}",
            4_000,
            _ALERT.format("Your video has been published"),
            '<p>Verify</p><input placeholder="Enter 6-digit code" aria-label="Verification code">',
            needs_file=True,
            is_public=True,
        ),
        Network(
            "youtube",
            "/ServiceLogin",
            {"/": "home", "/upload": "composer", r"/@(?P<handle>[\w.-]+)/videos": "profile", r"/watch": "post"},
            "/watch?v={id}",
            5_200,
            """notice(''); $('notice').outerHTML = '<div role="dialog" aria-label="Video published">'
            + '<h1>Video published</h1><a href="' + answer.path + '">Video link</a></div>';""",
            '<h1>2-Step Verification</h1><input name="totpPin">',
            needs_file=True,
            is_public=True,
        ),
    )
}


@dataclass
class Options:
    """How the copy behaves.

    Attributes:
        slow_s: delay of every page, upload and post.
        has_consent: a cookie banner covers the page until it is answered.
        login_step: an extra step at login: "" none, "captcha" a puzzle, "code" a question for a code.
        two_step: the password has a page of its own.
        has_offer: after the login the site offers to save it.
        variant: "a" the marks as known, "b" other markup: no ids, classes, names or test ids.
        refuse_posts: what the platform says instead of taking a post.
        refuse_media: what it says instead of taking a file.
        lose_answer: the post is taken, but the page never says so.
        hidden_looks: how many times the account's list is shown without the new post.
        drop_newlines: the composer loses line breaks.
    """

    slow_s: float = 0.0
    has_consent: bool = False
    login_step: str = ""
    two_step: bool = False
    has_offer: bool = False
    variant: str = "a"
    refuse_posts: str = ""
    refuse_media: str = ""
    lose_answer: bool = False
    hidden_looks: int = 0
    drop_newlines: bool = False


@dataclass
class Post:
    """One post with the SHA-256 of its files."""

    id: str
    handle: str
    text: str
    at: datetime
    files: list[str]

    @property
    def ago(self) -> str:
        minutes = int((datetime.now(UTC) - self.at).total_seconds() // 60)
        return "Just now" if minutes < 1 else f"{minutes} minutes ago"

    @property
    def words(self) -> list[str]:
        return re.split(r"((?:https?://|#)\S+)", self.text)

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def description(self) -> str:
        return self.text.partition("\n")[2]


@dataclass
class State:
    """All that one copy remembers."""

    network: Network
    options: Options
    posts: list[Post] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    login_count: int = 0
    post_attempts: int = 0

    def add(self, handle: str, text: str, files: list[str], at: datetime | None = None) -> Post:
        """Take a post; numbers carry the time as the real ones do."""
        at = at or datetime.now(UTC)
        unix, extra = at.timestamp(), secrets.randbits(16)
        number = {"linkedin": int(unix * 1_000) << 22 | extra, "tiktok": int(unix) << 32 | extra}
        id_ = str(number.get(self.network.platform, int(unix * 1_000) * 1_000 + extra % 1_000))
        if self.network.platform in ("instagram", "youtube"):
            id_ = secrets.token_urlsafe(8)
        post = Post(id_, handle, text, at, files)
        self.posts.insert(0, post)
        return post


def _state(request: Request) -> State:
    state: State = request.app.state.network
    return state


def _handle(request: Request) -> str:
    return _state(request).sessions.get(request.cookies.get("sid", ""), "")


def _render(request: Request, page: str, **values: object) -> HTMLResponse:
    state = _state(request)
    options, network = state.options, state.network
    html = _PAGES.get_template("frame.html").render(
        platform=network.platform,
        title=network.platform.title(),
        page=page,
        handle=_handle(request),
        variant=options.variant,
        two_step=options.two_step,
        consent=options.has_consent and "consent" not in request.cookies,
        spoil=jinja2.utils.markupsafe.Markup(
            """onkeydown="if (event.key === 'Enter') event.preventDefault()" """ if options.drop_newlines else ""
        ),
        needs_file=network.needs_file,
        limit=network.limit,
        slow_ms=int(options.slow_s * 1_000),
        refuse_media=options.refuse_media,
        notice_class=network.notice_class,
        code_step=network.code_step,
        after_publish=jinja2.utils.markupsafe.Markup(network.after_publish),
        **values,
    )
    if options.variant == "b":
        head, script, rest = html.partition("<script>")
        html = _MARKS.sub("", head) + script + rest
    return HTMLResponse(html)


async def page(request: Request) -> Response:
    """Any page of the copy."""
    state = _state(request)
    options, network, path = state.options, state.network, request.url.path
    await asyncio.sleep(options.slow_s)
    if path == network.login_path:
        return _render(request, "login")
    found = next(((m, p) for pattern, p in network.paths.items() if (m := re.fullmatch(pattern, path))), None)
    if found is None:
        return HTMLResponse("Not found", 404)
    match, name = found
    if not _handle(request):
        return _render(request, "out") if network.is_public and name == "home" else RedirectResponse(network.login_path)
    if name == "home" and options.has_offer and "offered" not in request.cookies:
        response = _render(request, "offer")
        response.set_cookie("offered", "1")
        return response
    if name == "profile":
        options.hidden_looks -= match["handle"].lower() in ACCOUNTS  # and not the browser's /favicon.ico
        own = [p for p in state.posts if p.handle == match["handle"].lower()]
        return _render(request, name, posts=own if options.hidden_looks < 0 else own[1:])
    if name == "post":
        wanted = request.query_params.get("v") or match["id"]
        post = next((p for p in state.posts if p.id == wanted), None)
        return _render(request, name, post=post) if post else HTMLResponse("Not found", 404)
    return _render(request, name)


async def login(request: Request) -> Response:
    """The login's steps."""
    state, form = _state(request), await request.form()
    await asyncio.sleep(state.options.slow_s)
    user = str(form["user"]).lower().partition("@")[0]
    has_password = "password" in form
    if user not in ACCOUNTS or (has_password and ACCOUNTS[user] != form["password"]):
        return JSONResponse({"error": "The login you entered is wrong. Try again."})
    if state.options.login_step:
        return JSONResponse({"step": state.options.login_step})
    if not has_password:
        return JSONResponse({"step": "password"})
    token = secrets.token_hex(16)
    state.sessions[token] = user
    state.login_count += 1
    home = next(path for path, name in state.network.paths.items() if name == "home")
    response = JSONResponse({"step": "home", "to": home})
    response.set_cookie("sid", token, httponly=True, max_age=86_400)
    return response


async def publish(request: Request) -> Response:
    """Take a post."""
    state = _state(request)
    await asyncio.sleep(state.options.slow_s)
    async with request.form() as form:
        handle, text = _handle(request), json.loads(str(form["text"]))
        files = [hashlib.sha256(await f.read()).hexdigest() for f in form.getlist("file") if not isinstance(f, str)]
    state.post_attempts += 1
    if not handle:
        return JSONResponse({"error": "You are logged out."})
    if state.options.refuse_posts:
        return JSONResponse({"error": state.options.refuse_posts})
    post = state.add(handle, text, files)
    if state.options.lose_answer:
        return JSONResponse({"silent": True})
    return JSONResponse({"path": state.network.post_url.format(handle=handle, id=post.id)})


async def blank(request: Request) -> Response:
    """What the captcha's frame shows."""
    return HTMLResponse("Pick the ox")


def create_app(platform: str, options: Options | None = None) -> Starlette:
    """The copy of one network; ``app.state.network`` holds its State."""
    app = Starlette(
        routes=[
            Route("/_login", login, methods=["POST"]),
            Route("/_post", publish, methods=["POST"]),
            Route("/_blank", blank),
            Route("/{path:path}", page),
        ]
    )
    app.state.network = State(NETWORKS[platform], options or Options())
    return app
