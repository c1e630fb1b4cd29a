"""One form whose page can be changed between two visits; what was sent is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

FIRST = """<form action=/send method=post id=f1>
  <label for=n>Your name</label> <input id=n name=full_name>
  <label for=e>E-mail address</label> <input id=e name=mail type=email>
  <label>Seat <select name=seat><option value="">Choose</option><option value=in>Inside</option>
    <option value=out>Terrace</option></select></label>
  <button id=go>Send booking</button></form>"""


@dataclass
class Changing:
    """The form's HTML, and everything that was sent."""

    form: str = FIRST
    sent: list[dict[str, Any]] = field(default_factory=list)


def create_app(state: Changing) -> Starlette:
    """The site."""

    async def page(_request: Request) -> Response:
        return HTMLResponse(f"<!doctype html><title>Book</title><body><h1>Book</h1>{state.form}</body>")

    async def send(request: Request) -> Response:
        values = dict((await request.form()).items())
        state.sent.append(values)
        return HTMLResponse(f"<h1>Thank you, {values.get('full_name', 'friend')}!</h1><p>We have noted it.</p>")

    return Starlette(routes=[Route("/book", page), Route("/send", send, methods=["POST"])])
