"""Differently built forms: proper labels, aria labels on divs, tables, scripts, validation errors, own widgets.

What was submitted is kept in memory; ``GET /_submissions`` shows it to tests as JSON.
"""

from __future__ import annotations

import asyncio
import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

PAGES = Path(__file__).parent / "pages"
STATIC = (
    "booking",
    "multi",
    "widgets",
    "limits",
    "captcha",
    "newsletter",
    "shadow",
    "late",
    "table",
    "overlay",
    "steps",
)


@dataclass
class Submissions:
    """Everything that was sent, in order."""

    items: list[dict[str, Any]] = field(default_factory=list)


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    style = (PAGES / "forms_style.html").read_text(encoding="utf-8")
    return HTMLResponse(
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title>{style}</head>"
        f"<body><header><a href=/>Jo's Bakery</a></header><main>{body}</main></body></html>",
        status_code=status,
    )


def _file(name: str) -> str:
    return (PAGES / f"forms_{name}.html").read_text(encoding="utf-8")


async def static_page(request: Request) -> Response:
    name = request.url.path.strip("/")
    return _page(name.title(), _file(name))


def _contact_form(values: dict[str, str], errors: dict[str, str]) -> str:
    def error(name: str) -> str:
        return f'<p class="field-error" id="{name}-error" role="alert">{errors[name]}</p>' if name in errors else ""

    def invalid(name: str) -> str:
        return "aria-invalid=true" if name in errors else ""

    safe = {key: html.escape(value, quote=True) for key, value in values.items()}
    return f"""<h1>Write to us</h1><form method=post action=/contact novalidate aria-label="Contact">
    <p><label for=n>Your name *</label> <input id=n name=full_name value="{safe.get("full_name", "")}" required></p>
    {error("full_name")}
    <p><label>E-mail address *
    <input type=email name=email {invalid("email")} value="{safe.get("email", "")}"></label></p>
    {error("email")}
    <p><label for=p>Phone number (optional)</label> <input id=p type=tel name=phone></p>
    <p><label for=m>Message</label> <textarea id=m name=message rows=5>{safe.get("message", "")}</textarea></p>
    {error("message")}
    <input type=text name=website style="position:absolute;left:-9999px" tabindex=-1 autocomplete=off>
    <p><button type=reset>Clear</button> <button>Send message</button></p></form>"""


async def contact(request: Request) -> Response:
    """A plain form with labels; the server checks it and shows it again with errors."""
    if request.method == "GET":
        return _page("Contact", _contact_form({}, {}))
    values = {key: str(value) for key, value in (await request.form()).items()}
    errors = {}
    if "@" not in values.get("email", "") or "." not in values["email"].rsplit("@", 1)[-1]:
        errors["email"] = "Please enter a valid e-mail address."
    if not values.get("message", "").strip():
        errors["message"] = "Please write a message."
    if errors:
        return _page("Contact", _contact_form(values, errors))
    _keep(request, "contact", values)
    return RedirectResponse("/thanks", status_code=303)


async def thanks(request: Request) -> Response:
    return _page("Thank you", "<h1>Thank you!</h1><p>We have your message and will answer within two days.</p>")


async def take(request: Request) -> Response:
    """Takes any form: JSON from scripts, form data from browsers."""
    kind = request.path_params["kind"]
    is_json = request.headers.get("content-type", "").startswith("application/json")
    if is_json:
        values = await request.json()
    else:
        form = await request.form()
        values = {k: form.getlist(k) if len(form.getlist(k)) > 1 else form[k] for k in form}
    _keep(request, kind, values)
    if is_json:
        return JSONResponse({"message": f"Booked! Your reference is JB-{len(_submissions(request).items):04d}."}, 201)
    return _page("Done", f"<h1>Done</h1><p>The {html.escape(kind)} form has arrived.</p>")


async def strict(request: Request) -> Response:
    """Always says no, with status 422."""
    form = "<h1>Join</h1><form method=post><label>Code <input name=code></label> <button>Join</button></form>"
    if request.method == "GET":
        return _page("Join", form)
    _keep(request, "strict", dict(await request.form()))
    return _page("Join", f'{form}<div class="alert alert-danger">This code has been used already.</div>', 422)


async def slow(request: Request) -> Response:
    form = "<h1>Slow</h1><form method=post><label>Name <input name=name></label> <button>Send</button></form>"
    if request.method == "GET":
        return _page("Slow", form)
    _keep(request, "slow", dict(await request.form()))
    await asyncio.sleep(3)
    return _page("Slow", "<h1>At last</h1><p>Your form arrived after a while.</p>")


async def silent(request: Request) -> Response:
    """Takes the form and shows nothing at all."""
    if request.method == "GET":
        return _page(
            "Silent", "<h1>Silent</h1><form method=post><label>Name <input name=name></label><button>Send</button>"
        )
    _keep(request, "silent", dict(await request.form()))
    return Response(status_code=204)


async def framed(request: Request) -> Response:
    return _page("Framed", "<h1>Our form</h1><iframe src=/contact width=600 height=500 title=Contact></iframe>")


async def index(request: Request) -> Response:
    names = ("contact", *STATIC, "strict", "slow", "silent", "framed")
    return _page("Forms", "<ul>" + "".join(f"<li><a href=/{n}>{n}</a></li>" for n in names) + "</ul>")


async def list_submissions(request: Request) -> Response:
    """For tests: everything that was sent."""
    return JSONResponse(_submissions(request).items)


def _submissions(request: Request) -> Submissions:
    submissions: Submissions = request.app.state.forms
    return submissions


def _keep(request: Request, kind: str, values: dict[str, Any]) -> None:
    _submissions(request).items.append({"kind": kind, "values": values})


def create_app() -> Starlette:
    """The forms; ``app.state.forms`` holds what was submitted."""
    app = Starlette(
        routes=[
            Route("/", index),
            Route("/contact", contact, methods=["GET", "POST"]),
            Route("/thanks", thanks),
            Route("/strict", strict, methods=["GET", "POST"]),
            Route("/slow", slow, methods=["GET", "POST"]),
            Route("/silent", silent, methods=["GET", "POST"]),
            Route("/framed", framed),
            Route("/_submissions", list_submissions),
            Route("/_take/{kind}", take, methods=["POST"]),
            *(Route(f"/{name}", static_page) for name in STATIC),
        ]
    )
    app.state.forms = Submissions()
    return app
