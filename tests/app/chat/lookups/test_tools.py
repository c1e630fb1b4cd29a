"""The read-only tools: what each finds, of which project, and that code alone puts figures into words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.chat.lookups.telling import comment_without_numbers
from app.chat.lookups.tools import Call, FindConversations, ListAssets, ReadAnalytics, SearchMemory, Toolbox
from app.db.scope import DEFAULT_PROJECT
from app.services import Services
from scripts.evaluation.tools import propose

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@pytest.fixture
def ours(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The default project's services, on a Friday."""
    monkeypatch.setattr("app.clock.now", lambda: NOW)
    return services.within(DEFAULT_PROJECT)


@pytest.fixture
def toolbox(ours: Services) -> Toolbox:
    """Its tools."""
    return Toolbox(ours.memory, ours.conversations, ours.analytics)


def figures(toolbox: Toolbox, *names: str, periods: tuple[str, ...] = ("last_week",), **more: object) -> str:
    params = ReadAnalytics.model_validate({"figures": names, "periods": periods, **more})
    return toolbox.run(Call("read_analytics", params), "conv_1").told


def test_nothing_is_found_where_nothing_is(toolbox: Toolbox) -> None:
    """A zero is a figure; no conversation and no passage are none."""
    assert figures(toolbox, "published", "last_post").endswith("- Posts published: 0")
    assert "there is none yet" in figures(toolbox, "last_post")
    assert toolbox.run(Call("list_assets", ListAssets()), "conv_1").told == "Documents: 0"
    for tool, params in (
        ("find_conversations", FindConversations(words="Christmas market")),
        ("search_memory", SearchMemory(query="oat milk")),
    ):
        found = toolbox.run(Call(tool, params), "conv_1")
        assert (found.told, found.notes, found.count) == ("", (), 0)


def test_figures_are_those_of_the_days_and_networks_asked_for(ours: Services, toolbox: Toolbox) -> None:
    """Each counted on the day on which it happened, both ends of the period included."""
    for day in ("2026-11-09", "2026-11-15"):
        propose(ours, "x", f"in {day}", "succeeded", datetime.fromisoformat(f"{day}T12:00+00:00"))
    for day in ("2026-11-08", "2026-11-16"):
        propose(ours, "linkedin", f"out {day}", "succeeded", datetime.fromisoformat(f"{day}T12:00+00:00"))
    propose(ours, "x", "no", "rejected", datetime(2026, 11, 10, tzinfo=UTC))
    propose(ours, "linkedin", "waits", "awaiting_approval", NOW)
    ours.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    assert "Posts published: 2\n- Posts rejected: 1" in figures(toolbox, "published", "rejected")
    assert "Posts published: 4 (LinkedIn 2, X 2)" in figures(toolbox, "published", periods=("all",))
    both = figures(toolbox, "published", networks=("linkedin", "x"))
    assert "on LinkedIn:\n- Posts published: 0" in both
    assert "on X:\n- Posts published: 2" in both
    assert "Posts that wait for approval now: 1" in figures(toolbox, "waiting")
    assert "Actions that wait for approval now: 2" in figures(toolbox, "waiting", of="everything")
    assert figures(toolbox, "last_post") == "- Last post: 16 November 2026"


def test_documents_are_listed_with_what_became_of_them(ours: Services, toolbox: Toolbox) -> None:
    """All, or those of one state."""
    ours.memory.add("menu.md", b"# Menu\n\nA flat white is 3.20 euro.", "t")
    broken, _ = ours.memory.upload("broken.pdf", b"%PDF-1.7\nrubbish", "t")
    ours.ingestion.run(broken.id)
    ours.memory.upload("later.txt", b"Opening hours: nine to five.", "t")
    told = toolbox.run(Call("list_assets", ListAssets()), "conv_1").told
    assert told.startswith("Documents: 3")
    assert "menu.md (uploaded 20 November 2026)" in told
    assert "later.txt (uploaded 20 November 2026, still being read)" in told
    failed = toolbox.run(Call("list_assets", ListAssets(status="failed")), "conv_1")
    assert (failed.count, "broken.pdf" in failed.told, "damaged" in failed.told) == (1, True, True)


def test_other_conversations_are_found_and_the_present_one_is_not(ours: Services, toolbox: Toolbox) -> None:
    """By the most of the words, with what was said and answered, letter by letter."""
    said = "We have a stall at the Christmas market on 12 December."
    earlier = ours.conversations.create(said)
    ours.conversations.append(earlier.id, "user", said)
    ours.conversations.append(earlier.id, "assistant", "Noted: 12 December.")
    present = ours.conversations.create("What about the Christmas market?")
    ours.conversations.append(present.id, "user", "What about the Christmas market?")
    ours.conversations.create("A market report")
    found = toolbox.run(Call("find_conversations", FindConversations(words="christmas market stall")), present.id)
    assert found.count == 1
    assert "20 November 2026" in found.told
    assert found.told.endswith(f"  - You: “{said}”\n  - Herald: “Noted: 12 December.”")


def test_another_projects_things_are_not_looked_up(ours: Services, services: Services, toolbox: Toolbox) -> None:
    """Whatever the tool."""
    with services.database.write() as session:
        session.execute(
            text("INSERT INTO projects (id, name, description, created_at) VALUES ('prj_other', 'O', '', :at)"),
            {"at": "2026-11-01 00:00:00"},
        )
    other = services.within("prj_other")
    other.memory.add("secret.md", b"Oat milk is 40 cents.", "t")
    conversation = other.conversations.create("The Christmas market")
    other.conversations.append(conversation.id, "user", "The Christmas market")
    propose(other, "x", "theirs", "succeeded", datetime(2026, 11, 12, tzinfo=UTC))
    assert "Posts published: 0" in figures(toolbox, "published")
    assert toolbox.run(Call("list_assets", ListAssets()), "c").count == 0
    assert toolbox.run(Call("find_conversations", FindConversations(words="Christmas market")), "c").count == 0
    assert toolbox.run(Call("search_memory", SearchMemory(query="oat milk")), "c").count == 0


def test_a_comment_states_no_number() -> None:
    """In digits or in words; the sentences around it stay."""
    assert comment_without_numbers("You posted 12 times. Keep going! That is twice as much.") == "Keep going!"
    assert comment_without_numbers("Sieben Beiträge sind gut.") == ""
    assert comment_without_numbers("Show more of the shop. Answer comments often.") == (
        "Show more of the shop. Answer comments often."
    )
