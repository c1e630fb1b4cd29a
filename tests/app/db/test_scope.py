"""A project's session sees and changes nothing of another's, whatever the query looks like."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import aliased

from app import clock
from app.accounts.service import NewAccount
from app.conversations.tables import ConversationRow, MessageRow
from app.db.engine import Table
from app.db.schema import metadata
from app.db.scope import DEFAULT_PROJECT, UNSCOPED, ProjectScoped
from app.errors import NotFound
from app.projects.tables import ProjectRow
from app.services import Services

OTHER = "prj_other"

NOT_SCOPED = {
    "projects": "it is the project; only its members' service reads it, by its own conditions",
    "memberships": "says who may see which project, so it is read before there is one",
    "invitations": "is used up by somebody who does not belong to the project yet",
    "users": "a person belongs to the box, and to many projects",
    "signin_links": "signs in the owner of the box",
    "login_sessions": "belongs to a user",
    "api_keys": "belongs to a user, who may use it in each of his projects",
    "password_resets": "belongs to a user",
    "chunks": "is reached through its asset, or by ids from the project's range in memory_indexes",
    "chunk_vectors": "is reached by ids of chunks",
    "staged_chunks": "is reached through its asset",
    "vector_blocks": "is read by SQL that names the project itself (app.memory.index_repository)",
    "approvals": "is reached through its action",
    "action_uses": "rates are counted over an account or a site, whichever project used it",
    "action_sites": "a site that fails gets a rest from the whole box",
    "action_stops": "the stop is for the whole box",
    "workers": "a process works for all projects",
    "memory_indexes": "is read by SQL that names the project itself (app.memory.index_repository)",
}
"""Tables without ``ProjectScoped``, and why."""


@pytest.fixture
def other(services: Services) -> Services:
    """The services of a second project."""
    with services.database.write() as session:
        session.add(ProjectRow(id=OTHER, name="Other", description="", created_at=clock.now()))
    return services.within(OTHER)


@pytest.fixture
def ours(services: Services) -> Services:
    """The services of the default project."""
    return services.within(DEFAULT_PROJECT)


def test_every_table_is_scoped_or_has_a_reason_not_to_be() -> None:
    """A new table belongs to a project or is listed here; and it goes when its project goes."""
    classes = [mapper.class_ for mapper in Table.registry.mappers]
    scoped = {str(cls.__tablename__) for cls in classes if issubclass(cls, ProjectScoped)}
    assert set(metadata.tables) - scoped == set(NOT_SCOPED)
    assert not scoped & set(NOT_SCOPED)
    for name, table in metadata.tables.items():
        if "project_id" not in table.c:
            continue
        rules = {key.ondelete for key in table.c.project_id.foreign_keys}
        assert rules == (set() if name == "audit" else {"CASCADE"}), name  # the log outlives what it is about


def test_a_row_of_another_project_is_not_found_by_its_id(ours: Services, other: Services) -> None:
    """Every kind of row: conversations, actions, documents, accounts."""
    conversation = other.conversations.create("Hello")
    action = other.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    document, _ = other.memory.add("a.txt", b"The shop opens at nine.", "t")
    account = other.accounts.create(NewAccount("x", "acme", "acme", "https://x.com", "secret"), "t")
    for look in (
        lambda: ours.conversations.get(conversation.id),
        lambda: ours.conversations.delete(conversation.id),
        lambda: ours.conversations.append(conversation.id, "user", "Hi"),
        lambda: ours.actions.get(action.id),
        lambda: ours.actions.approve(action.id, action.digest, actor="t"),
        lambda: ours.memory.delete(document.id, "t"),
        lambda: ours.accounts.delete(account.id, "t"),
    ):
        with pytest.raises(NotFound):
            look()
    assert other.actions.get(action.id).status == "awaiting_approval"


def test_lists_searches_and_the_log_show_the_project_alone(ours: Services, other: Services, services: Services) -> None:
    """And the box sees all of it."""
    other.conversations.create("Hello")
    other.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    other.memory.add("a.txt", b"The shop opens at nine.", "t")
    other.accounts.create(NewAccount("x", "acme", "acme", "https://x.com", "secret"), "t")
    assert not ours.conversations.newest()
    assert not ours.actions.newest()
    assert not ours.memory.assets()
    assert not ours.memory.search("When does the shop open?")
    assert not ours.accounts.all()
    assert not ours.audit.entries()
    assert {e.event for e in other.audit.entries()} == {"action.proposed", "memory.added", "account.connected"}
    assert len(services.conversations.newest()) == 1
    assert other.memory.search("When does the shop open?")[0].filename == "a.txt"


def test_a_projects_passages_are_not_crowded_out_by_anothers(ours: Services, other: Services) -> None:
    """The limit of a search counts the project's own passages."""
    for number in range(60):
        other.memory.add(f"{number}.txt", f"The shop opens at nine, they say for time {number}.".encode(), "t")
    ours.memory.add("ours.txt", b"Our opening hours: nine to five.", "t")
    assert [p.filename for p in ours.memory.search("When does the shop open at nine?")] == ["ours.txt"]


def test_two_projects_have_the_same_document_and_the_same_account(ours: Services, other: Services) -> None:
    """Each its own row; the shared file stays until the last one is gone."""
    new = NewAccount("x", "acme", "acme", "https://x.com", "secret")
    ours.accounts.create(new, "t")
    other.accounts.create(new, "t")
    mine, _ = ours.memory.add("a.txt", b"The shop opens at nine.", "t")
    theirs, is_new = other.memory.add("a.txt", b"The shop opens at nine.", "t")
    assert is_new
    assert mine.id != theirs.id
    path = ours.settings.documents_dir / mine.sha256
    ours.memory.delete(mine.id, "t")
    assert path.exists()
    other.memory.delete(theirs.id, "t")
    assert not path.exists()


def test_every_shape_of_query_is_limited(ours: Services, other: Services) -> None:
    """Aliases, joins, columns, counts, exists, updates and deletes."""
    conversation = other.conversations.create("Hello")
    other.conversations.append(conversation.id, "user", "Hello")
    alias = aliased(ConversationRow)
    with ours.database.write() as session:
        assert session.get(ConversationRow, conversation.id) is None
        assert session.scalars(select(alias)).all() == []
        assert session.execute(select(ConversationRow.id, ConversationRow.title)).all() == []
        assert session.scalar(select(func.count(MessageRow.id))) == 0
        assert session.execute(select(MessageRow, alias).join(alias)).all() == []
        assert session.scalar(select(select(ConversationRow.id).exists())) is False
        session.execute(update(ConversationRow).values(title="Ours now"))
        session.execute(delete(MessageRow))
        assert session.scalar(select(func.count(MessageRow.id)), execution_options=UNSCOPED) == 1
    assert other.conversations.get(conversation.id).title == "Hello"
    assert len(other.conversations.messages(conversation.id)) == 1


def test_a_row_cannot_be_put_into_or_taken_from_another_project(ours: Services, other: Services) -> None:
    """A session of one project refuses to write another's rows."""
    at = clock.now()
    with pytest.raises(AssertionError, match="must not touch"), ours.database.write() as session:
        session.add(ConversationRow(id="conv_1", project_id=OTHER, title="x", created_at=at, updated_at=at))
    mine = ours.conversations.create("Hello")
    with ours.database.read() as session:
        row = session.get(ConversationRow, mine.id)
        assert row is not None
        row.project_id = OTHER
        with pytest.raises(AssertionError, match="must not touch"):
            session.flush()
    assert not other.conversations.newest()


def test_what_the_worker_writes_lands_in_the_actions_project(services: Services, other: Services) -> None:
    """It works without a project of its own: messages follow their conversation, events their action."""
    conversation = other.conversations.create("Hello")
    action = other.actions.propose("scrape_url", {"url": "https://example.com"}, actor="t")
    services.conversations.append(conversation.id, "assistant", "Done")
    with services.database.write() as session:
        services.audit.record(session, "action.started", actor="worker", action_id=action.id)
    assert [m.content for m in other.conversations.messages(conversation.id)] == ["Done"]
    assert other.audit.entries()[0].event == "action.started"
    other.actions.approve(action.id, action.digest, actor="t")
    claim = services.execution.claim(action.id, "worker_1")
    assert claim is not None
    assert claim.project_id == OTHER
