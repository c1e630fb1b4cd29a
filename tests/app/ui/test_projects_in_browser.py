"""The Projects tab, the switcher in the head, keys and signing out, in a real browser over the real app."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.auth.records import OWNER_ID
from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from tests.app.fakes import FakeEmbedder
from tests.app.ui.conftest import WITHIN_MS, choose_tab, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PASSWORD = "a long sentence of mine"


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """A box without a worker and a model."""
    settings = Settings(home=tmp_path, inference_port=9, allowed_hosts=["*"], _env_file=None)
    return build_services(settings, embedder=FakeEmbedder(), wake=lambda _action_id: None)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(WITHIN_MS)
    yield context
    context.close()


def _shot(page: Page, name: str) -> None:
    folder = os.environ.get("HERALD_TEST_SHOTS")
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(Path(folder) / f"{name}-1280.png"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=str(Path(folder) / f"{name}-390.png"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 860})


def test_a_person_makes_opens_shares_and_leaves_projects(
    context: BrowserContext, browser: Browser, services: Services
) -> None:
    """From the first sign-in to signing out; a second person joins by the link and goes again."""
    with serving(create_app(services=services)) as url:
        page = context.new_page()
        page.goto(services.auth.create_signin_link(url))
        page.wait_for_selector(".h-welcome")
        switch = page.get_by_label("Open project")
        expect(switch.locator("option")).to_have_count(1)

        choose_tab(page, "Projects")
        page.get_by_text("New project").click()
        page.get_by_label("Name", exact=True).first.fill("   ")
        page.get_by_role("button", name="Make the project").click()
        expect(page.locator("#new-project .h-error")).to_contain_text("1 to 100 are allowed")
        page.get_by_label("Name", exact=True).first.fill("Acme <b>Bakery</b>")
        page.get_by_role("button", name="Make the project").click()
        expect(page.locator("#projects li")).to_have_count(2)
        expect(switch.locator("option")).to_have_count(2)

        switch.select_option("Acme <b>Bakery</b>")
        page.wait_for_selector(".h-welcome")
        expect(switch.locator("option:checked")).to_have_text("Acme <b>Bakery</b>")
        choose_tab(page, "Projects")
        expect(page.locator("#projects li[aria-current]")).to_contain_text("Acme <b>Bakery</b>")

        page.locator("#members").get_by_label("Name", exact=True).fill("Acme")
        page.get_by_role("button", name="Save").click()
        expect(switch.locator("option:checked")).to_have_text("Acme")
        page.get_by_text("Invite somebody").click()
        page.get_by_label("As", exact=True).select_option("viewer")
        page.get_by_role("button", name="Make a link").click()
        link = page.locator("#invite .h-once code")
        expect(link).to_contain_text("/signup?invitation=")
        expect(page.get_by_text("Whoever has the link")).to_be_visible()
        _shot(page, "projects")
        _join_look_and_leave(browser, link.inner_text())

        leave = page.get_by_role("button", name="Leave the project")
        leave.click()
        page.get_by_role("button", name="Leave it?").click()
        expect(page.locator("#members .h-error")).to_contain_text("last owner")
        _make_and_revoke_a_key(page, services)
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile(r"/signin$"))
        page.goto(url)
        expect(page).to_have_url(re.compile(r"/signin"))


def _join_look_and_leave(browser: Browser, link: str) -> None:
    guest = browser.new_context()
    page = guest.new_page()
    page.goto(link)
    page.get_by_label("Name").fill("Ben")
    page.get_by_label("Mail address").fill("ben@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_selector(".h-welcome")
    choose_tab(page, "Projects")
    expect(page.locator("#projects li")).to_have_count(1)
    expect(page.locator("#members")).to_contain_text("Ben (you)")
    expect(page.get_by_text("Invite somebody")).to_have_count(0)
    page.get_by_role("button", name="Leave the project").click()
    page.get_by_role("button", name="Leave it?").click()
    expect(page.locator("#whereabouts")).to_contain_text("No project")
    choose_tab(page, "Projects")
    expect(page.locator("#projects")).to_contain_text("You belong to no project yet")
    guest.close()


def _make_and_revoke_a_key(page: Page, services: Services) -> None:
    choose_tab(page, "Settings")
    page.get_by_text("Make a key").click()
    page.get_by_label("Name of the program").fill("Newsletter")
    page.get_by_label("Write: chat").check()
    page.get_by_role("button", name="Make the key").click()
    shown = page.locator("#h-key-once code")
    expect(shown).to_have_text(re.compile("^hk_"))
    first = shown.inner_text()
    _press_and_confirm(page, "Give Newsletter a new secret")
    expect(shown).not_to_have_text(first)
    _shot(page, "keys")
    assert services.auth.keys.actor_of(first) is None
    made = services.auth.keys.actor_of(shown.inner_text())
    assert made is not None
    assert (made.user_id, made.scopes) == (OWNER_ID, {"read", "write"})
    _press_and_confirm(page, "Revoke Newsletter")
    expect(page.locator("#keys")).to_contain_text("You have no keys")


def _press_and_confirm(page: Page, name: str) -> None:
    """Press a button until it asks, then once more: the list may be drawn anew between a press and its effect."""
    button = page.get_by_role("button", name=name)
    button.click()
    try:
        expect(button).to_contain_text("?", timeout=5_000)
    except AssertionError:
        button.click()
        expect(button).to_contain_text("?")
    button.click()


def test_an_owner_sets_the_rules_for_actions(context: BrowserContext, services: Services) -> None:
    """Refused, added, seen and removed: a rate, quiet hours by the browser's clock, two approvers, a list of sites."""
    with serving(create_app(services=services)) as url:
        page = context.new_page()
        page.goto(services.auth.create_signin_link(url))
        page.wait_for_selector(".h-welcome")
        choose_tab(page, "Settings")
        rules = page.locator("#rules")
        expect(rules).to_contain_text("No rules yet")

        page.get_by_text("Quiet hours").click()
        zone = page.get_by_label("by the clocks of")
        expect(zone).to_have_value(page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone"))
        zone.fill("Europe/Atlantis")
        quiet_form = page.locator("form", has=zone)
        quiet_form.get_by_role("button", name="Add the rule").click()
        expect(quiet_form.locator(".h-error")).to_contain_text("Europe/Berlin")
        zone.fill("Europe/Berlin")
        quiet_form.get_by_role("button", name="Add the rule").click()
        expect(rules).to_contain_text("quiet from 22:00 to 07:00 (Europe/Berlin)")

        page.get_by_text("At most so many").click()
        rate_form = page.locator("form", has=page.get_by_label("At most", exact=True))
        rate_form.get_by_label("At most", exact=True).fill("3")
        rate_form.get_by_label("Account").fill("x:acme")
        rate_form.get_by_role("button", name="Add the rule").click()
        expect(rules).to_contain_text("at most 3 in")
        expect(rules).to_contain_text("x:acme")

        page.get_by_text("Who approves").click()
        page.get_by_label("Name of the policy").fill("Two look at every post")
        page.get_by_label("Kind of action").select_option("post_social")
        page.get_by_label("Approved by").fill("role:owner\nrole:approver")
        page.get_by_label("Different people needed").fill("2")
        page.get_by_role("button", name="Add the policy").click()
        expect(rules).to_contain_text("2 people of role:owner, role:approver")
        assert [policy.people_needed for policy in services.policies.all()] == [2]

        page.get_by_text("Sites that automation may open").click()
        page.get_by_label("Never these").fill("evil.example\n\nworse.example")
        page.get_by_role("button", name="Save the lists").click()
        expect(page.get_by_label("Never these")).to_be_hidden()
        assert services.network.rules().denied == ("evil.example", "worse.example")
        _shot(page, "rules")

        for _ in range(2):
            rules.get_by_role("button", name="Remove Two look at every post").click()
        expect(rules.locator("li")).to_have_count(2)
