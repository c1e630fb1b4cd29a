"""``POST /chat``: one turn, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.chat.events import Answer, Delta, Event, Failure, Progress
from app.chat.schemas import ChatIn, ChatOut
from app.services import ActorDep, ServicesDep

router = APIRouter(tags=["chat"])


@router.post("/chat", response_model=ChatOut)
def chat(body: ChatIn, services: ServicesDep, actor: ActorDep) -> ChatOut | StreamingResponse:
    """Answer a message; a proposed action waits for its approval.

    With ``"stream": true`` the answer is ``text/event-stream`` with the events ``status``, ``delta``, and at the end
    ``done`` (the body of the plain answer) or ``error``.
    """
    if not body.stream:
        return ChatOut.of(services.chat.turn(body.message, body.conversation_id, actor=actor))
    events = services.chat.stream(body.message, body.conversation_id, actor=actor)
    return StreamingResponse(_sent(events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _sent(events: Iterator[Event]) -> Iterator[str]:
    """Source: WHATWG HTML, server-sent events."""
    for event in events:
        match event:
            case Progress(text, conversation_id):
                yield _event("status", json.dumps({"text": text, "conversation_id": conversation_id}))
            case Delta(text):
                yield _event("delta", json.dumps({"text": text}))
            case Answer():
                yield _event("done", ChatOut.of(event).model_dump_json())
            case Failure(error, conversation_id):
                body = {"code": error.code, "message": error.message, "hint": error.hint}
                yield _event("error", json.dumps(body | {"conversation_id": conversation_id}))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
