"""Which actions a turn may choose, and what of a proposal is taken over literally from what the user wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.chat import spans
from app.chat.contract import Offer, Proposal
from automation.actions.base import Account
from automation.actions.fill_form import FillFormParams
from automation.actions.post_social import PostSocialParams
from automation.actions.registry import ACTION_TYPES
from automation.errors import ActionError
from automation.urls import normalise_url

MAX_POST_CHARS = 1_000
# A model cannot name a file by its hash; a person adds the files to the proposal.
_NOT_THE_MODELS = frozenset({"media"})


def offers_for(said: Sequence[str], accounts: Sequence[Account]) -> list[Offer]:
    """The actions that make sense after these messages of the user, the newest last.

    An address can only be one that the user wrote, and without one the types that need it are not there to choose.
    """
    offers: list[Offer] = []
    if not spans.names_only_other_platforms(said[-1]):
        offers.append(_post_offer(accounts))
    usable = [a for text in reversed(said) for a in spans.addresses(text) if not problem_of(a)]
    if usable:
        narrow: dict[str, dict[str, Any]] = {"url": {"enum": list(dict.fromkeys(usable))}}
        offers += [Offer(ACTION_TYPES[name], narrow) for name in ("scrape_url", "fill_form")]
    return offers


def _post_offer(accounts: Sequence[Account]) -> Offer:
    handles = [a.handle for a in accounts if a.platform == "x"]
    narrow: dict[str, dict[str, Any]] = {"text": {"minLength": 1, "maxLength": MAX_POST_CHARS}}
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


def is_dictated(proposal: Proposal, said: Sequence[str]) -> bool:
    """Whether the text to publish stands in what the user wrote."""
    params = proposal.params
    return not isinstance(params, PostSocialParams) or spans.is_quoted_from(params.text, list(said))


def literal(proposal: Proposal, said: Sequence[str]) -> Proposal | None:
    """The proposal with the user's own wording. None when nothing that the user gave is left in it.

    A form gets only values that the user wrote: what a model makes up must not be sent to anybody.
    """
    params = proposal.params
    if isinstance(params, PostSocialParams):
        return Proposal(proposal.type, params.model_copy(update={"text": spans.exact_text(params.text, said[-1])}))
    if isinstance(params, FillFormParams):
        given = {name: value for name, value in params.fields.items() if spans.is_quoted_from(value, list(said))}
        return Proposal(proposal.type, params.model_copy(update={"fields": given})) if given else None
    return proposal
