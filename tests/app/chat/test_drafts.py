"""Which text a reply shows as a draft, and which messages ask to publish it as it stands."""

from __future__ import annotations

import pytest

from app.chat.drafts import Draft, draft_before, draft_in, is_to_be_published
from app.chat.prompt import PastMessage

ASKED = PastMessage("user", "Two ideas for a post about bread, please")
OPTIONS = PastMessage("assistant", "Two ideas:\n\n1. Bread takes time.\n2. Our dough sleeps. We do not.")


def _text(message: str, *history: PastMessage) -> str | None:
    draft = draft_before(message, history)
    return draft.text if draft else None


@pytest.mark.parametrize(
    ("reply", "draft"),
    [
        ("1. Buy oak\n2. Buy elm\nShall I post one?", ""),
        ("Here is a draft: Buy oak. Shall I post it?", "Buy oak."),
        ("Gern, mein Vorschlag:\n\nKühe heim! Ab 11 Uhr: Blasmusik.", "Kühe heim! Ab 11 Uhr: Blasmusik."),
        ("“Buy oak.” Shall I post it, or change something?", "Buy oak."),
        ("Of course. How about this?\n\nOak: 60 years.\n\nTell me if it should change.", "Oak: 60 years."),
        ('Draft: "New at Bright\'s: chainsaws." Shall I publish it?', "New at Bright's: chainsaws."),
        ('I propose:\n\n"Oak is in."\n\nPlease tell me once it is approved.', "Oak is in."),
        ("New year, new oak 🎉 Shall I post it?", "New year, new oak 🎉"),
        ("Voici :\n\nLa tarte rose du jour.", "La tarte rose du jour."),
        ("Klar!\n\n„Der Ofen ist da.“\n\nGefällt dir das?", "Der Ofen ist da."),
        ("Big news!\n\nThe oven is here.", "Big news!\n\nThe oven is here."),
        ("**Option 1:** Buy oak.\n**Option 2:** Buy elm.", ""),
        ("Oak or elm? We have both.", "Oak or elm? We have both."),
        ("Builders: oak is back. Free to look at.", "Builders: oak is back. Free to look at."),
    ],
)
def test_the_draft_is_what_stands_between_the_polite_words(reply: str, draft: str) -> None:
    """Introduction, quotes and closing question are left out; of a list nothing is taken without a choice."""
    assert draft_in(reply) == draft


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("post it first thing tomorrow", None),
        ("hold on a second, then post it", None),
        ("the first or the second, you choose", None),
        ("the 3rd", None),
        ("2. go", "Our dough sleeps. We do not."),
        ("ooh the second one. post that", "Our dough sleeps. We do not."),
        ("den zweiten nehm ma. stell den auf bluesky", "Our dough sleeps. We do not."),
        ("First. Post it on X as is.", "Bread takes time."),
        ("A. Ship it", "Bread takes time."),
        ("the last one please", "Our dough sleeps. We do not."),
    ],
)
def test_one_of_several_is_taken_by_number_or_order(message: str, text: str | None) -> None:
    """Only where the message points at exactly one that exists."""
    assert _text(message, ASKED, OPTIONS) == text


def test_a_reply_without_introduction_is_a_draft_where_one_was_asked_for() -> None:
    """What answers a question, or asks one, is none."""
    shorter = PastMessage("assistant", "2 tickets for Vanta. First DM wins.")
    assert _text("thats the 1, chuck it on ig", PastMessage("user", "shorter please"), shorter) == shorter.content
    assert _text("put it on ig", PastMessage("user", "when does Vanta open?"), shorter) is None
    question = PastMessage("assistant", "What shall it say?")
    assert _text("go on", PastMessage("user", "Draft a post"), question) is None


def test_the_draft_before_some_talk_is_meant_only_where_it_is_pointed_to() -> None:
    """A question about the network in between does not lose it; a proposal is repeated only as "the same"."""
    draft = PastMessage("assistant", "Here is a draft:\n\nWe audited 14 pipelines.")
    talk = [PastMessage("user", "LinkedIn or Bluesky?"), PastMessage("assistant", "LinkedIn: they are there.")]
    history = [PastMessage("user", "Draft something"), draft, *talk]
    assert _text("LinkedIn then, please put it out", *history) == "We audited 14 pipelines."
    assert _text("post on LinkedIn", *history) is None
    action = {"type": "post_social", "params": {"platform": "x", "text": "Lost: a spoon"}}
    history = [PastMessage("user", "Post on X: Lost: a spoon"), PastMessage("assistant", "Done.", action), *talk]
    assert _text("on facebook also the same", *history) == "Lost: a spoon"
    assert _text("put it on facebook", *history) is None


@pytest.mark.parametrize(
    ("message", "is_meant"),
    [
        ("shorter and post it", False),
        ("another one about elm, and post it", False),
        ("now do one that says we close at five", False),
        ("Quita lo de los precios y publícalo ya.", False),
        ("post that we are closed today", False),
        ("go, but in German", False),
        ("looks good, post it with our address", False),
        ("perfect, let it go out", True),
        ("It's perfect, don't change anything, publish", True),
        ("Approved.", True),
        ("The chairman approved it without a change. You may publish.", True),
        (
            "I read it to my partner over breakfast and she said leave it alone. So yes, go ahead, let it fly!",
            True,
        ),
        ("I read it aloud to my partner over breakfast and she said that bread never was so well described. X!", False),
    ],
)
def test_a_request_with_content_of_its_own_is_not_the_draft(message: str, is_meant: bool) -> None:
    """Approval, network and politeness mean the draft; a change, a topic or a long story do not."""
    assert is_to_be_published(message, Draft("Oak", is_tainted=False)) is is_meant


def test_a_draft_made_from_documents_stays_marked() -> None:
    """The mark goes on with the text."""
    reply = PastMessage("assistant", "Here is a draft:\n\nOak costs 9 euros.", is_tainted=True)
    assert draft_before("post it", [PastMessage("user", "Draft a post"), reply]) == Draft("Oak costs 9 euros.", True)
