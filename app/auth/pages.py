"""The few small HTML pages outside the UI: signing in and out."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Herald</title><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 14vh auto 0; padding: 0 1.25rem }}
h1 {{ font-size: 1.4rem }} code {{ padding: .15em .4em; border-radius: .3em; background: #8883 }}
button {{ font: inherit; padding: .5em 1.2em; border-radius: .4em; border: 1px solid #8888; cursor: pointer }}
.problem {{ border-left: 4px solid #c33; padding-left: .8em }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""


def signin_page(problem: str = "") -> str:
    """How to get a sign-in link; ``problem`` says why the one that was used did not work."""
    shown = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    body = (
        f"{shown}<p>Herald is signed in to with a one-time link. On the machine that runs it, in its folder:</p>"
        "<p><code>herald signin</code></p><p>Open the link that it prints. It works once, within 24 hours.</p>"
    )
    return _PAGE.format(title="Sign in to Herald", body=body)


def signout_page() -> str:
    """Asks before it signs out, because a mere link could be put on any page."""
    body = '<p>Sign this browser out?</p><form method="post" action="/signout"><button>Sign out</button></form>'
    return _PAGE.format(title="Sign out", body=body)
