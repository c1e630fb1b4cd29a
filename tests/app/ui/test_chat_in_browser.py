"""The chat as a person uses it, in a real browser over the fake API."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.app.ui.conftest import Served, Watched
from tests.app.ui.fake_api import Refusal

pytestmark = pytest.mark.browser
POST = "Post on X: We open at 9am tomorrow!"


def open_chat(page: Page, served: Served, path: str = "/") -> None:
    """Open the page and wait until it is alive."""
    page.goto(served.url + path)
    page.wait_for_selector(".h-welcome, .h-message")


def send(page: Page, message: str) -> None:
    """Type a message and press Enter."""
    page.locator("#message textarea").fill(message)
    page.locator("#message textarea").press("Enter")


def propose(page: Page, served: Served, message: str = POST) -> None:
    """Have an action proposed."""
    open_chat(page, served)
    send(page, message)
    expect(page.locator(".h-card")).to_be_visible()


def status(page: Page, value: str) -> None:
    """Wait until the card has a status."""
    expect(page.locator(".h-card").last).to_have_attribute("data-status", value)


def test_a_browser_without_a_session_gets_the_sign_in_page(page: Page, served: Served) -> None:
    """No bare 401, and the one-time link leads to the page."""
    page.context.clear_cookies()
    page.goto(served.url)
    expect(page.get_by_role("heading", name="Sign in to Herald")).to_be_visible()
    page.goto(f"{served.url}/signin?token=good")
    expect(page.get_by_role("heading", name="What shall we announce?")).to_be_visible()


def test_a_message_is_answered_with_a_card_that_runs_to_its_evidence(page: Page, served: Served) -> None:
    """Ask, see the exact card, approve, follow the job, see the evidence and the closing message."""
    served.box.step_s = 0.8
    propose(page, served)
    card = page.locator(".h-card")
    expect(card).to_contain_text("We open at 9am tomorrow!")
    expect(card).to_contain_text("24 / 280")
    expect(page.locator("#message textarea")).to_have_value("")
    page.get_by_role("button", name="Approve").click()
    expect(card).to_contain_text("Waiting for the worker")
    status(page, "sending")
    expect(card).to_contain_text(re.compile("(Opening the page|Working on it|Taking a screenshot)… [0-9] s"))
    status(page, "succeeded")
    image = card.locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    expect(card.get_by_role("link", name="https://x.example/acme/status/42?a=1&b=<2>")).to_be_visible()
    expect(page.locator(".h-assistant").last).to_contain_text("Posted on X as @acme.")
    assert [run["text"] for run in served.box.executed] == ["We open at 9am tomorrow!"]


def test_waiting_is_visible_and_the_reply_streams(page: Page, served: Served) -> None:
    """A status line counts seconds before the first word; then words appear one after the other."""
    served.box.think_s, served.box.delta_s = 2.5, 0.1
    open_chat(page, served)
    send(page, "Hello there, tell me something")
    expect(page.locator(".h-status")).to_contain_text("Looking into memory… 1 s")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    writing = page.locator(".h-writing")
    expect(writing).to_contain_text("You")
    first = writing.inner_text()
    expect(writing).not_to_have_text(first)
    expect(page.locator(".h-writing")).to_have_count(0)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_two_quick_presses_of_approve_run_it_once(page: Page, served: Served) -> None:
    """Impatience is no error."""
    propose(page, served)
    page.get_by_role("button", name="Approve").evaluate("b => { b.click(); b.disabled = false; b.click(); }")
    status(page, "succeeded")
    assert len(served.box.approvals) == 2
    assert len(served.box.executed) == 1
    expect(page.locator(".h-error")).to_have_count(0)


def test_an_edit_makes_a_new_proposal_that_runs_as_edited(page: Page, served: Served) -> None:
    """Edit, save, see the new text on the card, approve it."""
    propose(page, served)
    before = page.locator(".h-card").get_attribute("data-digest")
    page.get_by_role("button", name="Edit").click()
    area = page.get_by_label("Text", exact=True)
    expect(area).to_be_focused()
    area.fill("\nWe open at 10am,\nreally!")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".h-preview")).to_contain_text("We open at 10am,")
    assert page.locator(".h-card").get_attribute("data-digest") != before
    page.get_by_role("button", name="Approve").click()
    status(page, "succeeded")
    assert served.box.executed == [{"platform": "x", "text": "\nWe open at 10am,\nreally!", "account": ""}]


def test_a_refused_edit_keeps_what_was_typed(page: Page, served: Served) -> None:
    """The reason stands below the form, and the form stays open."""
    propose(page, served, "Fill the form")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Value").first.fill("Grace")
    page.locator(".h-edit input").first.evaluate("i => { i.value = ''; i.required = false; }")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".h-error")).to_contain_text("must not be empty")
    expect(page.get_by_label("Value").first).to_have_value("Grace")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".h-preview")).to_contain_text("Ada")


def test_fields_of_a_form_can_be_added_and_removed(page: Page, served: Served) -> None:
    """What the person adds is what is saved."""
    propose(page, served, "Fill the form")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Add a field").click()
    page.keyboard.type("Phone")
    page.keyboard.press("Tab")
    page.keyboard.type("123")
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".h-preview")).to_contain_text("Phone")
    [action] = served.box.actions.values()
    assert action["params"]["fields"] == {"Message": "Hello\nthere", "Phone": "123"}


def test_a_proposal_with_a_problem_can_only_be_edited_or_rejected(page: Page, served: Served) -> None:
    """Too long for the platform: Approve is off until the text is shorter."""
    propose(page, served, "Post on X: " + "long " * 60)
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_disabled()
    expect(page.locator(".h-problem")).to_contain_text("too long")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Text", exact=True).fill("Short")
    page.get_by_role("button", name="Save").click()
    expect(approve).to_be_enabled()


def test_a_rejected_proposal_never_runs(page: Page, served: Served) -> None:
    """Reject ends it and takes the buttons away."""
    propose(page, served)
    page.get_by_role("button", name="Reject").click()
    status(page, "rejected")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    assert served.box.executed == []


def test_a_proposal_that_changed_elsewhere_is_shown_again_instead_of_run(page: Page, served: Served) -> None:
    """An old digest approves nothing; the card shows what it is now."""
    propose(page, served)
    [action] = served.box.actions.values()
    served.box.set_params(action, {"platform": "x", "text": "Something else", "account": ""})
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".h-error")).to_contain_text("changed since it was shown")
    expect(page.locator(".h-preview")).to_contain_text("Something else")
    assert served.box.executed == []


def test_a_failed_action_says_why_and_what_to_do(page: Page, served: Served) -> None:
    """The card is red with the reason and the next step."""
    served.box.fail_next_action = True
    propose(page, served)
    page.get_by_role("button", name="Approve").click()
    status(page, "failed")
    expect(page.locator(".h-card")).to_contain_text("X refused the login of @acme.")
    expect(page.locator(".h-card")).to_contain_text("Check the password.")
    expect(page.locator(".h-assistant").last).to_contain_text("was not published")


@pytest.mark.parametrize("where", ["before", "in the middle"])
def test_a_failed_message_is_given_back(page: Page, served: Served, where: str) -> None:
    """The error is in plain words with its hint, the typed text is in the box again, and sending it again works."""
    refusal = Refusal(503, "inference_unavailable", "The language model is not running.", "Start it with ./scripts/up.")
    if where == "before":
        served.box.fail_next_chat = refusal
    else:
        served.box.break_next_chat = refusal
    open_chat(page, served)
    send(page, POST)
    expect(page.locator(".h-error")).to_contain_text("The language model is not running.")
    expect(page.locator(".h-error")).to_contain_text("Start it with ./scripts/up. Your message is back in the box.")
    expect(page.locator("#message textarea")).to_have_value(POST)
    page.locator("#message textarea").press("Enter")
    expect(page.locator(".h-card")).to_be_visible()
    expect(page.locator(".h-error")).to_have_count(0)


def test_an_over_long_message_is_refused_with_both_numbers(page: Page, served: Served) -> None:
    """A megabyte is an error on that message and nothing more."""
    open_chat(page, served)
    page.locator("#message textarea").evaluate(
        "t => { t.value = 'x'.repeat(1000000); t.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    page.locator("#message textarea").press("Enter")
    expect(page.locator(".h-error")).to_contain_text("1,000,000 characters; at most 20,000")


def test_a_stopped_reply_ends_and_the_next_message_works(page: Page, served: Served) -> None:
    """Stop is at hand while a reply is written."""
    served.box.delta_s = 0.4
    open_chat(page, served)
    send(page, "Tell me a long story about a harbour")
    expect(page.locator(".h-writing")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".h-stopped")).to_be_visible()
    served.box.delta_s = 0.01
    send(page, POST)
    expect(page.locator(".h-card")).to_be_visible()


def test_enter_does_nothing_while_a_reply_is_written_and_keeps_the_text(page: Page, served: Served) -> None:
    """The next message can be typed ahead; it is not sent by accident."""
    served.box.delta_s = 0.15
    open_chat(page, served)
    send(page, "Hello")
    expect(page.locator(".h-writing")).to_be_visible()
    send(page, "And then?")
    expect(page.locator(".h-writing")).to_have_count(0)
    expect(page.locator("#message textarea")).to_have_value("And then?")
    assert len(next(iter(served.box.conversations.values()))["messages"]) == 2


def test_a_reload_brings_back_the_conversation_and_its_cards(page: Page, served: Served) -> None:
    """Also one that is running: it goes on to its end."""
    served.box.step_s = 2.0
    propose(page, served)
    page.get_by_role("button", name="Approve").click()
    status(page, "sending")
    page.reload()
    expect(page.locator(".h-bubble")).to_have_text(POST)
    status(page, "sending")
    status(page, "succeeded")
    expect(page.locator(".h-assistant").last).to_contain_text("Posted on X")


def test_a_page_is_read_and_the_answer_quotes_it(page: Page, served: Served) -> None:
    """While the model writes about the result, a line says so; then the answer is below the card."""
    served.box.step_s = 2.0
    propose(page, served, "Read https://shop.example/prices and tell me the prices")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".h-status")).to_contain_text("Writing about the result…")
    expect(page.locator(".h-assistant").last).to_contain_text("Apples cost 2 €")
    page.get_by_text("What came back").click()
    expect(page.locator(".h-data")).to_contain_text("Pears cost 3 €.")


def test_every_action_of_a_conversation_keeps_its_card(page: Page, served: Served) -> None:
    """A second proposal does not take the first one's buttons."""
    propose(page, served)
    send(page, "Post on X: And we have cake")
    expect(page.locator(".h-card")).to_have_count(2)
    page.locator(".h-card").first.get_by_role("button", name="Approve").click()
    expect(page.locator(".h-card").first).to_have_attribute("data-status", "succeeded")
    status(page, "awaiting_approval")
    page.locator(".h-card").last.get_by_role("button", name="Reject").click()
    status(page, "rejected")


def test_an_open_edit_survives_another_cards_progress(page: Page, served: Served) -> None:
    """What is being typed is not redrawn away."""
    served.box.step_s = 0.7
    propose(page, served)
    send(page, "Post on X: And we have cake")
    expect(page.locator(".h-card")).to_have_count(2)
    page.locator(".h-card").first.get_by_role("button", name="Approve").click()
    page.locator(".h-card").last.get_by_role("button", name="Edit").click()
    area = page.locator(".h-card").last.get_by_label("Text", exact=True)
    area.fill("We have pie")
    expect(page.locator(".h-card").first).to_have_attribute("data-status", "succeeded")
    expect(area).to_have_value("We have pie")


def test_conversations_are_found_opened_and_deleted(page: Page, served: Served) -> None:
    """The list searches words, opens with the address following, and deletes after a second press."""
    open_chat(page, served)
    send(page, "The blue whale")
    expect(page.locator(".h-conversation")).to_have_count(1)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".h-welcome")).to_be_visible()
    send(page, "The red fox")
    expect(page.locator(".h-conversation")).to_have_count(2)
    page.get_by_label("Find a conversation").fill("whale")
    expect(page.locator(".h-conversation")).to_have_count(1)
    page.locator(".h-open").click()
    expect(page.locator(".h-bubble")).to_have_text("The blue whale")
    page.go_back()
    expect(page.locator(".h-bubble")).to_have_text("The red fox")
    page.get_by_label("Find a conversation").fill("")
    expect(page.locator(".h-conversation")).to_have_count(2)
    delete = page.get_by_role("button", name="Delete The red fox")
    delete.click()
    assert len(served.box.conversations) == 2
    delete.or_(page.get_by_role("button", name="Delete?")).first.click()
    expect(page.locator(".h-conversation")).to_have_count(1)
    expect(page.locator(".h-welcome")).to_be_visible()


def test_an_address_of_a_conversation_that_is_gone_says_so(page: Page, served: Served) -> None:
    """The page is usable all the same."""
    page.goto(f"{served.url}/?c=gone")
    expect(page.locator(".h-error")).to_contain_text("There is no conversation gone.")
    send(page, POST)
    expect(page.locator(".h-card")).to_be_visible()


def test_an_example_is_put_into_the_box(page: Page, served: Served) -> None:
    """The empty page says what one can ask, and a press saves typing."""
    open_chat(page, served)
    expect(page.locator(".h-example")).to_have_count(3)
    page.locator(".h-example").first.click()
    expect(page.locator("#message textarea")).to_have_value(POST)
    page.locator("#message textarea").press("Enter")
    expect(page.locator(".h-card")).to_be_visible()


def test_hostile_text_stays_text(page: Page, served: Served) -> None:
    """Tags, pictures and bidirectional tricks in messages and replies are shown, not run."""
    open_chat(page, served)
    send(page, "<script>window.bad = 1</script> \u202eevil\u202c ![x](https://evil.example/y.png)")
    expect(page.locator(".h-assistant")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".h-bubble .h-hidden").first).to_have_text("U+202E")
    expect(page.locator("#transcript img")).to_have_count(0)
    assert page.evaluate("window.bad") is None


def test_the_keyboard_alone_is_enough(page: Page, served: Served) -> None:
    """Send, reach Approve with Tab, press it, and the focus stays on the card."""
    propose(page, served)
    page.locator(".h-card").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Enter")
    status(page, "succeeded")
    assert page.evaluate("document.activeElement.className") == "h-card"


def test_a_box_that_stops_answering_is_announced(page: Page, served: Served, watched: Watched) -> None:
    """The health line says so within seconds and recovers by itself."""
    open_chat(page, served)
    expect(page.locator(".h-state")).to_have_text("smollm2-135m-instruct")
    served.box.inference = "loading"
    page.reload()
    expect(page.locator(".h-state")).to_have_text("The language model is loading…")
    served.box.inference = "ready"
    expect(page.locator(".h-state")).to_have_text("smollm2-135m-instruct")
    page.route("**/healthz", lambda route: route.abort())
    served.box.inference = "loading"
    page.reload()
    expect(page.locator(".h-state")).to_contain_text("does not answer")


@pytest.mark.parametrize("viewport", [(390, 844)])
def test_a_phone_shows_everything_within_its_width(page: Page, served: Served) -> None:
    """No sideways scrolling, the list is a drawer, and the whole job can be done."""
    propose(page, served, "Post on X: " + "averyveryverylongwordwithoutanyspace" * 6)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for selector in (".h-card", "#message", ".h-decision"):
        box = page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    page.get_by_role("button", name="Conversations").click()
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".h-welcome")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="New chat")).to_be_hidden()
    send(page, POST)
    page.get_by_role("button", name="Approve").click()
    status(page, "succeeded")


def test_hundred_messages_stay_quick(page: Page, served: Served) -> None:
    """A long conversation opens within seconds and shows its end."""
    turn = served.box.turn("Message 0", None)
    for number in range(1, 100):
        served.box.turn(f"Message {number}", turn["conversation_id"])
    started = time.monotonic()
    page.goto(f"{served.url}/?c={turn['conversation_id']}")
    expect(page.locator(".h-bubble")).to_have_count(100)
    assert time.monotonic() - started < 10
    expect(page.locator(".h-bubble").last).to_be_in_viewport()
