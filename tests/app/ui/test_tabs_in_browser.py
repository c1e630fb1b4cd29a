"""Approvals, Memory and Settings as a person uses them, in a real browser over the fake API."""

from __future__ import annotations

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.app.ui.conftest import Served, Watched, choose_tab

pytestmark = pytest.mark.browser


def open_tab(page: Page, served: Served, name: str) -> None:
    """Open the page at a tab."""
    page.goto(served.url)
    page.wait_for_selector(".h-welcome")
    choose_tab(page, name)


def file(name: str, content: bytes) -> FilePayload:
    """A file to add."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def test_an_empty_list_of_approvals_says_what_to_do(page: Page, served: Served) -> None:
    """No blank page."""
    open_tab(page, served, "Approvals")
    expect(page.locator("#approvals")).to_contain_text("Nothing waits for your approval.")


def test_proposals_are_decided_under_approvals_and_kept_as_history(page: Page, served: Served) -> None:
    """One is approved, one is edited, one is rejected; a program's proposal is there as well."""
    first = served.box.propose("post_social", {"platform": "x", "text": "First", "account": ""}, None)
    second = served.box.propose("scrape_url", {"url": "https://a.example/"}, None)
    open_tab(page, served, "Approvals")
    cards = page.locator("#approvals .h-card")
    expect(cards).to_have_count(2)
    card = page.locator(f'#approvals [data-action="{first["id"]}"].h-card')
    card.get_by_role("button", name="Edit").click()
    card.get_by_label("Text", exact=True).fill("First, edited")
    card.get_by_role("button", name="Save").click()
    expect(card).to_contain_text("First, edited")
    card.get_by_role("button", name="Approve").click()
    expect(card).to_have_attribute("data-status", "succeeded")
    other = page.locator(f'#approvals [data-action="{second["id"]}"].h-card')
    other.get_by_role("button", name="Reject").click()
    expect(other).to_have_attribute("data-status", "rejected")
    expect(page.locator("#approvals")).to_contain_text("Nothing waits for your approval.")
    expect(page.locator("#approvals")).to_contain_text("History")
    card.locator("summary").first.click()
    expect(card.locator("img")).to_be_visible()
    assert served.box.executed == [{"platform": "x", "text": "First, edited", "account": ""}]


def test_a_proposal_that_expired_meanwhile_says_so(page: Page, served: Served) -> None:
    """The button was still there, the decision comes too late."""
    action = served.box.propose("scrape_url", {"url": "https://a.example/"}, None)
    open_tab(page, served, "Approvals")
    expect(page.locator("#approvals .h-card")).to_be_visible()
    action["status"] = "expired"
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#approvals .h-error")).to_contain_text("expired already")
    assert served.box.executed == []


def test_documents_are_added_searched_and_deleted(page: Page, served: Served, watched: Watched) -> None:
    """Several at once; the one that is refused says why and the others are added."""
    watched.allowed_status.add(415)
    open_tab(page, served, "Memory")
    expect(page.locator("#documents")).to_contain_text("No documents yet")
    files = [
        file("prices.txt", b"Apples cost 2 euros."),
        file("bad.exe", b"MZ"),
        file("hours.md", b"# Hours\nNine to five"),
    ]
    page.locator("input[type=file]").set_input_files(files)
    expect(page.locator(".h-uploads")).to_contain_text("bad.exe is not text, Markdown or PDF.")
    expect(page.locator("#documents tbody tr")).to_have_count(2)
    expect(page.locator(".h-uploads .h-done")).to_have_count(2)
    page.get_by_label("Search memory").fill("apples")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".h-hit")).to_contain_text("Apples cost 2 euros.")
    expect(page.locator(".h-hit")).to_contain_text("page 1")
    page.get_by_label("Search memory").fill("zebra")
    page.keyboard.press("Enter")
    expect(page.locator("#memory-search")).to_contain_text("Nothing in memory answers “zebra”.")
    button = page.get_by_role("button", name="Delete prices.txt")
    button.click()
    button.click()
    expect(page.locator("#documents tbody tr")).to_have_count(1)
    choose_tab(page, "Chat")
    page.locator("#message textarea").fill("When do you open?")
    page.keyboard.press("Enter")
    source = page.locator(".h-source")
    expect(source).to_contain_text("hours.md")
    source.locator("summary").click()
    expect(source).to_contain_text("Nine to five")


def test_a_failed_document_says_why_and_is_tried_again(page: Page, served: Served) -> None:
    """What is on its way moves by itself; tags are kept with Enter."""
    document = {"id": "doc_9", "project_id": "prj_default", "filename": "menu.pdf", "status": "ingesting"}
    document |= {"chunk_count": 0, "chunks_done": 3, "chunks_total": 9, "tags": [], "error": None}
    document |= {"size_bytes": 10, "sha256": "0", "created_at": "2026-01-01T00:00:00Z"}
    served.box.documents["doc_9"] = document
    open_tab(page, served, "Memory")
    expect(page.locator("#documents")).to_contain_text("Indexing 3 of 9")
    error = {"code": "document_damaged", "message": "menu.pdf is damaged: cut off.", "hint": "Upload it anew."}
    served.box.documents["doc_9"] = document | {"status": "failed", "error": error}
    expect(page.locator("#documents")).to_contain_text("menu.pdf is damaged: cut off.")
    expect(page.locator("#documents")).to_contain_text("Upload it anew.")
    page.get_by_role("button", name="Try again: menu.pdf").click()
    expect(page.locator("#documents")).to_contain_text("1 passage")
    page.get_by_label("Tags of menu.pdf").fill("menu, summer")
    page.keyboard.press("Enter")
    for _ in range(200):
        if served.box.documents["doc_9"]["tags"]:
            break
        page.wait_for_timeout(50)
    assert served.box.documents["doc_9"]["tags"] == ["menu", "summer"]
    expect(page.get_by_label("Tags of menu.pdf")).to_have_value("menu, summer")


def test_a_file_is_dropped_from_the_desktop(page: Page, served: Served) -> None:
    """Dropping is adding."""
    open_tab(page, served, "Memory")
    data = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File(['Pears cost 3'], 'pears.txt')); return d; }"
    )
    page.dispatch_event(".h-drop", "drop", {"dataTransfer": data})
    expect(page.locator("#documents")).to_contain_text("pears.txt")


def test_an_account_is_connected_and_removed(page: Page, served: Served, watched: Watched) -> None:
    """The password goes to the API alone and is nowhere on the page afterwards."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    open_tab(page, served, "Settings")
    expect(page.locator("#accounts")).to_contain_text("No account is connected")
    page.get_by_text("Connect an account").click()
    page.get_by_label("Handle").fill("@acme")
    page.get_by_label("Login name or mail address").fill("me@acme.example")
    page.get_by_label("Password").fill("s3cret-word")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#accounts")).to_contain_text("@acme")
    with_password = [entry for entry in sent if "s3cret-word" in entry]
    assert [entry.split(" ")[0] for entry in with_password] == [f"{served.url}/api/v1/accounts"]
    assert "s3cret-word" not in page.content()
    remove = page.locator("#accounts").get_by_role("button")
    remove.click()
    expect(remove).to_have_text("Remove it?")
    remove.click()
    expect(page.locator("#accounts")).to_contain_text("No account is connected")


def test_a_refused_account_says_why_and_keeps_the_form(page: Page, served: Served, watched: Watched) -> None:
    """The reason stands in the form."""
    watched.allowed_status.add(422)
    open_tab(page, served, "Settings")
    page.get_by_text("Connect an account").click()
    page.get_by_label("Handle").fill("@")
    page.get_by_label("Login name or mail address").fill("me@acme.example")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator("#account-form .h-form-error")).to_contain_text("The handle is empty.")
    expect(page.get_by_label("Handle")).to_have_value("@")


def test_settings_show_what_runs_and_what_happened(page: Page, served: Served) -> None:
    """Each process and the newest audit entries are there."""
    served.box.propose("scrape_url", {"url": "https://a.example/"}, None)
    open_tab(page, served, "Settings")
    expect(page.locator("#health")).to_contain_text("smollm2-135m-instruct")
    expect(page.locator("#health .h-good")).to_have_count(4)
    expect(page.locator("#audit")).to_contain_text("proposed")


@pytest.mark.parametrize("viewport", [(390, 844)])
@pytest.mark.parametrize("tab", ["Approvals", "Memory", "Settings"])
def test_every_tab_fits_a_phone(page: Page, served: Served, tab: str) -> None:
    """No sideways scrolling anywhere."""
    served.box.propose("post_social", {"platform": "x", "text": "word" * 60, "account": ""}, None)
    open_tab(page, served, tab)
    page.wait_for_timeout(700)
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.tabitem')].map(e => e.scrollWidth))") <= 390


def test_the_page_keeps_gradios_marks_and_services_out(page: Page, served: Served) -> None:
    """No footer, no upload route with room for files, no telemetry; the name is Herald."""
    open_tab(page, served, "Chat")
    expect(page).to_have_title("Herald")
    expect(page.locator("footer")).to_be_hidden()
    config = page.evaluate("window.gradio_config")
    assert config["analytics_enabled"] is False
    assert config.get("run_history") in (False, None)


@pytest.mark.parametrize("viewport", [(1280, 1400), (390, 1600)])
def test_effects_are_stopped_cancelled_and_settled(page: Page, served: Served) -> None:
    """What is held says why; the stop asks once more and can be lifted; what nobody saw the end of is settled."""
    media = {"sha256": "ab" * 32, "filename": "logo.png", "media_type": "image/png", "alt": "Our logo"}
    pair = served.box.propose("post_social", {"platform": "x", "text": "Two must agree", "account": ""}, None)
    pair.update(people_needed=2, approvals=[{"by": "Ada", "at": pair["created_at"]}], not_before="2030-01-01T09:00:00Z")
    pair["params"] = pair["params"] | {"media": [media]}
    held = served.box.propose("post_social", {"platform": "x", "text": "Held", "account": ""}, None)
    held.update(status="approved", decided_at=held["created_at"])
    held["held"] = {
        "reason": "Quiet hours: quiet from 22:00 to 07:00 (Europe/Berlin).",
        "until": "2030-01-01T06:00:00Z",
    }
    lost = served.box.propose("post_social", {"platform": "x", "text": "Lost", "account": ""}, None)
    message = "The worker stopped after it had begun to submit: this may or may not have gone out."
    error = {"code": "interrupted", "message": message, "hint": "Look at the site.", "looked": "Looked 1 of 4 times."}
    lost.update(status="unconfirmed", error=error, decided_at=lost["created_at"])
    open_tab(page, served, "Approvals")
    view = page.locator("#approvals")
    expect(view).to_contain_text("Nobody saw how these ended")
    expect(view).to_contain_text("Approved by Ada. It needs 1 more person.")
    expect(view.locator(".h-medium img")).to_be_visible()
    page.get_by_role("button", name="Stop all actions").click()
    page.get_by_role("button", name="Hold everything now?").click()
    expect(view).to_contain_text("All actions are stopped by Owner")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Let them go on").click()
    expect(page.get_by_role("button", name="Stop all actions")).to_be_visible()
    card = page.locator(f'#approvals [data-action="{held["id"]}"].h-card')
    expect(card).to_contain_text("Held: Quiet hours")
    card.get_by_role("button", name="Cancel").click()
    card.get_by_role("button", name="Cancel it for good?").click()
    expect(card).to_have_attribute("data-status", "cancelled")
    other = page.locator(f'#approvals [data-action="{lost["id"]}"].h-card')
    other.get_by_label("What did you find?").select_option("It went out")
    other.get_by_label("Its address there").fill("https://x.com/acme/status/1")
    other.get_by_role("button", name="Settle it").click()
    expect(other).to_have_attribute("data-status", "succeeded")
    assert lost["result"]["url"] == "https://x.com/acme/status/1"
