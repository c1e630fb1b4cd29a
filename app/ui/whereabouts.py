"""The right end of the page's head: which project is open, how to open another, and the way out."""

from __future__ import annotations

import gradio as gr

from app.client import ApiError, ProjectInfo
from app.ui import markup
from app.ui.gateway import Gateway

_SIGN_OUT = (
    '<form method="post" action="/signout"><button class="h-button h-quiet" title="Sign out" aria-label="Sign out">'
    f'{markup.icon("out")}<span class="h-words">Sign out</span></button></form>'
)


def whereabouts(gateway: Gateway, request: gr.Request) -> str:
    """The switcher of projects with the open one chosen, and a button that signs out."""
    try:
        opened, projects = gateway.projects(request)
    except ApiError:
        return _SIGN_OUT  # the tabs say what is wrong
    return _switcher(opened, projects) + _SIGN_OUT


def _switcher(opened: ProjectInfo | None, projects: list[ProjectInfo]) -> str:
    if opened is None:
        return '<span class="h-no-project">No project</span>'
    options = "".join(
        f'<option value="{markup.text(p["id"])}"{" selected" if p is opened else ""}>{markup.text(p["name"])}</option>'
        for p in projects
    )
    return (
        f'<select class="h-switch" data-open-project autocomplete="off" aria-label="Open project" '
        f'title="{markup.text(opened["name"])}">{options}</select>'
    )
