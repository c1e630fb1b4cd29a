"""The copilot as a new user meets it: sign up, project, five documents, an answer, a brief, figures; and a stranger."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect, sync_playwright

from app.settings import Settings
from automation.browser import find_chromium
from tests.app.memory.reading.test_reading import docx_of, paragraph
from tests.app.memory.test_extraction import pdf_of
from tests.app.ui.conftest import choose_tab
from tests.e2e.box import running_box

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(900)]
WITHIN_MS = 300_000
PASSWORD = "a long sentence of mine"
CORPUS = Path(__file__).resolve().parents[2] / "scripts" / "evaluation" / "corpus"
BRIEF = "The plum crumble is back from Friday on, 3.80 euro a slice. Tables: lindenhof.example/book"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a box with the default model."""
    default_model = str(Settings.model_fields["model"].default)
    with running_box(tmp_path_factory.mktemp("box") / "home", model=default_model) as running:
        yield running.url


@pytest.fixture
def browser() -> Iterator[BrowserContext]:
    """A browser in which nobody is signed in."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(playwright), chromium_sandbox=os.geteuid() != 0
        )
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        context.set_default_timeout(60_000)
        yield context
        chromium.close()


def signed_up(browser: BrowserContext, url: str, name: str) -> Page:
    """A page of a person who has just signed up and belongs to no project yet."""
    page = browser.new_page()
    page.goto(f"{url}/signin")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Mail address").fill(f"{name.lower()}@lindenhof.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_selector(".h-welcome")
    return page


def five_documents() -> list[FilePayload]:
    """A PDF, a Word file, a page, a table and a text."""
    visiting = (CORPUS / "visiting-us.md").read_text(encoding="utf-8")
    prices = (CORPUS / "price-list.md").read_bytes()
    shipping = (CORPUS / "shipping-and-returns.md").read_text(encoding="utf-8").splitlines()
    events = (CORPUS / "events-and-catering.txt").read_text(encoding="utf-8").replace("é", "e")
    page = "<html><body><h1>Visiting us</h1>" + "".join(f"<p>{line}</p>" for line in visiting.splitlines()) + "</body>"
    table = b"Event,Date,Seats left\nLatte art class,2026-11-28,4\nCupping evening,2026-12-05,9\n"
    return [
        {"name": "events.pdf", "mimeType": "application/pdf", "buffer": pdf_of(events)},
        {"name": "shipping.docx", "mimeType": "", "buffer": docx_of("".join(paragraph(line) for line in shipping))},
        {"name": "visiting.html", "mimeType": "text/html", "buffer": page.encode()},
        {"name": "classes.csv", "mimeType": "text/csv", "buffer": table},
        {"name": "prices.md", "mimeType": "text/markdown", "buffer": prices},
    ]


def shot(page: Page, name: str) -> None:
    """HERALD_TEST_SHOTS names a folder for pictures on the way."""
    folder = os.environ.get("HERALD_TEST_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"walk-{name}.png"))


def test_from_signing_up_to_the_figures(browser: BrowserContext, url: str) -> None:
    """Five documents are read, one question is answered with a quote, a brief becomes variants, all is counted."""
    page = signed_up(browser, url, "Anke")
    choose_tab(page, "Projects")
    page.get_by_text("New project").click()
    page.locator("#new-project").get_by_label("Name", exact=True).fill("Café Lindenhof")
    page.get_by_role("button", name="Make the project").click()
    made = page.locator("#projects li", has_text="Café Lindenhof")
    made.get_by_role("button", name="Open").click()
    page.wait_for_selector(".h-welcome")
    expect(page.get_by_label("Open project").locator("option:checked")).to_have_text("Café Lindenhof")
    shot(page, "1-project")

    choose_tab(page, "Memory")
    page.locator("input[type=file]").set_input_files(five_documents())
    documents = page.locator("#documents")
    for name in ("events.pdf", "shipping.docx", "visiting.html", "classes.csv", "prices.md"):
        expect(documents.locator("tr", has_text=name)).to_contain_text(re.compile(r"\d+ passages?"), timeout=WITHIN_MS)
    shot(page, "2-documents")

    page.get_by_label("Ask your documents").fill("How much is a flat white?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#ask .h-answer")).to_contain_text("3.90", timeout=WITHIN_MS)
    expect(page.locator("#ask blockquote").first).to_contain_text("Flat white: 3.90 euro")
    shot(page, "3-answer")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the passage").first.click()
    expect(opened.value.locator("body")).to_contain_text("Flat white: 3.90 euro")
    shot(opened.value, "4-passage")
    opened.value.close()

    choose_tab(page, "Create")
    page.get_by_label("What is it about?").fill(BRIEF)
    page.get_by_label("For", exact=True).select_option("x")
    page.get_by_role("button", name="Write three variants").click()
    cards = page.locator("#variants article")
    expect(cards).to_have_count(3)
    short = page.locator('#variants article[data-kind="short_form"]')
    edit = short.get_by_role("button", name="Edit")
    expect(edit).to_be_visible(timeout=WITHIN_MS)
    expect(cards.nth(2).get_by_role("button", name="Edit")).to_be_visible(timeout=WITHIN_MS)
    shot(page, "5-variants")
    edit.click()
    short.get_by_label("Text", exact=True).fill("Plum crumble from Friday: 3.80 euro a slice.")
    short.get_by_role("button", name="Save").click()
    expect(short.locator(".h-preview")).to_contain_text("Plum crumble from Friday: 3.80 euro a slice.")

    choose_tab(page, "Analytics")
    expect(page.locator("#metric-tiles")).to_contain_text("Calls of the model")
    expect(page.locator("#metric-tables")).to_contain_text(BRIEF[:30])
    shot(page, "6-analytics")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert "generate" in Path(str(download.value.path())).read_text(encoding="utf-8")


def test_a_second_account_sees_none_of_it(browser: BrowserContext, url: str) -> None:
    """Neither on any tab nor by an address that it was told."""
    page = signed_up(browser, url, "Otto")
    expect(page.locator("#whereabouts")).to_contain_text("No project")
    for tab in ("Chat", "Approvals", "Projects", "Memory", "Create", "Analytics"):
        choose_tab(page, tab)
        expect(page.locator(".tabitem:visible")).not_to_contain_text("Lindenhof")
        expect(page.locator(".tabitem:visible")).not_to_contain_text("prices.md")
    shot(page, "7-stranger")
    listed = page.request.get(f"{url}/api/v1/projects").json()["projects"]
    assert listed == []
    assert page.request.get(f"{url}/api/v1/projects/prj_default/assets").status == 404
