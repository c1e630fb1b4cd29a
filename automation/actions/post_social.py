"""``post_social``: publish a text, with pictures or a video, on a social network as one of the owner's accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    MediaRef,
    Params,
    PreviewLine,
    Reconciled,
    ReconciledOutcome,
    Risk,
)
from automation.hidden_text import hidden_note
from automation.sites.base import Post, Published, plain_handle
from automation.sites.registry import SITES

Platform = Literal["x", "linkedin", "facebook", "instagram", "tiktok", "youtube", "bluesky"]
# After this long no request of a process that died can still arrive.
_IN_FLIGHT = timedelta(minutes=2)


class PostSocialParams(Params):
    """What is published and where. ``account`` empty means the platform's only connected account."""

    platform: Platform
    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    account: Annotated[str, Field(max_length=100)] = ""
    media: Annotated[tuple[MediaRef, ...], Field(max_length=20)] = ()


class PostSocial(ActionType[PostSocialParams]):
    """Publishes as the owner: through the platform's own web pages, or its interface where every user may have it."""

    name = "post_social"
    title = "Post on a social network"
    description = "Publish a text on a social network as the owner's account; text is exactly what will be published."
    risk = Risk.WRITE
    params_class = PostSocialParams

    def preview(self, params: PostSocialParams, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """Platform, account, the exact text with its length against the platform's limit, and every file."""
        site = SITES[params.platform]
        check = site.check(Post(params.text, params.media))
        note = f"{check.length:,} / {check.limit:,}"
        notes = "; ".join(filter(None, (note, check.note, hidden_note(params.text))))
        lines = [
            PreviewLine("Platform", site.title),
            self._account_line(params, accounts),
            PreviewLine("Text", params.text, note=notes, problem=check.text_problem),
        ]
        if check.media_problem and not params.media:
            lines.append(PreviewLine("Media", "none", problem=check.media_problem))
        for number, ref in enumerate(params.media, 1):
            lines += _media_lines(number, ref, check.media_problem if number == 1 else "")
        return tuple(lines)

    def account_for(self, params: PostSocialParams, accounts: tuple[Account, ...]) -> Account | None:
        """The named account, or the platform's only one; None when there is none or the choice is open."""
        candidates = [a for a in accounts if a.platform == params.platform]
        if params.account:
            candidates = [a for a in candidates if plain_handle(a.handle) == plain_handle(params.account)]
        return candidates[0] if len(candidates) == 1 else None

    def is_keyed(self, params: PostSocialParams) -> bool:
        """Whether the platform takes a record key of ours."""
        return SITES[params.platform].is_keyed

    def execute(self, params: PostSocialParams, context: ActionContext) -> ActionResult:
        """Publish and return the new post's address. Raises: ActionError."""
        site = SITES[params.platform]
        measured = tuple(
            ref.model_copy(update={"size_bytes": context.media_path(ref).stat().st_size}) for ref in params.media
        )
        check = site.check(Post(params.text, measured))
        if check.text_problem:
            raise ActionError(check.text_problem, code="text_refused", hint="Edit the text and approve it again.")
        if check.media_problem:
            raise ActionError(check.media_problem, code="media_refused", hint="Change the files and approve it again.")
        return _result(params, site.publish(Post(params.text, params.media), context), context)

    def reconcile(self, params: PostSocialParams, context: ActionContext, began_at: datetime) -> Reconciled:
        """Look for the post: by its key, or in the account's own list of posts. Raises: ActionError."""
        site = SITES[params.platform]
        found = site.look_up(Post(params.text, params.media), context, began_at)
        if found is not None:
            return Reconciled(ReconciledOutcome.HAPPENED, _result(params, found, context), "The post is there.")
        if site.is_keyed and datetime.now(UTC) - began_at > _IN_FLIGHT:
            note = f"{site.title} has no post with this action's key."
            return Reconciled(ReconciledOutcome.DID_NOT_HAPPEN, note=note)
        return Reconciled(ReconciledOutcome.UNKNOWN, note=f"{site.title} does not show the post (yet).")

    @staticmethod
    def _account_line(params: PostSocialParams, accounts: tuple[Account, ...]) -> PreviewLine:
        site = SITES[params.platform]
        own = [a for a in accounts if a.platform == params.platform]
        handles = ", ".join("@" + plain_handle(a.handle) for a in own)
        wanted = "@" + plain_handle(params.account) if params.account else ""
        connect = f"Connect the account in Settings, or run: herald accounts add {params.platform}"
        if not own:
            return PreviewLine("Account", wanted or "none", problem=f"No {site.title} account is connected. {connect}")
        matching = [a for a in own if not wanted or plain_handle(a.handle) == plain_handle(params.account)]
        if not matching:
            problem = f"{wanted} is not connected; connected: {handles}. {connect}"
            return PreviewLine("Account", wanted, problem=problem)
        if len(matching) > 1:
            problem = f"Several accounts are connected: {handles}. Edit the action and name one."
            return PreviewLine("Account", "not chosen", problem=problem)
        account = matching[0]
        is_default = account.base_url.rstrip("/") == site.default_base_url
        note = "" if is_default else f"on {account.base_url}"
        return PreviewLine("Account", "@" + plain_handle(account.handle), note=note)


def _media_lines(number: int, ref: MediaRef, problem: str) -> list[PreviewLine]:
    kind = "Video" if ref.media_type.startswith("video/") else "Picture"
    size = f", {ref.size_bytes / 1e6:.2f} MB" if ref.size_bytes else ""
    notes = [f"{ref.media_type}{size}", hidden_note(ref.filename)]
    lines = [PreviewLine(f"{kind} {number}", ref.filename, note="; ".join(n for n in notes if n), problem=problem)]
    if ref.alt:
        lines.append(PreviewLine(f"Description of {kind.lower()} {number}", ref.alt, note=hidden_note(ref.alt)))
    return lines


def _result(params: PostSocialParams, published: Published, context: ActionContext) -> ActionResult:
    site = SITES[params.platform]
    handle = "@" + plain_handle(context.account.handle if context.account else params.account)
    return ActionResult(
        summary=f"Posted on {site.title} as {handle}: {published.url}",
        data={"platform": params.platform, "account": handle, "url": published.url, "text": published.text},
        evidence=published.evidence,
    )
