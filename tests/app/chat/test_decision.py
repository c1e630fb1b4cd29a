"""What a message is taken for, and what of it is settled before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from app.chat import classifier
from app.chat.decision import ASK_FOR_TEXT, ASK_FOR_VALUES, Decision, decide
from app.chat.prompt import PastMessage
from app.llm import UNNAMED, InferenceBusy, LlmClient, Message, Purpose
from automation.actions.base import Account


class Opinionated(LlmClient):
    """A model with one opinion, or an error."""

    def __init__(self, opinion: list[float] | None = None) -> None:
        super().__init__("http://inference.test", "", classifier.opinion_model())
        self.opinion = opinion
        self.asked: list[list[Message]] = []

    def first_word(self, messages: list[Message], words: Any, purpose: Purpose = UNNAMED) -> list[float]:
        self.asked.append(messages)
        if self.opinion is None:
            raise InferenceBusy("busy")
        return self.opinion


def _decide(message: str, *history: PastMessage, accounts: tuple[Account, ...] = ()) -> Decision:
    return decide(message, history, accounts, Opinionated())


def _settled(decision: Decision, name: str) -> Any:
    assert decision.offer is not None
    return decision.offer.narrow[name].get("const")


@pytest.mark.parametrize(
    "message",
    [
        "hello",
        "Draft a tweet about our summer sale, don't post it yet.",
        "Should we post more on Facebook?",
        "Our website is flowers.example by the way.",
        "Give me three ideas for tweets",
        "Post on Mastodon: hi",
        "Read file:///etc/passwd",
        "don't post anything on X today",
    ],
)
def test_what_asks_for_nothing_gets_no_action(message: str) -> None:
    """Talk, drafts, questions, mentions, networks and addresses that cannot be used."""
    assert _decide(message) == Decision()


def test_missing_information_is_asked_for() -> None:
    """One short question instead of an invention."""
    assert _decide("Fill in the form at fair.example/apply").question == ASK_FOR_VALUES
    decision = _decide("Tweet.")
    assert decision.offer is None
    assert decision.question in {ASK_FOR_TEXT, ""}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Post on X: We open at 9am tomorrow!", "We open at 9am tomorrow!"),
        ('tweet this: "Sold out"', "Sold out"),
    ],
)
def test_a_dictated_post_is_settled_to_the_letter(message: str, text: str) -> None:
    """Nothing of it is left to the model."""
    decision = _decide(message)
    assert _settled(decision, "platform") == "x"
    assert _settled(decision, "text") == text
    assert not decision.is_written


def test_a_text_to_be_written_is_left_to_the_model() -> None:
    """Network settled, text open."""
    decision = _decide("Write a tweet that we are looking for a carpenter and post it")
    assert decision.is_written
    assert _settled(decision, "text") is None


def test_a_page_and_a_form_take_the_address_and_values_of_the_user() -> None:
    """As they were written."""
    page = _decide("Read https://wood.example/prices and tell me what oak costs").offer
    assert page is not None
    assert page.narrow == {"url": {"enum": ["https://wood.example/prices"]}}
    form = _decide("Fill in fair.example/f: name = Ada, size = 12").offer
    assert form is not None
    assert form.narrow["fields"]["properties"] == {"name": {"const": "Ada"}, "size": {"const": "12"}}


DRAFT = PastMessage("assistant", "Pine: light and honest. Shall I post it, or change something?")


def test_an_assent_posts_the_draft() -> None:
    """ "post it" means the text that was shown, on the network that was spoken of."""
    decision = _decide("ok, post it", PastMessage("user", "Draft a tweet about pine"), DRAFT)
    assert _settled(decision, "text") == "Pine: light and honest."
    assert not decision.is_tainted
    assert _decide("make it funnier", PastMessage("user", "Draft a tweet about pine"), DRAFT).offer is None


def test_remarks_and_a_sentence_of_praise_are_no_dictated_text() -> None:
    """Points that comment on a draft, or words before "publish it", leave the draft to be posted as it stands."""
    asked = PastMessage("user", "Draft a tweet about pine")
    for message in (
        "Love it. Decision on our side:\n- Ines: yes\n- me: yes\nSo off you go, publish.",
        "How lovely. Please publish it, but on LinkedIn rather than on X.",
    ):
        assert _settled(_decide(message, asked, DRAFT), "text") == "Pine: light and honest."
    dictated = _decide('Post this on X instead: "Oak is dark."', asked, DRAFT)
    assert _settled(dictated, "text") == "Oak is dark."


def test_points_for_a_text_that_is_to_be_written_are_material() -> None:
    """ "please write it and put it up. What matters:" and a list: the list is not posted."""
    points = "- 3 months, paid\n- Ghent or Leeds"
    assert _decide(f"Announce our internship on X, please write it and put it up. What matters:\n{points}").is_written
    assert _settled(_decide(f"Post this on X:\n{points}"), "text") == points


POSTED = PastMessage("assistant", "Here it is.", {"type": "post_social", "params": {"platform": "x", "text": "Open"}})


def test_a_proposal_is_corrected_in_a_few_words() -> None:
    """Another text on the same network; a refusal proposes nothing."""
    corrected = _decide("typo! it should read: Opening", PastMessage("user", "Post on X: Open"), POSTED)
    assert _settled(corrected, "text") == "Opening"
    assert _settled(_decide("no, on twitter!", PastMessage("user", "Post on X: Open"), POSTED), "text") == "Open"
    assert _decide("no wait, don't", PastMessage("user", "Post on X: Open"), POSTED).offer is None


def test_the_answer_to_a_question_is_taken_for_what_was_asked() -> None:
    """The text of a post that had none, the values of a form that had none."""
    asked = PastMessage("assistant", ASK_FOR_TEXT)
    assert _settled(_decide("We turn ten today", PastMessage("user", "Tweet"), asked), "text") == "We turn ten today"
    assert _decide("about our birthday", PastMessage("user", "Tweet"), asked).is_written
    asked = PastMessage("assistant", ASK_FOR_VALUES)
    form = _decide("name: Ada", PastMessage("user", "Fill in fair.example/f"), asked).offer
    assert form is not None
    assert form.narrow["url"] == {"enum": ["fair.example/f"]}


def test_a_draft_made_from_documents_taints_the_proposal() -> None:
    """Its words never decide, but the user may post them; the proposal stays marked."""
    tainted = PastMessage("assistant", DRAFT.content, is_tainted=True)
    decision = _decide("ok, post it", PastMessage("user", "Draft a tweet about pine"), tainted)
    assert _settled(decision, "text") == "Pine: light and honest."
    assert decision.is_tainted


def test_the_only_connected_network_is_meant_when_none_is_named() -> None:
    """With one account there is nothing to ask."""
    accounts = (Account("x", "@jo", "https://x.com"),)
    assert _settled(_decide("publish this: Hello all of you", accounts=accounts), "platform") == "x"


def test_the_model_is_asked_only_in_doubt_and_can_be_done_without() -> None:
    """A sure decision costs nothing; a busy engine does not stop one."""
    llm = Opinionated([-9.0, -0.1, -9.0, -9.0])
    decide("Post on X: We open at 9am tomorrow!", (), (), llm)
    assert llm.asked == []
    decide("Hot news for all our folks out there, get going: pasta", (), (), llm)
    assert len(llm.asked) == 1
    assert isinstance(_decide("Hot news for all our folks out there, get going: pasta"), Decision)


def test_values_of_a_form_are_collected_over_several_messages() -> None:
    """What was given since the page was named counts too, and a correction goes over what was proposed."""
    asked = PastMessage("assistant", "Which email shall I give?")
    named = PastMessage("user", "Fill in fair.example/apply. Company: Oak. Stand: 4")
    takes_it_for_a_form = Opinionated([-9.0, -9.0, -9.0, -0.01])
    first = decide("Email: ann@oak.example", [named, asked], (), takes_it_for_a_form)
    assert first.offer is not None
    assert {name: value["const"] for name, value in first.offer.narrow["fields"]["properties"].items()} == {
        "Company": "Oak",
        "Stand": "4",
        "Email": "ann@oak.example",
    }
    params = {"url": "fair.example/apply", "fields": {"Company": "Oak", "Stand": "4"}}
    proposed = PastMessage("assistant", "I fill it in.", {"type": "fill_form", "params": params})
    second = decide("Stand was my mistake: 6. Send the form again.", [named, proposed], (), takes_it_for_a_form)
    assert second.offer is not None
    assert second.offer.narrow["fields"]["properties"]["Stand"] == {"const": "6"}
    assert second.offer.narrow["fields"]["required"] == ["Company", "Stand"]
