"""The services of one process, built once and handed to routes, the UI and the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.accounts.desk import LoginDesk
from app.accounts.service import AccountService
from app.accounts.vault import Vault
from app.actions.approvals import ApprovalDesk
from app.actions.decisions import DecisionService
from app.actions.evidence import EvidenceFolders
from app.actions.execution import ExecutionService
from app.actions.holds import HoldService
from app.actions.policies import PolicyService
from app.actions.service import ActionService
from app.adapters import AdapterShelf
from app.analytics.service import AnalyticsService, CallRecorder
from app.assistant.service import AssistantService
from app.audit.service import AuditService
from app.auth.records import Actor
from app.auth.service import AuthService
from app.chat.outcome import OutcomeReporter
from app.chat.service import ChatService
from app.conversations.service import ConversationService
from app.db.engine import Database
from app.db.migrate import migrate
from app.generation.service import GenerationService
from app.llm import LlmClient
from app.media.service import MediaService
from app.memory.embedder import Embedder
from app.memory.index import VectorIndex
from app.memory.ingestion import IngestionService
from app.memory.object_storage import Bucket, BucketOriginals
from app.memory.reranking import Reranker, Reranking
from app.memory.scanner import VirusScanner
from app.memory.service import MemoryService
from app.memory.storage import Originals, OriginalStore
from app.network.service import NetworkService
from app.projects.service import ProjectService
from app.recipes.service import RecipeService
from app.settings import Settings
from automation.queue import INGEST_ASSETS, RUN_ACTION, enqueue, open_queue


@dataclass(slots=True)
class Services:
    """Everything that the app and the worker can do, by domain.

    Those of the box see every project's rows and put what they add into the default project; ``within`` gives those of
    one project. ``auth``, ``projects``, ``ingestion`` and ``reranking`` are the same in all.
    """

    settings: Settings
    database: Database
    llm: LlmClient
    audit: AuditService
    auth: AuthService
    projects: ProjectService
    accounts: AccountService
    logins: LoginDesk
    conversations: ConversationService
    actions: DecisionService
    policies: PolicyService
    media: MediaService
    execution: ExecutionService
    holds: HoldService
    memory: MemoryService
    recipes: RecipeService
    ingestion: IngestionService
    network: NetworkService
    chat: ChatService
    outcomes: OutcomeReporter
    assistant: AssistantService
    generation: GenerationService
    adapters: AdapterShelf
    analytics: AnalyticsService
    reranking: Reranking
    _evidence: EvidenceFolders
    _build: Callable[[Database], Services]
    _by_project: dict[str, Services] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def within(self, project_id: str) -> Services:
        """The same services over one project: they read and change nothing of any other."""
        with self._lock:
            if project_id not in self._by_project:
                self._by_project[project_id] = self._build(self.database.scoped(project_id))
            return self._by_project[project_id]

    def clear_leftovers(self) -> None:
        """Remove files of deleted projects that nobody got round to."""
        for clear in (self.media.clear_leftovers, self._evidence.clear_leftovers, self.ingestion.clear_leftovers):
            clear()

    def close(self) -> None:
        """Close the connections to the database and to inference."""
        self.llm.close()
        self.database.close()


def build_services(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    reranker: Reranker | None = None,
    wake: Callable[[str], None] | None = None,
    wake_ingestion: Callable[[str], None] | None = None,
) -> Services:
    """Open the database (bringing it up to date) and build the services over it.

    Args:
        embedder: what embeds texts; without it the inference client.
        reranker: what puts found passages in order; without it the inference client, if that embeds too.
        wake: what tells the worker that an action was approved; without it Huey's queue in the data home.
        wake_ingestion: what tells it that an asset waits; likewise.

    Raises: DatabaseUnusable, KeyUnreadable, StorageFull.
    """
    database = Database(settings.home / "herald.db")
    migrate(database)
    llm = LlmClient(settings.inference_origin, settings.inference_key_text(), settings.model, settings.embedding_model)
    vault = Vault(settings.home, settings.vault_key_text())
    box_audit = AuditService(database, settings.audit_anchor)
    box_audit.catch_up()
    auth = AuthService(database, box_audit, settings)
    projects = ProjectService(database, box_audit, auth.users)
    wake = wake or _queue_wake(settings, RUN_ACTION)
    wake_ingestion = wake_ingestion or _queue_wake(settings, INGEST_ASSETS)
    originals, index = originals_of(settings), VectorIndex()
    reranking = Reranking(reranker or (llm if embedder is None else None))
    scanner = VirusScanner(settings.clamd) if settings.clamd else None
    ingestion = IngestionService(database, embedder or llm, originals, settings.embedding_model, scanner)
    evidence = EvidenceFolders(database, settings.evidence_dir)
    logins = LoginDesk(settings.home)
    adapters = AdapterShelf(settings.home)
    desk = ApprovalDesk(settings.home)
    expires_after = timedelta(hours=settings.proposal_expires_h)

    def over(database: Database) -> Services:
        """One set of services. It is made once for the box and once a project: what all share is made above."""
        audit = AuditService(database, settings.audit_anchor)
        accounts = AccountService(database, audit, vault)
        conversations = ConversationService(database)
        policies = PolicyService(database, audit)
        media = MediaService(database, audit, settings.media_dir, settings.max_media_bytes)
        proposing = (database, audit, accounts, desk, policies, media, expires_after, conversations.is_tainted_in)
        actions = DecisionService(*proposing, wake=wake)
        accounts.on_change.append(actions.rebind)
        proposals = ActionService(*proposing)  # all that the chat, and so a model, can reach
        holds = HoldService(database, audit)
        execution = ExecutionService(database, audit, settings.evidence_dir, desk, holds, settings.lease_s)
        memory = MemoryService(
            database, audit, embedder or llm, settings, ingestion, originals, index, reranking, wake_ingestion
        )
        own_llm = llm.recording(CallRecorder(database))
        analytics = AnalyticsService(database, actions)
        return Services(
            settings=settings,
            database=database,
            llm=llm,
            audit=audit,
            auth=auth,
            projects=projects,
            accounts=accounts,
            logins=logins,
            conversations=conversations,
            actions=actions,
            execution=execution,
            holds=holds,
            policies=policies,
            media=media,
            memory=memory,
            ingestion=ingestion,
            recipes=RecipeService(database, audit),
            network=NetworkService(database, audit),
            chat=ChatService(database, conversations, proposals, accounts, memory, own_llm, analytics),
            outcomes=OutcomeReporter(database, conversations, proposals, execution, own_llm),
            assistant=AssistantService(memory, own_llm),
            generation=GenerationService(database, memory, proposals, own_llm, adapters),
            adapters=adapters,
            analytics=analytics,
            reranking=reranking,
            _evidence=evidence,
            _build=over,
        )

    box = over(database)
    projects.on_delete += [ingestion.forget_project, box.media.forget_project, evidence.forget_project]
    projects.on_delete.append(adapters.forget_project)
    return box


def _queue_wake(settings: Settings, task: str) -> Callable[[str], None]:
    huey = open_queue(settings.home / "queue.db", url=settings.queue_url_text())

    def wake(row_id: str) -> None:
        enqueue(row_id, task=task, huey=huey)

    return wake


def originals_of(settings: Settings) -> OriginalStore:
    """Where the settings keep the originals of documents. Connects to nothing."""
    if not settings.s3_url:
        return Originals(settings.documents_dir)
    access_key, secret_key = settings.s3_key_texts()
    where = Bucket(settings.s3_url, settings.s3_bucket, access_key, secret_key, settings.s3_region, settings.s3_prefix)
    return BucketOriginals(where)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the project that the request is about, as ``app.access.authorise`` found out."""
    services: Services = connection.state.services
    return services


def actor_of(connection: HTTPConnection) -> Actor:
    """Who is asking, as the guard found out."""
    actor: Actor = connection.scope["state"]["actor"]
    return actor


def label_of(connection: HTTPConnection) -> str:
    """Who is asking, in the words of the audit log."""
    return str(actor_of(connection))


ServicesDep = Annotated[Services, Depends(services_of)]
CallerDep = Annotated[Actor, Depends(actor_of)]
ActorDep = Annotated[str, Depends(label_of)]
