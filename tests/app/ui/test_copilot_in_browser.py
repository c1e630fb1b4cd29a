"""Create, Analytics and asking the documents, in a real browser over the real app; only the model is scripted."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.analytics.service import CallRecorder
from app.assistant.service import AssistantService
from app.generation.service import GenerationService
from app.llm import ModelCall, Purpose
from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from tests.app.assistant.test_service import Model
from tests.app.chat.fake_inference import FakeInference
from tests.app.fakes import FakeEmbedder
from tests.app.ui.conftest import WITHIN_MS, choose_tab, serving

pytestmark = pytest.mark.browser

BRIEF = "Plum crumble is back from Friday, 3.80 euro a slice. Book at lindenhof.example/cake"
SHORT = {"text": "Plum crumble is back from Friday!"}
LONG = {"text": "Plum crumble is back. From Friday you get a slice for 3.80 euro. Only 1.99 euro for students."}
TEXT_BOXES = """names => names.map(name => {
    const range = document.createRange();
    range.selectNodeContents(name);
    return range.getBoundingClientRect().toJSON();
})"""
CALL = {"text": "Plum crumble is back. Book a slice now!"}


@dataclass
class Box:
    """A running app with the scripted model behind its client."""

    url: str
    services: Services
    writer: FakeInference
    judge: Model


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One real app for the module's tests."""
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, inference_port=9, allowed_hosts=["*"], _env_file=None)
    services = build_services(settings, embedder=FakeEmbedder(), wake=lambda _action_id: None)
    project = services.within("prj_default")
    writer, judge = FakeInference(), Model()
    record = project.chat._llm.on_call
    own_writer, own_judge = writer.client().recording(record), judge.client().recording(record)
    project.generation = GenerationService(project.database, project.memory, project.actions, own_writer)
    project.assistant = AssistantService(project.memory, own_judge)
    project.memory.add("prices.md", b"# Prices\n- Espresso: 2.60 euro\n- Flat white: 3.90 euro\n", "t")
    with serving(create_app(services=services)) as url:
        yield Box(url, services, writer, judge)


@pytest.fixture
def viewport() -> tuple[int, int]:
    """Width and height of the page in pixels; tests parametrize it."""
    return 1280, 860


@pytest.fixture
def page(box: Box, browser: Browser, viewport: tuple[int, int], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that signed in with a link; nothing on it may fail."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": viewport[0], "height": viewport[1]})
    context.set_default_timeout(WITHIN_MS)
    opened = context.new_page()
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("response", lambda r: problems.append(f"{r.status} {r.url}") if r.status >= 500 else None)
    opened.goto(box.services.auth.create_signin_link(box.url))
    sign_in = opened.get_by_role("button", name="Sign in")
    if sign_in.count():
        sign_in.click()
    opened.wait_for_selector(".h-welcome")
    yield opened
    shots = os.environ.get("HERALD_TEST_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=str(Path(shots) / f"{request.node.name}.png"), full_page=True)
    context.close()
    assert problems == []


def test_nothing_written_yet_says_what_to_do(page: Page) -> None:
    """No blank page, and an empty brief is not sent."""
    choose_tab(page, "Create")
    expect(page.locator("#briefs")).to_contain_text("Nothing was written yet")
    page.get_by_role("button", name="Write three variants").click()
    expect(page.locator("#variants article")).to_have_count(0)


@pytest.mark.parametrize("viewport", [(1280, 1100), (390, 844)])
def test_a_brief_becomes_three_variants(page: Page, box: Box, viewport: tuple[int, int]) -> None:
    """Written with progress, edited with history, written anew, proposed; the voice reaches the model."""
    box.writer.turns = [SHORT, LONG, LONG, LONG, CALL]
    choose_tab(page, "Create")
    page.get_by_text("The voice of this project").click()
    page.get_by_label("How you talk").fill("Dry and short.")
    page.get_by_label("Words that are never used").fill("unique, passion")
    page.get_by_role("button", name="Save the voice").click()
    expect(page.locator("#voice")).to_contain_text("Saved.")
    page.get_by_label("What is it about?").fill(BRIEF)
    page.get_by_label("For", exact=True).select_option("x")
    page.get_by_role("button", name="Write three variants").click()
    cards = page.locator("#variants article")
    expect(cards).to_have_count(3)
    expect(cards.nth(2)).to_contain_text("Book a slice now! lindenhof.example/cake")
    assert "Voice: Dry and short." in box.writer.prompt_of(0)
    long = page.locator('#variants article[data-kind="long_form"]')
    expect(long).to_contain_text("a slice for 3.80 euro.")
    expect(long.locator(".h-preview")).not_to_contain_text("1.99")
    long.get_by_text("Where it comes from").click()
    expect(long).to_contain_text("Only 1.99 euro for students.")
    tops = [round(card.bounding_box()["y"]) for card in cards.all()]  # type: ignore[index]
    assert len(set(tops)) == (1 if viewport[0] > 1000 else 3)
    assert page.evaluate("document.querySelector('#tab-create, .h-wide').scrollWidth") <= viewport[0]

    short = page.locator('#variants article[data-kind="short_form"]')
    short.get_by_role("button", name="Edit").click()
    short.get_by_label("Text", exact=True).fill("Crumble is back.")
    short.get_by_role("button", name="Save").click()
    expect(short.locator(".h-preview")).to_contain_text("Crumble is back.")
    short.get_by_role("button", name="History").click()
    expect(short.locator(".h-versions li")).to_have_count(2)
    box.writer.turns = [SHORT]
    short.get_by_role("button", name="Write anew").click()
    expect(short.locator(".h-preview")).to_contain_text(SHORT["text"])
    short.get_by_role("button", name="Propose as post").click()
    expect(short).to_contain_text("It waits for you under Approvals.")
    choose_tab(page, "Approvals")
    expect(page.locator("#approvals .h-card").first).to_contain_text(SHORT["text"])
    choose_tab(page, "Create")
    page.locator("#briefs .h-earlier").first.click()
    expect(cards).to_have_count(3)


@pytest.mark.parametrize("viewport", [(1280, 1000), (390, 844)])
def test_documents_are_asked_and_quoted(page: Page, box: Box, viewport: tuple[int, int]) -> None:
    """The answer comes with its quote; what no document says is not known."""
    box.judge.answers = [
        ({"answered": True, "lines": [2]}, 0.99),
        ({"stated": True}, 0.99),
        ({"claims": [{"line": 1, "text": "A flat white is 3.90 euro."}]}, None),
    ]
    choose_tab(page, "Memory")
    page.get_by_label("Ask your documents").fill("How much is a flat white?")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#ask .h-answer")).to_have_text("A flat white is 3.90 euro.")
    expect(page.locator("#ask blockquote")).to_have_text("- Flat white: 3.90 euro")
    expect(page.locator("#ask .h-source")).to_contain_text("prices.md")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Open the passage").click()
    expect(opened.value.locator("body")).to_contain_text("Flat white: 3.90 euro")
    opened.value.close()
    box.judge.answers = [({"answered": False, "lines": [1]}, 0.001)]
    page.get_by_label("Ask your documents").fill("Who is the mayor?")
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_contain_text("I do not know")
    expect(page.locator("#ask blockquote")).to_have_count(0)


@pytest.mark.parametrize("viewport", [(1280, 1100), (390, 844)])
def test_figures_are_shown_and_exported(page: Page, box: Box, viewport: tuple[int, int]) -> None:
    """Tiles, charts and tables for a period, and the same as CSV."""
    record = CallRecorder(box.services.within("prj_default").database)
    record(ModelCall(Purpose("generate", BRIEF), "m", 2.5, 1_000, 0, 200))
    choose_tab(page, "Analytics")
    expect(page.locator("#metric-tiles")).to_contain_text("Calls of the model")
    expect(page.locator("#metric-tables")).to_contain_text(BRIEF[:40])
    days = page.locator(".h-chart", has_text="Tokens a day").locator("li")
    expect(days).to_have_count(30)
    expect(days.last.locator("u")).to_be_visible()
    expect(days.last).to_have_attribute("title", re.compile(r"\w{3} \d+: [1-9][\d,]+ tokens"))
    names = days.locator("b:not(:empty)").evaluate_all(TEXT_BOXES)
    assert len(names) == 6
    assert all(left["right"] + 3 < right["left"] for left, right in itertools.pairwise(names)), names
    assert names[-1]["right"] <= viewport[0]
    page.get_by_label("A year").click()
    expect(page.locator("#metric-charts")).to_contain_text("Tokens a month")
    assert page.locator(".h-chart", has_text="Tokens a month").locator("li").count() in {12, 13}
    page.get_by_label("7 days").click()
    expect(days).to_have_count(7)
    link = page.get_by_role("link", name="Download as CSV")
    expect(link).to_have_attribute("href", "/api/v1/projects/prj_default/metrics.csv?period=7d")
    with page.expect_download() as download:
        link.click()
    text = Path(str(download.value.path())).read_text(encoding="utf-8")
    assert text.splitlines()[0] == "section,name,measure,value"
    assert json.dumps(BRIEF)[1:20] in text
    assert page.evaluate("document.querySelector('#tab-analytics, .h-page').scrollWidth") <= viewport[0]
