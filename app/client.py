"""The HTTP client of Herald's own API: what the terminal and the web page know of the app, and all they know.

It owns the wire: addresses, authorisation, the event stream, and the one way errors come back (``ApiError``).
It knows nothing of databases, models or screens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Literal, NotRequired, Self, TypedDict, cast
from urllib.parse import quote

import httpx

API_PREFIX = "/api/v1"
SESSION_COOKIE = "herald_session"
PROJECT_COOKIE = "herald_project"

OPEN_STATUSES = frozenset({"awaiting_approval", "approved", "sending", "unconfirmed"})
"""Statuses that can still change."""
LIVE_STATUSES = frozenset({"approved", "sending"})
"""Statuses of an action that is on its way: worth following closely."""


class Preview(TypedDict):
    """One line of an approval card; ``problem`` says why the action cannot be approved as it stands."""

    label: str
    value: str
    note: str
    problem: str


class Problem(TypedDict):
    """What failed and what to do about it."""

    code: str
    message: str
    hint: str


class EvidenceItem(TypedDict):
    """One proof of what was done; ``url`` is a path of this API for files, else the web address that was reached."""

    kind: str
    label: str
    url: str


class Held(TypedDict):
    """Why an approved action waits, and until when it does at least (None: until that changes)."""

    reason: str
    until: str | None


class Approval(TypedDict):
    """Who approved the present digest, and when."""

    by: str
    at: str


class Action(TypedDict):
    """A proposal and everything that became of it."""

    id: str
    type: str
    title: str
    params: dict[str, Any]
    digest: str
    status: str
    risk: str
    preview: list[Preview]
    progress: str | None
    result: dict[str, Any] | None
    error: Problem | None
    evidence: list[EvidenceItem]
    conversation_id: str | None
    project_id: str
    created_at: str
    decided_at: str | None
    finished_at: str | None
    expires_at: str | None
    not_before: str | None
    target: str
    intent_id: str
    proposed_by: str
    is_tainted: bool
    is_running: bool
    held: Held | None
    approvals: list[Approval]
    people_needed: int


class StopState(TypedDict):
    """Whether all actions are stopped, by whom and why."""

    is_stopped: bool
    reason: str
    stopped_by: str
    stopped_at: str | None


class Source(TypedDict):
    """A passage that a reply rests on; without ``document_id`` it is a web page and ``place`` its address."""

    document_id: str | None
    filename: str
    place: str
    quote: str
    score: float


class Lookup(TypedDict):
    """A read-only tool that was used for a reply, its params, and how much it found."""

    tool: str
    params: dict[str, Any]
    found: int


class Message(TypedDict):
    """One message of a conversation."""

    id: str
    role: Literal["user", "assistant"]
    content: str
    sources: list[Source]
    action: Action | None
    lookups: list[Lookup]
    created_at: str


class ConversationHead(TypedDict):
    """A conversation as the list shows it."""

    id: str
    title: str
    created_at: str
    updated_at: str


class Conversation(TypedDict):
    """A conversation with its messages, oldest first."""

    id: str
    title: str
    messages: list[Message]


class Turn(TypedDict):
    """What one chat message brought back."""

    conversation_id: str
    message_id: str
    reply: str
    sources: list[Source]
    action: Action | None
    lookups: list[Lookup]


class ActionTypeInfo(TypedDict):
    """An action type and the JSON schema of its params."""

    name: str
    title: str
    description: str
    risk: str
    params_schema: dict[str, Any]


class Document(TypedDict):
    """A document in memory."""

    id: str
    project_id: str
    filename: str
    status: str
    chunk_count: int
    chunks_done: int
    chunks_total: int
    size_bytes: int
    sha256: str
    tags: list[str]
    error: dict[str, str] | None
    created_at: str


class SearchHit(TypedDict):
    """A passage that a memory search found."""

    document_id: str
    filename: str
    place: str
    text: str
    score: float


class AccountInfo(TypedDict):
    """A connected platform account; its password never comes back."""

    id: str
    platform: str
    handle: str
    base_url: str
    created_at: str


class RecipeInfo(TypedDict):
    """One version of the way through a form: which field each value went into. No value is in it."""

    id: str
    origin: str
    path: str
    fields: dict[str, str]
    button: str
    version: int
    state: str
    uses: int
    action_id: str
    created_at: str
    used_at: str | None


class AuditEntry(TypedDict):
    """One line of the append-only record."""

    id: int | str
    at: str
    actor: str
    event: str
    action_id: str | None
    detail: Any


class Health(TypedDict):
    """What each process says of itself."""

    status: str
    app: Any
    database: Any
    inference: dict[str, Any]
    worker: dict[str, Any]
    detail: NotRequired[str]


class ProjectInfo(TypedDict):
    """A project as one of its members sees it."""

    id: str
    name: str
    description: str
    role: str


class MemberInfo(TypedDict):
    """A member of a project."""

    user_id: str
    name: str
    email: str | None
    role: str


class InvitationInfo(TypedDict):
    """An invitation that can still be used, without its link."""

    id: str
    role: str
    email: str | None
    expires_at: str


class KeyInfo(TypedDict):
    """A key for programs, without its secret."""

    id: str
    name: str
    scopes: list[str]
    tier: str
    created_at: str
    last_used_at: str | None


class LimitInfo(TypedDict):
    """A limit of rate or quiet hours, with its rule in words; ``*`` stands for every account or site."""

    id: str
    words: str
    target: str
    account: str


class PolicyInfo(TypedDict):
    """An approval policy; ``*`` stands for every type, account or risk."""

    id: str
    name: str
    type: str
    account: str
    risk: str
    amount_above_minor: int | None
    approvers: list[str]
    people_needed: int
    is_auto: bool


class NetworkInfo(TypedDict):
    """Where a project's automation may go: host names."""

    allowed: list[str]
    denied: list[str]
    own: list[str]


class CitationInfo(TypedDict):
    """A quote that stands in a document letter by letter."""

    asset_id: str
    filename: str
    quote: str
    place: str
    chunk_id: int


class CitedAnswer(TypedDict):
    """An answer from the documents; without citations it says that nothing is known."""

    answer: str
    citations: list[CitationInfo]
    confidence: float


class VariantInfo(TypedDict):
    """One text of a brief, where it came from, and what went wrong if there is none."""

    id: str
    generation_id: str
    kind: str
    text: str
    provenance: dict[str, Any]
    error: dict[str, str] | None
    version: int
    action_id: str | None
    updated_at: str


class GenerationInfo(TypedDict):
    """A brief with its three variants."""

    id: str
    brief: str
    platform: str
    created_at: str
    variants: list[VariantInfo]


class VoiceInfo(TypedDict):
    """How a project talks, and words that it never uses."""

    description: str
    banned_words: list[str]


class ApiError(Exception):
    """The API refused or could not be reached.

    Attributes:
        code: a stable word for programs; ``unreachable`` and ``bad_response`` are this client's own.
        message, hint: what failed and what to do, in plain words.
        status: the HTTP status, 0 when there was no answer.
        conversation_id: of a failed chat turn, where the message was kept; may be empty.
    """

    def __init__(self, code: str, message: str, hint: str = "", status: int = 0, conversation_id: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.status = status
        self.conversation_id = conversation_id

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True, slots=True)
class Status:
    """What the app is doing before the first word: "Looking into memory"."""

    text: str
    conversation_id: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The whole turn; always the last event."""

    turn: Turn


ChatEvent = Status | Delta | Done


@dataclass(frozen=True, slots=True)
class Cited:
    """A whole answer from the documents; always the last event."""

    answer: CitedAnswer


def lookup_text(lookup: Lookup) -> str:
    """What was looked up, in words: ``read analytics (figures published, periods last_week)``."""
    params = ", ".join(
        f"{name} {' + '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in lookup["params"].items()
        if value not in ("", [], "any")
    )
    return f"{lookup['tool'].replace('_', ' ')}{f' ({params})' if params else ''}: {lookup['found']} found"


class HeraldClient:
    """A synchronous client; use it as a context manager, or give it an ``httpx.Client`` that somebody else closes.

    Args:
        base_url: origin of the app.
        api_key: the bearer key, for programs.
        session: value of the session cookie, for pages that act for a signed-in browser.
        project: the id of the project that such a browser has open.
        http: a shared connection pool.
        headers: further headers of every request.
        timeout_s: for every request but chat, which waits ``chat_timeout_s`` between two pieces.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        session: str = "",
        project: str = "",
        http: httpx.Client | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        chat_timeout_s: float = 600.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._owns_http = http is None
        self._http = http or httpx.Client()
        self._timeout = httpx.Timeout(timeout_s, connect=5.0)
        self._chat_timeout = httpx.Timeout(chat_timeout_s, connect=5.0)
        self._headers = {"Accept": "application/json", **(headers or {})}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        if session:
            opened = f"; {PROJECT_COOKIE}={quote(project, safe='')}" if project else ""
            self._headers["Cookie"] = f"{SESSION_COOKIE}={session}{opened}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they were lent."""
        if self._owns_http:
            self._http.close()

    # -- chat -------------------------------------------------------------------------------------------------

    def chat(self, message: str, conversation_id: str | None = None) -> Turn:
        """Send a message and wait for the whole turn."""
        return cast(
            Turn, self._json("POST", "/chat", json=_chat_body(message, conversation_id), timeout=self._chat_timeout)
        )

    def chat_stream(self, message: str, conversation_id: str | None = None) -> Iterator[ChatEvent]:
        """Send a message and yield what comes back as it comes; the last event is ``Done``.

        Raises: ApiError, also in the middle. Closing the iterator ends the request.
        """
        body = {**_chat_body(message, conversation_id), "stream": True}
        headers = {**self._headers, "Accept": "text/event-stream"}
        url = f"{self.base_url}{API_PREFIX}/chat"
        try:
            with self._http.stream("POST", url, json=body, headers=headers, timeout=self._chat_timeout) as response:
                if response.is_error:
                    response.read()
                    raise _error_of(response)
                yield from _chat_events(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def conversations(self, query: str = "") -> list[ConversationHead]:
        """Conversations, newest first; ``query`` searches titles and messages."""
        params = {"q": query} if query else {}
        return cast(list[ConversationHead], self._json("GET", "/conversations", params=params)["conversations"])

    def conversation(self, conversation_id: str) -> Conversation:
        """One conversation with its messages."""
        return cast(Conversation, self._json("GET", f"/conversations/{_segment(conversation_id)}"))

    def delete_conversation(self, conversation_id: str) -> None:
        """Delete a conversation and its messages."""
        self._send("DELETE", f"/conversations/{_segment(conversation_id)}")

    # -- actions ----------------------------------------------------------------------------------------------

    def action_types(self) -> list[ActionTypeInfo]:
        """What the box can be asked to do."""
        return cast(list[ActionTypeInfo], self._json("GET", "/action-types")["action_types"])

    def propose(self, action_type: str, params: dict[str, Any]) -> Action:
        """Propose an action without the model; it waits for approval like any other."""
        return cast(Action, self._json("POST", "/actions", json={"type": action_type, "params": params}))

    def actions(self, status: str = "", limit: int = 50) -> list[Action]:
        """Actions, newest first."""
        params: dict[str, Any] = {"limit": limit, **({"status": status} if status else {})}
        return cast(list[Action], self._json("GET", "/actions", params=params)["actions"])

    def action(self, action_id: str) -> Action:
        """One action as it stands now."""
        return cast(Action, self._json("GET", f"/actions/{_segment(action_id)}"))

    def approve(self, action_id: str, digest: str) -> Action:
        """Approve exactly what ``digest`` names.

        Raises: ApiError ``digest_mismatch``, ``already_decided``, ``expired``, ``not_runnable``.
        """
        return cast(Action, self._json("POST", f"/actions/{_segment(action_id)}/approve", json={"digest": digest}))

    def reject(self, action_id: str, reason: str = "") -> Action:
        """Reject a proposal."""
        body = {"reason": reason} if reason else {}
        return cast(Action, self._json("POST", f"/actions/{_segment(action_id)}/reject", json=body))

    def cancel(self, action_id: str, reason: str = "") -> Action:
        """Take an approval back. Raises: ApiError ``not_cancellable`` once it is being submitted."""
        body = {"reason": reason} if reason else {}
        return cast(Action, self._json("POST", f"/actions/{_segment(action_id)}/cancel", json=body))

    def settle(self, action_id: str, outcome: str, *, url: str = "", note: str = "") -> Action:
        """Say what became of an unconfirmed action: ``outcome`` is succeeded or failed."""
        body = {"outcome": outcome, "url": url, "note": note}
        return cast(Action, self._json("POST", f"/actions/{_segment(action_id)}/settle", json=body))

    def stop_state(self) -> StopState:
        """Whether all actions are stopped."""
        return cast(StopState, self._json("GET", "/action-stop"))

    def stop_actions(self, reason: str = "") -> StopState:
        """Hold every action before its next irreversible step."""
        return cast(StopState, self._json("POST", "/action-stop", json={"reason": reason}))

    def resume_actions(self) -> StopState:
        """Lift the stop."""
        return cast(StopState, self._json("DELETE", "/action-stop"))

    def limits(self) -> list[LimitInfo]:
        """The limits, each with its rule in words."""
        return cast(list[LimitInfo], self._json("GET", "/action-limits")["limits"])

    def add_limit(self, rule: dict[str, Any], *, target: str = "*", account: str = "*") -> dict[str, Any]:
        """Add a limit."""
        body = {"rule": rule, "target": target, "account": account}
        return cast(dict[str, Any], self._json("POST", "/action-limits", json=body))

    def remove_limit(self, limit_id: str) -> None:
        """Remove a limit."""
        self._send("DELETE", f"/action-limits/{_segment(limit_id)}")

    def policies(self) -> list[PolicyInfo]:
        """The approval policies."""
        return cast(list[PolicyInfo], self._json("GET", "/approval-policies")["policies"])

    def add_policy(self, policy: dict[str, Any]) -> dict[str, Any]:
        """Add an approval policy."""
        return cast(dict[str, Any], self._json("POST", "/approval-policies", json=policy))

    def remove_policy(self, policy_id: str) -> None:
        """Remove an approval policy."""
        self._send("DELETE", f"/approval-policies/{_segment(policy_id)}")

    def edit(self, action_id: str, params: dict[str, Any]) -> Action:
        """Replace a proposal's params; what comes back has a new digest."""
        return cast(Action, self._json("PATCH", f"/actions/{_segment(action_id)}", json={"params": params}))

    def follow(self, action_id: str, *, timeout_s: float = 900.0, poll_s: float = 0.5) -> Iterator[Action]:
        """Yield the action now and after each change, until nothing more can happen to it.

        An action that still awaits approval is yielded once. Raises: ApiError ``timeout`` after ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        last: Action | None = None
        while True:
            action = self.action(action_id)
            if action != last:
                yield action
                last = action
            if action["status"] not in LIVE_STATUSES:
                return
            if time.monotonic() > deadline:
                raise ApiError(
                    "timeout",
                    f"Action {action_id} is still {action['status']} after {timeout_s:.0f} s.",
                    "Is the worker running? `herald status` tells; `herald actions show` shows the action later.",
                )
            time.sleep(poll_s)

    def wait(
        self, action_id: str, *, timeout_s: float = 900.0, on_change: Callable[[Action], None] = lambda _action: None
    ) -> Action:
        """Follow an action to its end and return it as it ended."""
        action: Action | None = None
        for action in self.follow(action_id, timeout_s=timeout_s):
            on_change(action)
        assert action is not None
        return action

    def download(self, path: str) -> bytes:
        """Fetch a file of this API by its path, such as a screenshot in the evidence."""
        if not path.startswith(f"{API_PREFIX}/"):
            raise ApiError("bad_path", f"{path!r} is not a path of the API.", f"Paths start with {API_PREFIX}/.")
        return self._send("GET", path.removeprefix(API_PREFIX)).content

    # -- memory -----------------------------------------------------------------------------------------------

    def add_document(self, filename: str, content: BinaryIO, *, timeout_s: float = 600.0) -> Document:
        """Upload a document; it is searchable when this returns."""
        files = {"file": (filename, content)}
        return cast(Document, self._json("POST", "/memory/documents", files=files, timeout=httpx.Timeout(timeout_s)))

    def documents(self) -> list[Document]:
        """Documents in memory."""
        return cast(list[Document], self._json("GET", "/memory/documents")["documents"])

    def ingest_asset(self, project_id: str, asset_id: str) -> None:
        """Take an asset in, again if it is in already."""
        self._send("POST", f"/projects/{_segment(project_id)}/assets/{_segment(asset_id)}/ingest")

    def tag_asset(self, project_id: str, asset_id: str, tags: list[str]) -> None:
        """Replace an asset's tags."""
        self._send("PATCH", f"/projects/{_segment(project_id)}/assets/{_segment(asset_id)}", json={"tags": tags})

    def search_memory(self, query: str, k: int = 8) -> list[SearchHit]:
        """The ``k`` best passages for a query."""
        return cast(list[SearchHit], self._json("GET", "/memory/search", params={"q": query, "k": k})["results"])

    def delete_document(self, document_id: str) -> None:
        """Forget a document and its passages."""
        self._send("DELETE", f"/memory/documents/{_segment(document_id)}")

    # -- asking, writing, figures -----------------------------------------------------------------------------

    def ask_stream(self, question: str) -> Iterator[Status | Delta | Cited]:
        """Ask the documents and yield what comes back as it comes; the last event is ``Cited``. Raises: ApiError."""
        for name, data in self._events("/assistant/query", {"question": question, "stream": True}):
            if name == "status":
                yield Status(str(data.get("text", "")))
            elif name == "token":
                yield Delta(str(data.get("text", "")))
            elif name == "done":
                yield Cited(cast(CitedAnswer, data))
                return
        raise ApiError("stream_ended", "The answer broke off before its end.", "Ask again.", 200)

    def generate_stream(self, brief: str, platform: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Have a brief written and yield the API's events; the last one is ``done``. Raises: ApiError."""
        body = {"brief": brief, "platform": platform, "stream": True}
        for name, data in self._events("/generate", body):
            yield name, data
            if name == "done":
                return
        raise ApiError("stream_ended", "The writing broke off before its end.", "It is kept: open it again.", 200)

    def generations(self, limit: int = 20) -> list[GenerationInfo]:
        """Briefs with their variants, newest first."""
        return cast(list[GenerationInfo], self._json("GET", "/generations", params={"limit": limit})["generations"])

    def generation(self, generation_id: str) -> GenerationInfo:
        """One brief with its variants."""
        return cast(GenerationInfo, self._json("GET", f"/generations/{_segment(generation_id)}"))

    def edit_variant(self, variant_id: str, text: str) -> VariantInfo:
        """Replace a variant's text."""
        return cast(VariantInfo, self._json("PATCH", f"/variants/{_segment(variant_id)}", json={"text": text}))

    def variant_versions(self, variant_id: str) -> list[dict[str, Any]]:
        """Every text that a variant has had, newest first."""
        return cast(list[dict[str, Any]], self._json("GET", f"/variants/{_segment(variant_id)}/versions")["versions"])

    def regenerate_variant(self, variant_id: str) -> VariantInfo:
        """Have one variant written anew."""
        path = f"/variants/{_segment(variant_id)}/regenerate"
        return cast(VariantInfo, self._json("POST", path, timeout=self._chat_timeout))

    def propose_variant(self, variant_id: str, platform: str = "") -> Action:
        """Make a variant a proposal to post."""
        return cast(
            Action, self._json("POST", f"/variants/{_segment(variant_id)}/propose", json={"platform": platform})
        )

    def voice(self) -> VoiceInfo:
        """How the project talks."""
        return cast(VoiceInfo, self._json("GET", "/voice"))

    def set_voice(self, description: str, banned_words: list[str]) -> VoiceInfo:
        """Set how the project talks."""
        body = {"description": description, "banned_words": banned_words}
        return cast(VoiceInfo, self._json("PUT", "/voice", json=body))

    def projects(self) -> list[ProjectInfo]:
        """The user's projects, the oldest first."""
        return cast(list[ProjectInfo], self._json("GET", "/projects")["projects"])

    def members(self, project_id: str) -> list[MemberInfo]:
        """Who belongs to a project."""
        return cast(list[MemberInfo], self._json("GET", f"/projects/{_segment(project_id)}/members")["members"])

    def invitations(self, project_id: str) -> list[InvitationInfo]:
        """A project's open invitations; only its owners may ask."""
        found = self._json("GET", f"/projects/{_segment(project_id)}/invitations")
        return cast(list[InvitationInfo], found["invitations"])

    def me(self) -> dict[str, Any]:
        """Who is asking."""
        return self._json("GET", "/auth/me")

    def keys(self) -> list[KeyInfo]:
        """The user's own keys for programs."""
        return cast(list[KeyInfo], self._json("GET", "/auth/keys")["keys"])

    def network(self, project_id: str) -> NetworkInfo:
        """Where the project's automation may go."""
        return cast(NetworkInfo, self._json("GET", f"/projects/{_segment(project_id)}/network"))

    def metrics(self, project_id: str, period: str) -> dict[str, Any]:
        """A project's figures over a period (``7d``, ``30d``, ``90d``, ``365d``)."""
        return self._json("GET", f"/projects/{_segment(project_id)}/metrics", params={"period": period})

    def _events(self, path: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Post a body and yield the events that answer it. Raises: ApiError, also for an ``error`` event."""
        headers = {**self._headers, "Accept": "text/event-stream"}
        url = f"{self.base_url}{API_PREFIX}{path}"
        try:
            with self._http.stream("POST", url, json=body, headers=headers, timeout=self._chat_timeout) as response:
                if response.is_error:
                    response.read()
                    raise _error_of(response)
                for name, data in _server_sent_events(response.iter_lines()):
                    if name == "error":
                        raise ApiError(
                            str(data.get("code")), str(data.get("message")), str(data.get("hint") or ""), 200
                        )
                    yield name, data
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    # -- accounts, audit, health ------------------------------------------------------------------------------

    def accounts(self) -> list[AccountInfo]:
        """Connected platform accounts."""
        return cast(list[AccountInfo], self._json("GET", "/accounts")["accounts"])

    def add_account(
        self, *, platform: str, handle: str, username: str, password: str, base_url: str = ""
    ) -> AccountInfo:
        """Connect an account; the password is stored encrypted and never comes back."""
        body = {"platform": platform, "handle": handle, "username": username, "password": password}
        if base_url:
            body["base_url"] = base_url
        return cast(AccountInfo, self._json("POST", "/accounts", json=body))

    def delete_account(self, account_id: str) -> None:
        """Disconnect an account and destroy its stored password."""
        self._send("DELETE", f"/accounts/{_segment(account_id)}")

    def recipes(self) -> list[RecipeInfo]:
        """How forms were filled in before, by page."""
        return cast(list[RecipeInfo], self._json("GET", "/recipes")["recipes"])

    def delete_recipe(self, recipe_id: str) -> None:
        """Forget a recipe; the next run looks at the page anew."""
        self._send("DELETE", f"/recipes/{_segment(recipe_id)}")

    def audit(self, action_id: str = "", limit: int = 50) -> list[AuditEntry]:
        """The record of proposals, decisions, runs and results, newest first."""
        params: dict[str, Any] = {"limit": limit, **({"action_id": action_id} if action_id else {})}
        return cast(list[AuditEntry], self._json("GET", "/audit", params=params)["entries"])

    def health(self) -> Health:
        """What each process is doing. A degraded box answers too."""
        return cast(Health, self._json("GET", "/healthz"))

    # -- the wire ---------------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        response = self._send(method, path, **kwargs)
        try:
            body = response.json()
        except ValueError as error:
            raise _not_herald(response) from error
        if not isinstance(body, dict):
            raise _not_herald(response)
        return body

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        kwargs.setdefault("timeout", self._timeout)
        url = f"{self.base_url}{API_PREFIX}{path}"
        try:
            response = self._http.request(method, url, headers=self._headers, **kwargs)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise _error_of(response)
        return response

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ApiError("unreachable", f"Herald is not running at {self.base_url}.", "Start it with ./scripts/up")
        if isinstance(error, httpx.TimeoutException):
            return ApiError(
                "timeout", f"Herald at {self.base_url} did not answer in time.", "Is the machine busy? Try again."
            )
        return ApiError("unreachable", f"The connection to Herald at {self.base_url} broke: {error}", "Try again.")


def _segment(value: str) -> str:
    """One path segment: an id that somebody typed must not be able to name another route."""
    text = quote(value, safe="")
    return "%2E" * len(text) if text in {"", ".", ".."} else text


def _chat_body(message: str, conversation_id: str | None) -> dict[str, Any]:
    return {"message": message, **({"conversation_id": conversation_id} if conversation_id else {})}


def _chat_events(lines: Iterable[str]) -> Iterator[ChatEvent]:
    for name, data in _server_sent_events(lines):
        if name == "status":
            yield Status(str(data.get("text", "")), str(data.get("conversation_id") or ""))
        elif name == "delta":
            yield Delta(str(data.get("text", "")))
        elif name == "error":
            kept_in = str(data.get("conversation_id") or "")
            raise ApiError(str(data.get("code")), str(data.get("message")), str(data.get("hint") or ""), 200, kept_in)
        elif name == "done":
            yield Done(cast(Turn, data))
            return
    raise ApiError("stream_ended", "The reply broke off before its end.", "Send the message again.", 200)


def _server_sent_events(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events of a stream. Source: WHATWG HTML, 9.2.6 "Interpreting an event stream"."""
    name, data = "message", list[str]()
    for line in lines:
        if line == "":
            if data:
                yield name, _event_data("\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


def _event_data(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ApiError(
            "bad_response", "The reply's stream held something that is not JSON.", "Try again.", 200
        ) from error
    return data if isinstance(data, dict) else {}


def _error_of(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()["error"]
        return ApiError(
            str(problem["code"]), str(problem["message"]), str(problem.get("hint") or ""), response.status_code
        )
    except (ValueError, KeyError, TypeError):
        return _not_herald(response)


def _not_herald(response: httpx.Response) -> ApiError:
    return ApiError(
        "bad_response",
        f"{response.request.url.copy_with(query=None)} answered {response.status_code} without Herald's JSON.",
        "Does another program use this port? HERALD_PORT sets Herald's.",
        response.status_code,
    )
