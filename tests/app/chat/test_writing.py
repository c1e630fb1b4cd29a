"""Turns in the model's words: what is cut, what is written again, what is asked instead."""

from __future__ import annotations

import json

import httpx
import pytest

from app.chat.contract import Offer
from app.chat.decision import ASK_FOR_FACTS, ASK_FOR_TEXT
from app.chat.offers import post_offer
from app.chat.writing import ANEW, Order, draft_checked, post_written, written
from app.llm import ConstraintFailed, Purpose
from tests.app.chat.fake_inference import FakeInference

ASKED = "Write a tweet that the bakery opens at 7 on Friday and post it"
GOOD = "The bakery opens at 7 on Friday. Come by!"


def turn(text: str, reply: str = "Here is the post.") -> dict[str, object]:
    """A post on X as the model writes it."""
    return {"action": {"type": "post_social", "params": {"platform": "x", "text": text}}, "reply": reply}


def cut_off(text: str) -> httpx.Response:
    """A stream that ends because its tokens are used up."""
    last = {"choices": [{"delta": {}, "finish_reason": "length"}]}
    events = [{"choices": [{"delta": {"content": text}}]}, last]
    return httpx.Response(200, text="".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n")


def order(offers: list[Offer], told: list[str] | None = None) -> Order:
    """An order whose reply is collected in ``told``."""
    on_reply = (told if told is not None else []).append
    return Order([{"role": "user", "content": ASKED}], offers, Purpose("chat"), on_reply)


def post(inference: FakeInference, message: str = ASKED, sources: list[str] | None = None) -> tuple[str, str]:
    """The text of the proposed post, "" for none, and the reply."""
    offers = [post_offer("x", "", [])]
    result = post_written(inference.client(), order(offers), message, sources or [message], lambda _what: None)
    return str(getattr(result.action.params, "text", "")) if result.action else "", result.reply


def test_a_turn_without_any_reply_within_its_tokens_is_refused() -> None:
    """There is nothing to show."""
    inference = FakeInference([cut_off("{"), cut_off("{")])
    with pytest.raises(ConstraintFailed, match="did not finish"):
        written(inference.client(), order([]))


def test_a_reply_that_runs_in_circles_ends_before_it_does() -> None:
    """The stream is left as soon as it is seen, and what was said once is the answer."""
    loop = '{"action": null, "reply": "Ideas: post in the morning. ' + "Ven a vernos hoy mismo. " * 200
    answer = written(FakeInference([loop]).client(), order([]))
    assert answer.reply == "Ideas: post in the morning. Ven a vernos hoy mismo."


def test_a_reply_that_says_nothing_in_circles_is_written_again() -> None:
    """One sign over and over leaves nothing to show."""
    circles = '{"action": null, "reply": "' + "¡" * 400
    inference = FakeInference([circles, {"action": None, "reply": "¡Publicado!"}])
    assert written(inference.client(), order([])).reply == "¡Publicado!"


def test_a_reply_that_runs_out_of_room_ends_at_a_sentence() -> None:
    """Tokens are used up in the middle of a word."""
    inference = FakeInference([cut_off('{"action": null, "reply": "First. Second. Thi')])
    assert written(inference.client(), order([])).reply == "First. Second."


def test_only_made_up_facts_end_in_a_question() -> None:
    """Both attempts state what nobody said and nothing else."""
    inference = FakeInference([turn("Open 6 to 22 daily."), turn("Call Paolo on 555-0199.")])
    assert post(inference, "Write a tweet on our hours and post it") == ("", ASK_FOR_FACTS)
    assert inference.requests[1]["temperature"] == ANEW.temperature


def test_a_text_that_only_repeats_the_request_ends_in_a_question() -> None:
    """Nothing was made up, so it asks what the post shall say."""
    asked = "Tweet something nice about our cakes"
    inference = FakeInference([turn("Tweet something nice about our cakes."), turn("Here is a tweet about cakes.")])
    assert post(inference, asked) == ("", ASK_FOR_TEXT)


def test_a_good_text_is_taken_at_once() -> None:
    """One call, nothing changed."""
    inference = FakeInference([turn(GOOD)])
    assert post(inference) == (GOOD, "Here is the post.")
    assert len(inference.requests) == 1


def test_a_sentence_that_makes_something_up_is_cut() -> None:
    """The rest says all that was asked, so it is not written again."""
    inference = FakeInference([turn(f"{GOOD} The first 50 guests get free coffee from Paolo.")])
    assert post(inference)[0] == GOOD
    assert len(inference.requests) == 1


def test_what_a_passage_or_an_earlier_message_says_may_stand() -> None:
    """Facts come from all that the user said and from what the model was shown."""
    text = f"{GOOD} Coffee is 3.50 with Paolo."
    assert (
        post(FakeInference([turn(text)]), sources=[ASKED, "prices.md\nCoffee 3,50 euro", "Our barista is Paolo"])[0]
        == text
    )


def test_a_text_that_lost_a_fact_is_written_again_with_a_reminder() -> None:
    """Its reply is not waited for: one is written for the text that is taken."""
    inference = FakeInference([turn("The bakery opens early!", "Done."), turn(GOOD, "Other."), turn(GOOD, "Here.")])
    told: list[str] = []
    offers = [post_offer("x", "", [])]
    result = post_written(inference.client(), order(offers, told), ASKED, [ASKED], lambda _what: None)
    assert (result.reply, "".join(told)) == ("Here.", "Here.")
    assert "does not repeat this request" in inference.prompt_of(1)


def test_the_better_of_two_attempts_is_taken() -> None:
    """The second one is not better because it is the second."""
    last = turn("The bakery opens on Friday.")
    inference = FakeInference([turn("The bakery opens on Friday."), turn("The bakery opens."), last])
    assert post(inference)[0] == "The bakery opens on Friday."


def test_a_post_that_runs_in_circles_is_cut_and_gets_its_reply() -> None:
    """The text is settled then; only the reply is still written."""
    head = '{"action": {"type": "post_social", "params": {"platform": "x", "text": "'
    inference = FakeInference([head + f"{GOOD} #bread " + "#tasty " * 300, turn(f"{GOOD} #bread #tasty", "Here.")])
    assert post(inference) == (f"{GOOD} #bread #tasty", "Here.")
    schema = inference.schema_of(1)["properties"]["action"]["properties"]["params"]["properties"]
    assert schema["text"] == {"const": f"{GOOD} #bread #tasty"}


def test_a_dictated_text_may_repeat_itself() -> None:
    """It is the user's own, to the letter."""
    text = "Goal! " * 40 + "Goal!"
    result = written(FakeInference([turn(text)]).client(), order([post_offer("x", text, [])]))
    assert result.action is not None
    assert result.action.params.model_dump()["text"] == text


def test_the_room_for_a_text_is_its_networks() -> None:
    """No text is written that the network would refuse; one that fills its room ends at its last sentence."""
    inference = FakeInference(
        [turn(f"{GOOD} We bake bread. {' and '.join(f'cake with {c}' for c in 'abcdefghijklmnopqrstuvwxyz')}"[:280])]
    )
    assert post(inference)[0] == f"{GOOD} We bake bread."
    schema = inference.schema_of(0)["properties"]["action"]["properties"]["params"]["properties"]
    assert schema["text"]["maxLength"] == 280
    assert post_offer("facebook", "", []).narrow["text"]["maxLength"] == 1_000


def test_a_draft_in_a_reply_is_held_against_the_same_sources() -> None:
    """What "post it" will take over holds nothing made up; other replies are left alone."""
    asked = ["Draft a tweet about our plum cake"]
    shown = "Plum cake is back! Only 2.50 from our Paolo. Shall I post it?"
    assert draft_checked(shown, asked) == "Plum cake is back! Shall I post it?"
    assert draft_checked("Only 2.50 from our Paolo. Shall I post it?", asked) == ASK_FOR_FACTS
    assert draft_checked("Post twice a week, at 9 and at 17.", asked) == "Post twice a week, at 9 and at 17."
