"""``post_social``: publish a text on a social network as one of the owner's accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from automation.actions.base import (
    Account,
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    Params,
    PreviewLine,
    Risk,
)
from automation.hidden_text import hidden_note
from automation.sites.registry import SITES


class PostSocialParams(Params):
    """What is published and where. ``account`` empty means the platform's only connected account."""

    platform: Literal["x"]
    text: Annotated[str, Field(min_length=1, max_length=10_000)]
    account: Annotated[str, Field(max_length=100)] = ""


class PostSocial(ActionType[PostSocialParams]):
    """Publishes through the platform's own web pages, logged in as the owner."""

    name = "post_social"
    title = "Post on a social network"
    description = "Publish a text on a social network as the owner's account; text is exactly what will be published."
    risk = Risk.WRITE
    params_class = PostSocialParams

    def preview(self, params: PostSocialParams, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """Platform, account and the exact text, with its length against the platform's limit."""
        site = SITES[params.platform]
        measure = site.measure(params.text)
        note = f"{measure.length} / {measure.limit}"
        hidden = hidden_note(params.text)
        return (
            PreviewLine("Platform", site.title),
            self._account_line(params, accounts),
            PreviewLine("Text", params.text, note=f"{note}; {hidden}" if hidden else note, problem=measure.problem),
        )

    def account_for(self, params: PostSocialParams, accounts: tuple[Account, ...]) -> Account | None:
        """The named account, or the platform's only one; None when there is none or the choice is open."""
        candidates = [a for a in accounts if a.platform == params.platform]
        if params.account:
            candidates = [a for a in candidates if _plain_handle(a.handle) == _plain_handle(params.account)]
        return candidates[0] if len(candidates) == 1 else None

    def execute(self, params: PostSocialParams, context: ActionContext) -> ActionResult:
        """Publish the text and return the new post's address. Raises: ActionError."""
        from automation.browser import open_browser  # late: the web process never loads Playwright

        site = SITES[params.platform]
        measure = site.measure(params.text)
        if measure.problem:
            raise ActionError(measure.problem, code="text_refused", hint="Edit the text and approve it again.")
        account = context.account
        if account is None:
            raise ActionError(
                f"No {site.title} account is connected, so nothing was posted.",
                code="account_missing",
                hint=f"Connect an account in Settings, or run: herald accounts add {params.platform}",
            )
        with open_browser(context, storage_state=context.load_session()) as session:
            published = site.publish(session, params.text, account, context)
            session.evidence.screenshot(session.page, "The published post", "published")
            session.evidence.url(published.url, "The post")
        handle = "@" + _plain_handle(account.handle)
        return ActionResult(
            summary=f"Posted on {site.title} as {handle}: {published.url}",
            data={"platform": params.platform, "account": handle, "url": published.url, "text": published.text},
            evidence=session.evidence.items,
        )

    @staticmethod
    def _account_line(params: PostSocialParams, accounts: tuple[Account, ...]) -> PreviewLine:
        site = SITES[params.platform]
        own = [a for a in accounts if a.platform == params.platform]
        handles = ", ".join("@" + _plain_handle(a.handle) for a in own)
        wanted = "@" + _plain_handle(params.account) if params.account else ""
        connect = f"Connect an {site.title} account in Settings, or run: herald accounts add {params.platform}"
        if not own:
            return PreviewLine("Account", wanted or "none", problem=f"No {site.title} account is connected. {connect}")
        matching = [a for a in own if not wanted or _plain_handle(a.handle) == _plain_handle(params.account)]
        if not matching:
            problem = f"{wanted} is not connected; connected: {handles}. {connect}"
            return PreviewLine("Account", wanted, problem=problem)
        if len(matching) > 1:
            problem = f"Several accounts are connected: {handles}. Edit the action and name one."
            return PreviewLine("Account", "not chosen", problem=problem)
        account = matching[0]
        is_default = account.base_url.rstrip("/") == site.default_base_url
        note = "" if is_default else f"on {account.base_url}"
        return PreviewLine("Account", "@" + _plain_handle(account.handle), note=note)


def _plain_handle(handle: str) -> str:
    return handle.strip().removeprefix("@").casefold()
