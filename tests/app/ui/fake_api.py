"""A small in-memory server of Herald's HTTP contract, for the screens' own tests.

It keeps the contract's states, codes and shapes (the event stream too) and plays model and worker with delays, so that
what a screen shows in between can be seen. The same screens are also tested against the real app.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse

from app.auth.records import OWNER_ID, Actor

API_KEY = "test-key"
SESSION = "test-session"
POST_LIMIT = 280
ACTION_TYPES = [
    {
        "name": "post_social",
        "title": "Post on a social network",
        "description": "Publish a text.",
        "risk": "write",
        "params_schema": {
            "type": "object",
            "required": ["platform", "text"],
            "properties": {
                "platform": {"const": "x", "type": "string", "title": "Platform"},
                "text": {"type": "string", "title": "Text", "minLength": 1, "maxLength": 10_000},
                "account": {"type": "string", "title": "Account", "default": "", "maxLength": 100},
            },
        },
    },
    {
        "name": "scrape_url",
        "title": "Read a web page",
        "description": "Read a page.",
        "risk": "read",
        "params_schema": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {"type": "string", "title": "Url", "minLength": 1, "maxLength": 2_048}},
        },
    },
    {
        "name": "fill_form",
        "title": "Fill in a form",
        "description": "Fill in a form.",
        "risk": "write",
        "params_schema": {
            "type": "object",
            "required": ["url", "fields"],
            "properties": {
                "url": {"type": "string", "title": "Url", "maxLength": 2_048},
                "fields": {"type": "object", "title": "Fields", "additionalProperties": {"type": "string"}},
            },
        },
    },
]


class Refusal(Exception):
    """An error of the contract."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def body(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "hint": self.hint}


def now() -> str:
    return datetime.now(UTC).isoformat()


def png(width: int = 640, height: int = 400) -> bytes:
    """A picture with stripes, drawn here so that no binary lies in the repository."""
    rows = b"".join(
        b"\0" + b"".join(bytes((235, 240, 248) if (y // 40) % 2 else (120 + x % 100, 150, 210)) for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


OWNER = Actor(OWNER_ID, "Owner", is_box_owner=True, via="session")
NOT_STOPPED = {"is_stopped": False, "reason": "", "stopped_by": "", "stopped_at": None}


@dataclass
class FakeBox:
    """The state behind the fake API. Tests turn its knobs."""

    delta_s: float = 0.02
    step_s: float = 0.25
    think_s: float = 0.2
    fail_next_action: bool = False
    fail_next_chat: Refusal | None = None
    break_next_chat: Refusal | None = None
    inference: str = "ready"
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    conversations: dict[str, dict[str, Any]] = field(default_factory=dict)
    actions: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)
    executed: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[str] = field(default_factory=list)
    stop: dict[str, Any] = field(default_factory=lambda: dict(NOT_STOPPED))
    lock: threading.RLock = field(default_factory=threading.RLock)

    def reset(self) -> None:
        """Forget everything, as between two tests."""
        fresh = FakeBox()
        with self.lock:
            for name in self.__dataclass_fields__:
                if name != "lock":
                    setattr(self, name, getattr(fresh, name))

    def new_id(self, prefix: str) -> str:
        return f"{prefix}{next(self.ids):04d}"

    def record(self, event: str, action_id: str | None, actor: str = "owner", detail: Any = None) -> None:
        entry = {"id": len(self.audit) + 1, "at": now(), "actor": actor, "event": event, "action_id": action_id}
        self.audit.insert(0, {**entry, "detail": detail or {}})

    # -- actions ---------------------------------------------------------------------------------------------

    def preview(self, kind: str, params: dict[str, Any]) -> list[dict[str, str]]:
        def line(label: str, value: str, note: str = "", problem: str = "") -> dict[str, str]:
            return {"label": label, "value": value, "note": note, "problem": problem}

        if kind == "post_social":
            text = params["text"]
            over = len(text) - POST_LIMIT
            problem = f"The text is {over} characters too long; shorten it to {POST_LIMIT}." if over > 0 else ""
            return [
                line("Platform", "X"),
                line("Account", f"@{params.get('account') or 'acme'}"),
                line("Text", text, f"{len(text)} / {POST_LIMIT}", problem),
            ]
        if kind == "scrape_url":
            return [line("Address", params["url"])]
        return [line("Address", params["url"]), *(line(k, v) for k, v in params["fields"].items())]

    def propose(self, kind: str, params: dict[str, Any], conversation_id: str | None) -> dict[str, Any]:
        info = next((t for t in ACTION_TYPES if t["name"] == kind), None)
        if info is None:
            raise Refusal(
                422, "unknown_type", f"There is no action type {kind!r}.", "GET /api/v1/action-types lists them."
            )
        action: dict[str, Any] = {
            "id": self.new_id("act"), "type": kind, "title": info["title"], "params": params, "digest": "",
            "status": "awaiting_approval", "risk": info["risk"], "preview": [], "progress": None, "result": None,
            "error": None, "evidence": [], "conversation_id": conversation_id, "created_at": now(), "decided_at": None,
            "project_id": "prj_default", "finished_at": None,
            "expires_at": (datetime.now(UTC) + timedelta(hours=24)).isoformat(),
            "not_before": None, "target": "x.com", "intent_id": self.new_id("int"), "account": None,
            "proposed_by": "model", "held": None, "is_tainted": False, "is_running": False, "approvals": [],
            "people_needed": 1,
        }  # fmt: skip
        self.set_params(action, params)
        self.actions[action["id"]] = action
        self.record("proposed", action["id"], "model")
        return action

    def set_params(self, action: dict[str, Any], params: dict[str, Any]) -> None:
        required = {"post_social": {"platform", "text"}, "scrape_url": {"url"}, "fill_form": {"url", "fields"}}
        missing = required[action["type"]] - {k for k, v in params.items() if v}
        if missing:
            raise Refusal(422, "invalid_params", f"{', '.join(sorted(missing))}: must not be empty.", "Fill it in.")
        action["params"] = params
        action["preview"] = self.preview(action["type"], params)
        bound = {"type": action["type"], "params": params, "account": None, "expires_at": action["expires_at"]}
        text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        action["digest"] = hashlib.sha256(text.encode()).hexdigest()

    def find(self, action_id: str) -> dict[str, Any]:
        if action_id not in self.actions:
            raise Refusal(404, "not_found", f"There is no action {action_id}.", "GET /api/v1/actions lists them.")
        return self.actions[action_id]

    def awaiting(self, action_id: str) -> dict[str, Any]:
        action = self.find(action_id)
        if action["status"] != "awaiting_approval":
            raise Refusal(409, "already_decided", f"This action is {action['status']} already.", "Reload it.")
        return action

    def approve(self, action_id: str, digest: str) -> dict[str, Any]:
        with self.lock:
            self.approvals.append(action_id)
            action = self.awaiting(action_id)
            if digest != action["digest"]:
                raise Refusal(409, "digest_mismatch", "The proposal changed since it was shown.", "Look at it again.")
            if any(p["problem"] for p in action["preview"]):
                raise Refusal(422, "not_runnable", "The proposal has a problem.", "Edit it first.")
            action.update(status="approved", decided_at=now())
            self.record("approved", action_id, detail={"digest": digest})
        threading.Thread(target=self._run, args=(action,), daemon=True).start()
        return action

    def _run(self, action: dict[str, Any]) -> None:
        time.sleep(self.step_s)
        action["status"] = "sending"
        for phrase in ("opening the page", "working on it", "taking a screenshot"):
            action["progress"] = phrase
            time.sleep(self.step_s)
        if self.fail_next_action:
            self.fail_next_action = False
            error = {"code": "login_failed", "message": "X refused the login of @acme.", "hint": "Check the password."}
            action.update(status="failed", error=error, finished_at=now(), progress=None)
            self._follow_up(action, "The post was not published: X refused the login of @acme. Check the password.")
            return
        self.executed.append(dict(action["params"]))
        action["evidence"] = [
            {
                "kind": "screenshot",
                "label": "The page afterwards",
                "url": f"/api/v1/actions/{action['id']}/evidence/after.png",
            },
            {"kind": "url", "label": "Final address", "url": "https://x.example/acme/status/42?a=1&b=<2>"},
        ]
        results = {
            "post_social": {"summary": "Posted on X as @acme."},
            "scrape_url": {
                "summary": "Read “Prices”, 42 words.",
                "title": "Prices",
                "text": "Apples cost 2 €.\nPears cost 3 €.",
            },
            "fill_form": {"summary": "The page answered: Thank you.", "answer": "Thank you."},
        }
        action.update(status="succeeded", result=results[action["type"]], finished_at=now(), progress=None)
        self.record("succeeded", action["id"], "worker")
        time.sleep(self.step_s)
        reply = (
            "Apples cost **2 €** and pears 3 €, says the page."
            if action["type"] == "scrape_url"
            else results[action["type"]]["summary"]
        )
        self._follow_up(action, str(reply))

    def _follow_up(self, action: dict[str, Any], text: str) -> None:
        conversation = self.conversations.get(action["conversation_id"] or "")
        if conversation:
            self._say(conversation, "assistant", text)

    # -- chat ------------------------------------------------------------------------------------------------

    def _say(self, conversation: dict[str, Any], role: str, content: str, **more: Any) -> dict[str, Any]:
        message = {
            "id": self.new_id("msg"),
            "role": role,
            "content": content,
            "sources": [],
            "lookups": [],
            "action_id": None,
        }
        message.update(lookups=[], created_at=now(), **more)
        conversation["messages"].append(message)
        conversation["updated_at"] = now()
        return message

    def turn(self, message: str, conversation_id: str | None) -> dict[str, Any]:
        if not message.strip():
            raise Refusal(422, "text_empty", "The message is empty.", "Write something and send it again.")
        if len(message) > 20_000:
            raise Refusal(
                422,
                "text_too_long",
                f"The message has {len(message):,} characters; at most 20,000 are allowed.",
                "Shorten it.",
            )
        if conversation_id is None:
            conversation_id = self.new_id("con")
            head = {
                "id": conversation_id,
                "title": message[:60],
                "created_at": now(),
                "updated_at": now(),
                "messages": [],
            }
            self.conversations[conversation_id] = head
        conversation = self.show(conversation_id)
        self._say(conversation, "user", message)
        action, sources, lower = None, [], message.lower()
        if lower.startswith("post"):
            text = message.partition(":")[2].strip() or message
            action = self.propose("post_social", {"platform": "x", "text": text, "account": ""}, conversation_id)
            reply = (
                "I have prepared this post for X. **Nothing is published** until you approve it:\n\n"
                "- check the text\n- then approve it"
            )
        elif lower.startswith("read"):
            action = self.propose("scrape_url", {"url": message.split()[1]}, conversation_id)
            reply = "I can read that page for you once you approve it."
        elif lower.startswith("fill"):
            params = {"url": "https://forms.example/contact", "fields": {"Your name": "Ada", "Message": "Hello\nthere"}}
            action = self.propose("fill_form", params, conversation_id)
            reply = "I would fill in the form like this."
        else:
            reply = f"You said: {message} <img src=x onerror=alert(1)> ![pixel](https://evil.example/p.png) [site](https://example.org/)"
            if self.documents:
                document = next(iter(self.documents.values()))
                quote = self.texts[document["id"]][:200]
                sources = [
                    {
                        "document_id": document["id"],
                        "filename": document["filename"],
                        "place": "page 1",
                        "quote": quote,
                        "score": 0.7,
                    }
                ]
        said = self._say(conversation, "assistant", reply, sources=sources, action_id=action["id"] if action else None)
        return {
            "conversation_id": conversation_id,
            "message_id": said["id"],
            "reply": reply,
            "sources": sources,
            "lookups": [],
            "action": action,
        }

    def show(self, conversation_id: str) -> dict[str, Any]:
        if conversation_id not in self.conversations:
            raise Refusal(404, "not_found", f"There is no conversation {conversation_id}.", "It may have been deleted.")
        return self.conversations[conversation_id]


def create_app(box: FakeBox | None = None) -> FastAPI:
    """The fake app; ``app.state.box`` is its state."""
    box = box or FakeBox()
    app = FastAPI()
    app.state.box = box
    api = APIRouter(prefix="/api/v1")

    @app.exception_handler(Refusal)
    async def refused(_request: Request, error: Refusal) -> JSONResponse:
        return JSONResponse({"error": error.body()}, error.status)

    @app.middleware("http")
    async def wants_key(request: Request, call_next: Any) -> Response:
        path = request.url.path
        request.state.actor = OWNER if is_signed_in(request) else None
        if path.endswith(("/healthz", "/readyz")) or path in {"/signin", "/favicon.ico"} or request.state.actor:
            return await call_next(request)
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/signin", 303)
        body = {"code": "not_authenticated", "message": "No key.", "hint": "Send a key."}
        return JSONResponse({"error": body}, 401)

    _chat_routes(api, box)
    _action_routes(api, box)
    _memory_routes(api, box)
    _other_routes(app, api, box)
    app.include_router(api)
    return app


def is_signed_in(request: Request) -> str | None:
    """The user's name, or None."""
    if request.headers.get("authorization") == f"Bearer {API_KEY}" or request.cookies.get("herald_session") == SESSION:
        return "owner"
    return None


def _stream(box: FakeBox, message: str, conversation_id: str | None) -> Iterator[str]:
    def event(name: str, data: Any) -> str:
        return f"event: {name}\ndata: {json.dumps(data)}\n\n"

    yield event("status", {"text": "Looking into memory"})
    time.sleep(box.think_s)
    if box.break_next_chat:
        refusal, box.break_next_chat = box.break_next_chat, None
        yield event("delta", {"text": "I was about to"})
        yield event("error", refusal.body())
        return
    try:
        turn = box.turn(message, conversation_id)
    except Refusal as refusal:
        yield event("error", refusal.body())
        return
    yield event("status", {"text": "Thinking", "conversation_id": turn["conversation_id"]})
    for start in range(0, len(turn["reply"]), 6):
        time.sleep(box.delta_s)
        yield event("delta", {"text": turn["reply"][start : start + 6]})
    yield event("done", turn)


def _chat_routes(api: APIRouter, box: FakeBox) -> None:
    @api.post("/chat")
    def chat(body: dict[str, Any]) -> Any:
        if box.fail_next_chat:
            refusal, box.fail_next_chat = box.fail_next_chat, None
            raise refusal
        if body.get("stream"):
            return StreamingResponse(
                _stream(box, body["message"], body.get("conversation_id")), media_type="text/event-stream"
            )
        return box.turn(body["message"], body.get("conversation_id"))

    @api.get("/conversations")
    def conversations(q: str = "") -> Any:
        def has(c: dict[str, Any]) -> bool:
            return q.lower() in " ".join([c["title"], *(m["content"] for m in c["messages"])]).lower()

        heads = [
            {k: c[k] for k in ("id", "title", "created_at", "updated_at")} for c in box.conversations.values() if has(c)
        ]
        return {"conversations": sorted(heads, key=lambda c: c["updated_at"], reverse=True)}

    @api.get("/conversations/{conversation_id}")
    def conversation(conversation_id: str) -> Any:
        found = box.show(conversation_id)
        messages = [{**m, "action": box.actions.get(m["action_id"] or "")} for m in found["messages"]]
        return {"id": found["id"], "title": found["title"], "messages": messages}

    @api.delete("/conversations/{conversation_id}", status_code=204)
    def delete(conversation_id: str) -> None:
        box.show(conversation_id)
        del box.conversations[conversation_id]


def _action_routes(api: APIRouter, box: FakeBox) -> None:
    @api.get("/action-types")
    def action_types() -> Any:
        return {"action_types": ACTION_TYPES}

    @api.post("/actions", status_code=201)
    def propose(body: dict[str, Any]) -> Any:
        return box.propose(body["type"], body["params"], None)

    @api.get("/actions")
    def actions(status: str = "", limit: int = 50) -> Any:
        found = [a for a in reversed(box.actions.values()) if not status or a["status"] == status]
        return {"actions": found[:limit]}

    @api.get("/actions/{action_id}")
    def action(action_id: str) -> Any:
        return box.find(action_id)

    @api.post("/actions/{action_id}/approve")
    def approve(action_id: str, body: dict[str, Any]) -> Any:
        return box.approve(action_id, body["digest"])

    @api.post("/actions/{action_id}/reject")
    def reject(action_id: str, body: dict[str, Any]) -> Any:
        found = box.awaiting(action_id)
        found.update(status="rejected", decided_at=now(), finished_at=now())
        box.record("rejected", action_id, detail=body)
        return found

    @api.post("/actions/{action_id}/cancel")
    def cancel(action_id: str, body: dict[str, Any]) -> Any:
        found = box.find(action_id)
        if found["status"] != "approved":
            raise Refusal(409, "not_cancellable", f"It is {found['status']}.", "See what became of it.")
        found.update(status="cancelled", held=None, finished_at=now())
        box.record("cancelled", action_id, detail=body)
        return found

    @api.post("/actions/{action_id}/settle")
    def settle(action_id: str, body: dict[str, Any]) -> Any:
        found = box.find(action_id)
        if found["status"] != "unconfirmed":
            raise Refusal(409, "not_unconfirmed", f"It is {found['status']}.", "See what became of it.")
        found.update(status=body["outcome"], result={"summary": "Settled.", "url": body["url"]}, finished_at=now())
        box.record("settled", action_id, detail=body)
        return found

    @api.get("/action-stop")
    def stop_state() -> Any:
        return box.stop

    @api.post("/action-stop")
    def stop(body: dict[str, Any]) -> Any:
        box.stop = {"is_stopped": True, "reason": body["reason"], "stopped_by": "Owner", "stopped_at": now()}
        return box.stop

    @api.delete("/action-stop")
    def resume() -> Any:
        box.stop = dict(NOT_STOPPED)
        return box.stop

    @api.get("/media/{sha256}")
    def media(sha256: str) -> Response:
        return Response(png(), media_type="image/png")

    @api.patch("/actions/{action_id}")
    def edit(action_id: str, body: dict[str, Any]) -> Any:
        found = box.awaiting(action_id)
        box.set_params(found, body["params"])
        box.record("edited", action_id)
        return found

    @api.get("/actions/{action_id}/evidence/{filename}")
    def evidence(action_id: str, filename: str) -> Response:
        box.find(action_id)
        return Response(png(), media_type="image/png")


def _memory_routes(api: APIRouter, box: FakeBox) -> None:
    @api.post("/memory/documents", status_code=201)
    def add(file: UploadFile) -> Any:
        data = file.file.read()
        name = file.filename or "document"
        if not name.endswith((".txt", ".md", ".pdf")):
            raise Refusal(415, "unsupported_type", f"{name} is not text, Markdown or PDF.", "Save it as one of these.")
        if not data:
            raise Refusal(422, "document_empty", f"{name} is empty (0 bytes).", "Check the file.")
        time.sleep(box.step_s)
        document = {"id": box.new_id("doc"), "filename": name, "status": "ready", "chunk_count": 1 + len(data) // 500}
        document.update(project_id="prj_default", chunks_done=0, chunks_total=0, tags=[], error=None)
        document.update(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), created_at=now())
        box.documents[document["id"]] = document
        box.texts[document["id"]] = data.decode(errors="replace")
        return document

    @api.post("/projects/{project_id}/assets/{asset_id}/ingest", status_code=202)
    def ingest(project_id: str, asset_id: str) -> Any:
        box.documents[asset_id].update(status="ready", chunk_count=1, error=None)
        return box.documents[asset_id]

    @api.patch("/projects/{project_id}/assets/{asset_id}")
    def tag(project_id: str, asset_id: str, body: dict[str, Any]) -> Any:
        box.documents[asset_id].update(tags=body["tags"])
        return box.documents[asset_id]

    @api.get("/memory/documents")
    def documents() -> Any:
        return {"documents": list(box.documents.values())}

    @api.get("/memory/search")
    def search(q: str, k: int = 8) -> Any:
        hits = [d for d in box.documents.values() if q.lower() in box.texts[d["id"]].lower()][:k]
        results = [
            {
                "document_id": d["id"],
                "filename": d["filename"],
                "place": "page 1",
                "text": box.texts[d["id"]][:300],
                "score": 0.5,
            }
            for d in hits
        ]
        return {"results": results}

    @api.delete("/memory/documents/{document_id}", status_code=204)
    def delete(document_id: str) -> None:
        if box.documents.pop(document_id, None) is None:
            raise Refusal(404, "not_found", f"There is no document {document_id}.")


def _other_routes(app: FastAPI, api: APIRouter, box: FakeBox) -> None:
    @api.get("/projects")
    def projects() -> Any:
        return {"projects": [{"id": "prj_default", "name": "My project", "description": "", "role": "owner"}]}

    @api.get("/auth/keys")
    def keys() -> Any:
        return {"keys": []}

    @api.get("/action-limits")
    def limits() -> Any:
        return {"limits": []}

    @api.get("/approval-policies")
    def policies() -> Any:
        return {"policies": []}

    @api.get("/projects/{project_id}/network")
    def network(project_id: str) -> Any:
        return {"allowed": [], "denied": [], "own": []}

    @api.get("/accounts")
    def accounts() -> Any:
        return {"accounts": list(box.accounts.values())}

    @api.post("/accounts", status_code=201)
    def add(body: dict[str, Any]) -> Any:
        if not body["handle"].lstrip("@"):
            raise Refusal(422, "invalid_input", "The handle is empty.", "Type it.")
        account = {"id": box.new_id("acc"), "platform": body["platform"], "handle": body["handle"].lstrip("@")}
        account.update(base_url=body.get("base_url") or "https://x.com", created_at=now())
        box.accounts[account["id"]] = account
        return account

    @api.delete("/accounts/{account_id}", status_code=204)
    def delete(account_id: str) -> None:
        if box.accounts.pop(account_id, None) is None:
            raise Refusal(404, "not_found", f"There is no account {account_id}.")

    @api.get("/audit")
    def audit(action_id: str = "", limit: int = 50) -> Any:
        return {"entries": [e for e in box.audit if not action_id or e["action_id"] == action_id][:limit]}

    @app.get("/healthz")
    @api.get("/healthz")
    def healthz() -> Any:
        worker = {"status": "ready", "last_seen_at": now()}
        inference = {"status": box.inference, "model": "smollm2-135m-instruct", "detail": ""}
        status = "ok" if box.inference == "ready" else "degraded"
        return {
            "status": status,
            "app": "ready",
            "database": {"status": "ready", "detail": ""},
            "inference": inference,
            "worker": worker,
        }

    @app.get("/signin")
    def signin(token: str = "") -> Response:
        if token != "good":
            return HTMLResponse(
                "<title>Sign in</title><h1>Sign in to Herald</h1><p>Run <code>herald signin</code>.</p>"
            )
        response = RedirectResponse("/", 303)
        response.set_cookie("herald_session", SESSION, httponly=True, samesite="lax")
        return response
