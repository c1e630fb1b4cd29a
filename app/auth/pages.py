"""The small HTML pages outside the UI: signing in, up and out, a lost and a new password. They need no JavaScript."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Herald</title><style>
:root {{ color-scheme: light dark }}
* {{ box-sizing: border-box }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 27rem; margin: 9vh auto 2rem; padding: 0 1.25rem }}
h1 {{ font-size: 1.4rem }} code {{ padding: .15em .4em; border-radius: .3em; background: #8883 }}
label {{ display: block; margin-top: .9rem; font-weight: 600 }}
input {{ font: inherit; width: 100%; padding: .55em .7em; border-radius: .4em; border: 1px solid #8889;
  background: transparent; color: inherit }}
.note {{ font-size: .9rem; opacity: .8; margin: .25rem 0 0 }}
button {{ font: inherit; margin-top: 1.2rem; padding: .55em 1.3em; border-radius: .4em; border: 1px solid #8888;
  cursor: pointer }}
button.main {{ background: #2f5bd7; border-color: #2f5bd7; color: #fff }}
:focus-visible {{ outline: 3px solid #2f5bd7aa; outline-offset: 1px }}
hr {{ border: 0; border-top: 1px solid #8885; margin: 1.8rem 0 1rem }}
.problem {{ border-left: 4px solid #c33; padding-left: .8em }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""

_EMAIL = (
    '<label for="email">Mail address</label><input id="email" name="email" type="email" required maxlength="320"'
    ' autocomplete="username" value="{email}">'
)
_FRESH_FIELD = (
    '<label for="password">Password</label><input id="password" name="password" type="password" required'
    ' minlength="8" maxlength="200" autocomplete="new-password" aria-describedby="rules">'
    '<p class="note" id="rules">At least 8 characters.</p>'
)


def signin_page(problem: str = "", *, email: str = "", next_path: str = "/") -> str:
    """Mail address and password, or how to get a sign-in link; ``problem`` says why the last attempt did not work."""
    form = (
        f'<form method="post" action="/signin">{_hidden("next", next_path)}{_EMAIL.format(email=escape(email))}'
        '<label for="password">Password</label><input id="password" name="password" type="password" required'
        ' maxlength="1000" autocomplete="current-password"><button class="main">Sign in</button></form>'
    )
    rest = (
        '<p class="note"><a href="/forgot">Forgot your password?</a> · <a href="/signup">Sign up</a></p><hr>'
        "<p>Without a password, a one-time link signs the owner in. On the machine that runs Herald, in its folder:</p>"
        "<p><code>herald signin</code></p><p>Open the link that it prints. It works once, within 24 hours.</p>"
    )
    return _PAGE.format(title="Sign in to Herald", body=_problem(problem) + form + rest)


def signup_page(problem: str = "", *, email: str = "", name: str = "", invitation: str = "") -> str:
    """A new person's name, mail address and password."""
    intro = "<p>You were invited to a project.</p>" if invitation else ""
    join = (
        f'<form method="post" action="/signup">{_hidden("invitation", invitation)}{_hidden("join", "1")}'
        '<p class="note">Signed in already? <button>Join with this account</button></p></form><hr>'
        if invitation
        else ""
    )
    form = (
        f'<form method="post" action="/signup">{_hidden("invitation", invitation)}'
        f'<label for="name">Name</label><input id="name" name="name" required maxlength="80" autocomplete="name"'
        f' value="{escape(name)}">{_EMAIL.format(email=escape(email))}{_FRESH_FIELD}'
        '<button class="main">Sign up</button></form><p class="note"><a href="/signin">Sign in instead</a></p>'
    )
    return _PAGE.format(title="Sign up for Herald", body=_problem(problem) + intro + join + form)


def forgot_page(told: str = "", problem: str = "", *, email: str = "", sends_mail: bool) -> str:
    """Ask for the mail address of a lost password, or say by which command its link is made; ``told`` is the answer."""
    form = (
        f'<form method="post" action="/forgot">{_EMAIL.format(email=escape(email))}'
        '<p class="note">A link that sets a new password is sent to it. It works once, within an hour.</p>'
        '<button class="main">Send the link</button></form>'
    )
    command = (
        "<p>This box sends no mail. Whoever runs it can make a link that sets a new password, once, within an hour:"
        " on its machine, in Herald's folder,</p><p><code>herald users reset ADDRESS</code></p>"
        "<p>ADDRESS is the mail address you signed up with.</p>"
    )
    body = f'<p role="status">{escape(told)}</p>' if told else form if sends_mail else command
    back = '<p class="note"><a href="/signin">Sign in</a></p>'
    return _PAGE.format(title="A lost password", body=_problem(problem) + body + back)


def reset_page(token: str, problem: str = "") -> str:
    """The new password."""
    form = (
        f'<form method="post" action="/reset">{_hidden("token", token)}{_FRESH_FIELD}'
        '<p class="note">Every browser and program is signed out.</p>'
        '<button class="main">Set the password</button></form>'
    )
    return _PAGE.format(title="A new password", body=_problem(problem) + form)


def signout_page() -> str:
    """Asks before it signs out, because a mere link could be put on any page."""
    body = '<p>Sign this browser out?</p><form method="post" action="/signout"><button>Sign out</button></form>'
    return _PAGE.format(title="Sign out", body=body)


def _problem(problem: str) -> str:
    return f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'
