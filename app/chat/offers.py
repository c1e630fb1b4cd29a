"""Which actions a turn may choose, and what of a proposal is taken over literally from what the user wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.chat import platforms, spans
from app.chat.contract import Offer, Proposal
from automation.actions.base import Account
from automation.actions.fill_form import FillFormParams
from automation.actions.registry import ACTION_TYPES
from automation.errors import ActionError
from automation.sites.base import Post
from automation.sites.registry import SITES
from automation.urls import normalise_url

MAX_POST_CHARS = 1_000
# A model cannot name a file by its hash; a person adds the files to the proposal.
_NOT_THE_MODELS = frozenset({"media"})


def usable_addresses(said: Sequence[str]) -> list[str]:
    """The addresses in these messages that can be opened, those of the newest message first."""
    found = [a for text in reversed(said) for a in spans.addresses(text) if not problem_of(a)]
    return [a for a in dict.fromkeys(found) if a.casefold() not in platforms.HOSTS]


def page_offer(type_name: str, pages: Sequence[str], narrow: dict[str, dict[str, Any]] | None = None) -> Offer:
    """``scrape_url`` or ``fill_form`` at one of ``pages``: an address can only be one that the user wrote."""
    return Offer(ACTION_TYPES[type_name], {"url": {"enum": list(pages)}} | (narrow or {}))


def post_offer(platform: str, text: str, accounts: Sequence[Account]) -> Offer:
    """``post_social`` on ``platform`` with exactly ``text``, or with one to be written when it is ""."""
    handles = [a.handle for a in accounts if a.platform == platform]
    room = min(MAX_POST_CHARS, SITES[platform].check(Post("")).limit)
    narrow: dict[str, dict[str, Any]] = {
        "platform": {"const": platform},
        "text": {"const": text} if text else {"minLength": 1, "maxLength": room},
    }
    if len(handles) > 1:
        return Offer(ACTION_TYPES["post_social"], narrow | {"account": {"enum": handles}}, omit=_NOT_THE_MODELS)
    return Offer(ACTION_TYPES["post_social"], narrow, omit=_NOT_THE_MODELS | {"account"})


def problem_of(address: str) -> str:
    """Why the address cannot be opened at all, or ""."""
    try:
        normalise_url(address)
    except ActionError as error:
        return error.message
    return ""


def refused_addresses(message: str) -> list[str]:
    """A sentence for each address in the message that cannot be opened."""
    return [f"I cannot open {a}. {problem}" for a in spans.addresses(message) if (problem := problem_of(a))]


def literal(proposal: Proposal, said: Sequence[str]) -> Proposal | None:
    """The proposal with nothing in it that only the user can know. None when nothing that the user gave is left in it.

    A form gets only values that the user wrote: what a model makes up must not be sent to anybody.
    """
    params = proposal.params
    if isinstance(params, FillFormParams):
        given = {name: value for name, value in params.fields.items() if spans.is_quoted_from(value, list(said))}
        return Proposal(proposal.type, params.model_copy(update={"fields": given})) if given else None
    return proposal
