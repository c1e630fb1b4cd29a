"""The Projects tab: the user's projects, and name, members and invitations of the open one.

Its forms and buttons ask the API themselves (``data-api-post``, ``data-call``), so every refusal is the API's own.
"""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.client import ApiError, InvitationInfo, MemberInfo, ProjectInfo
from app.ui import markup
from app.ui.components import wired
from app.ui.gateway import Gateway
from app.ui.whereabouts import whereabouts

ROLES = {
    "owner": "Owner: everything, also members and accounts",
    "approver": "Approver: also approves actions",
    "editor": "Editor: chats, writes and proposes",
    "viewer": "Viewer: looks",
}

NEW_PROJECT = f"""
<div class="h-page-head"><h1>Projects</h1><p>A project is one brand or client: its chats, documents, accounts and actions stay in it.</p></div>
<details class="h-more h-add-account"><summary>{markup.icon("plus")}New project</summary>
<form class="h-form" data-api-post="/api/v1/projects" data-done="changed" autocomplete="off">
<div class="h-field"><label for="h-project-name">Name</label><input id="h-project-name" name="name" placeholder="Acme Bakery" required maxlength="100"></div>
<div class="h-field"><label for="h-project-description">Description</label><textarea id="h-project-description" name="description" rows="2" maxlength="1000"></textarea></div>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Make the project</button></form></details>
"""


@dataclass
class ProjectsTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab, head: Any) -> None:
        """Lay out the tab; it is read anew whenever it is opened, and ``head`` (the switcher) after each change."""
        form = wired("new-project", ["changed"], value=NEW_PROJECT)
        projects = wired("projects", [])
        invite = wired("invite", ["changed"])
        members = wired("members", ["changed"])
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        for source in (form, members):
            source.changed(self.all_but_invite, None, [head, projects, members], **quiet)
        form.changed(self.invite, None, [invite], **quiet)  # the first project has somebody to invite
        invite.changed(self.members, None, [members], **quiet)  # its own link stays, as it is shown only once
        tab.select(self.all_but_invite, None, [head, projects, members], **quiet)
        tab.select(self.invite, None, [invite], **quiet)

    def all_but_invite(self, request: gr.Request) -> tuple[str, str, str]:
        """The switcher, the list of projects, and the members of the open one."""
        try:
            opened, projects = self.gateway.projects(request)
        except ApiError as error:
            return whereabouts(self.gateway, request), markup.error_box(error.message, error.hint), ""
        return whereabouts(self.gateway, request), _projects(projects, opened), self.members(request)

    def invite(self, request: gr.Request) -> str:
        """The form that makes a link for somebody to join by, for an owner."""
        try:
            opened, _ = self.gateway.projects(request)
        except ApiError:
            return ""
        return _invite_form(opened) if opened and opened["role"] == "owner" else ""

    def members(self, request: gr.Request) -> str:
        """Who belongs to the open project, whom it invites, and what can be done with it as a whole."""
        try:
            opened, _ = self.gateway.projects(request)
            if opened is None:
                return ""
            client = self.gateway.client(request)
            members, me = client.members(opened["id"]), str(client.me()["id"])
            invitations = client.invitations(opened["id"]) if opened["role"] == "owner" else []
        except ApiError as error:
            return markup.error_box(error.message, error.hint)
        return _members(opened, members, me) + _invitations(opened, invitations) + _whole(opened)


def _path(project: ProjectInfo) -> str:
    return f"/api/v1/projects/{markup.text(project['id'])}"


def _projects(projects: list[ProjectInfo], opened: ProjectInfo | None) -> str:
    if opened is None:
        return (
            '<div class="h-nothing h-large"><p>You belong to no project yet.</p>'
            "<p>Make one above, or ask the owner of one for an invitation.</p></div>"
        )
    return f'<ul class="h-list h-projects">{"".join(_project(p, is_open=p is opened) for p in projects)}</ul>'


def _project(project: ProjectInfo, *, is_open: bool) -> str:
    name = markup.exact(project["name"])
    way = (
        '<span class="h-chip" data-status="approved">Open now</span>'
        if is_open
        else f'<button type="button" class="h-button" data-call="POST {_path(project)}/open" data-done="reload" '
        f'aria-label="Open {markup.text(project["name"])}">Open</button>'
    )
    return (
        f'<li{" aria-current=true" if is_open else ""}><strong>{name}</strong><span class="h-platform">{markup.text(project["role"])}</span>'
        f'<span class="h-detail">{markup.exact(project["description"])}</span><span class="h-row-end">{way}</span></li>'
    )


def _options(chosen: str, names: dict[str, str]) -> str:
    return "".join(
        f'<option value="{role}"{" selected" if role == chosen else ""}>{markup.text(shown)}</option>'
        for role, shown in names.items()
    )


def _invite_form(project: ProjectInfo) -> str:
    return f"""<h2 class="h-section">Members</h2>
<details class="h-more h-add-account"><summary>{markup.icon("plus")}Invite somebody</summary>
<form class="h-form" data-api-post="{_path(project)}/invitations" data-done="changed" data-shows="url" autocomplete="off">
<div class="h-field"><label for="h-invite-role">As</label><select id="h-invite-role" name="role">{_options("editor", ROLES)}</select></div>
<div class="h-field"><label for="h-invite-email">Mail address (then the link works for this person alone)</label>
<input id="h-invite-email" name="email" type="email" maxlength="320" data-optional></div>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Make a link</button></form></details>
<div class="h-once" data-once="Send this link. It works once, within a week, and is not shown again."></div>"""


def _members(project: ProjectInfo, members: list[MemberInfo], me: str) -> str:
    is_owner = project["role"] == "owner"
    heading = "" if is_owner else '<h2 class="h-section">Members</h2>'
    rows = "".join(_member(project, m, is_owner=is_owner, is_me=m["user_id"] == me) for m in members)
    return f'{heading}<ul class="h-list">{rows}</ul>'


def _member(project: ProjectInfo, member: MemberInfo, *, is_owner: bool, is_me: bool) -> str:
    path = f"{_path(project)}/members/{markup.text(member['user_id'])}"
    name = markup.text(member["name"])
    role = f'<span class="h-platform">{markup.text(member["role"])}</span>'
    if is_owner:
        role = (
            f'<form class="h-inline" data-api-post="{path}" data-method="PATCH" data-done="changed">'
            f'<select name="role" class="h-small" aria-label="Role of {name}">{_options(member["role"], {r: r.capitalize() for r in ROLES})}</select>'
            f'<button type="submit" class="h-button h-quiet" aria-label="Change the role of {name}">Change</button><div class="h-form-error"></div></form>'
        )
    remove = (
        f'<button type="button" class="h-button h-quiet" data-call="DELETE {path}" data-done="changed" '
        f'data-confirm="Remove {name}?" aria-label="Remove {name}">Remove</button>'
        if is_owner and not is_me
        else ""
    )
    you = " (you)" if is_me else ""
    return (
        f'<li><strong>{markup.exact(member["name"])}{you}</strong><span class="h-detail">{markup.exact(member["email"] or "")}</span>'
        f'<span class="h-row-end">{role}{remove}</span></li>'
    )


def _invitations(project: ProjectInfo, invitations: list[InvitationInfo]) -> str:
    if not invitations:
        return ""
    rows = "".join(
        f'<li><strong>{markup.exact(i["email"] or "Whoever has the link")}</strong><span class="h-platform">{markup.text(i["role"])}</span>'
        f'<span class="h-detail">ends {markup.time(i["expires_at"])}</span><span class="h-row-end">'
        f'<button type="button" class="h-button h-quiet" data-call="DELETE {_path(project)}/invitations/{markup.text(i["id"])}" '
        f'data-done="changed" data-confirm="Withdraw it?">Withdraw</button></span></li>'
        for i in invitations
    )
    return f'<h2 class="h-section">Open invitations</h2><ul class="h-list">{rows}</ul>'


def _whole(project: ProjectInfo) -> str:
    path = _path(project)
    leave = (
        f'<button type="button" class="h-button" data-call="POST {path}/leave" data-done="reload" '
        'data-confirm="Leave it?">Leave the project</button>'
    )
    if project["role"] != "owner":
        return f'<h2 class="h-section">This project</h2><div class="h-row">{leave}</div>'
    return f"""<h2 class="h-section">This project</h2>
<form class="h-form" data-api-post="{path}" data-method="PATCH" data-done="changed" autocomplete="off">
<div class="h-field"><label for="h-rename">Name</label><input id="h-rename" name="name" value="{markup.text(project["name"])}" required maxlength="100"></div>
<div class="h-field"><label for="h-describe">Description</label><textarea id="h-describe" name="description" rows="2" maxlength="1000">
{markup.text(project["description"])}</textarea></div>
<div class="h-form-error"></div><button type="submit" class="h-button h-primary">Save</button></form>
<div class="h-row">{leave}<button type="button" class="h-button" data-call="DELETE {path}" data-done="reload"
data-confirm="Delete it with everything in it?">Delete the project</button></div>"""
