"""The services of one process, built once and handed to routes, the UI and the worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.accounts.service import AccountService
from app.accounts.vault import Vault
from app.actions.approvals import ApprovalDesk
from app.actions.execution import ExecutionService
from app.actions.holds import HoldService
from app.actions.service import ActionService
from app.audit.service import AuditService
from app.auth.service import AuthService
from app.chat.outcome import OutcomeReporter
from app.chat.service import ChatService
from app.conversations.service import ConversationService
from app.db.engine import Database
from app.db.migrate import migrate
from app.llm import LlmClient
from app.memory.embedder import Embedder
from app.memory.service import MemoryService
from app.settings import Settings
from automation.queue import enqueue, open_queue


@dataclass(slots=True)
class Services:
    """Everything that the app and the worker can do, by domain."""

    settings: Settings
    database: Database
    llm: LlmClient
    audit: AuditService
    auth: AuthService
    accounts: AccountService
    conversations: ConversationService
    actions: ActionService
    execution: ExecutionService
    holds: HoldService
    memory: MemoryService
    chat: ChatService
    outcomes: OutcomeReporter

    def close(self) -> None:
        """Close the connections to the database and to inference."""
        self.llm.close()
        self.database.close()


def build_services(
    settings: Settings, *, embedder: Embedder | None = None, wake: Callable[[str], None] | None = None
) -> Services:
    """Open the database (bringing it up to date) and build the services over it.

    Args:
        embedder: what embeds texts; without it the inference client.
        wake: what tells the worker that an action was approved; without it Huey's queue in the data home.

    Raises: DatabaseUnusable, KeyUnreadable, StorageFull.
    """
    database = Database(settings.home / "herald.db")
    migrate(database)
    llm = LlmClient(settings.inference_origin, settings.inference_key_text(), settings.model, settings.embedding_model)
    audit = AuditService(database, settings.audit_anchor)
    audit.catch_up()
    accounts = AccountService(database, audit, Vault(settings.home, settings.vault_key_text()))
    conversations = ConversationService(database)
    desk = ApprovalDesk(settings.home)
    holds = HoldService(database, audit)
    actions = ActionService(
        database, audit, accounts, desk, wake or _queue_wake(settings), timedelta(hours=settings.proposal_expires_h)
    )
    execution = ExecutionService(database, audit, settings.evidence_dir, desk, holds, settings.lease_s)
    memory = MemoryService(database, audit, embedder or llm, settings)
    return Services(
        settings=settings,
        database=database,
        llm=llm,
        audit=audit,
        auth=AuthService(database, audit, settings),
        accounts=accounts,
        conversations=conversations,
        actions=actions,
        execution=execution,
        holds=holds,
        memory=memory,
        chat=ChatService(database, conversations, actions, accounts, memory, llm),
        outcomes=OutcomeReporter(database, conversations, actions, execution, llm),
    )


def _queue_wake(settings: Settings) -> Callable[[str], None]:
    huey = open_queue(settings.home / "queue.db")

    def wake(action_id: str) -> None:
        enqueue(action_id, huey=huey)

    return wake


def services_of(connection: HTTPConnection) -> Services:
    """The services of the app that serves this connection."""
    services: Services = connection.app.state.services
    return services


def actor_of(connection: HTTPConnection) -> str:
    """Who is asking, as the guard found out, for the audit log."""
    return str(connection.scope["state"]["actor"])


ServicesDep = Annotated[Services, Depends(services_of)]
ActorDep = Annotated[str, Depends(actor_of)]
