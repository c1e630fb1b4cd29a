"""``POST /assistant/query``: an answer from the documents, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.assistant.records import Event, Failure, Reply, Step, Token
from app.assistant.schemas import AnswerOut, QueryIn
from app.services import ServicesDep

router = APIRouter(prefix="/assistant", tags=["assistant"])


@router.post("/query", response_model=AnswerOut)
def query(body: QueryIn, services: ServicesDep) -> AnswerOut | StreamingResponse:
    """Answer a question from the documents, every claim with its citation.

    With ``"stream": true`` the answer is ``text/event-stream`` with the events ``status``, ``token``, then
    ``citations`` and ``done`` (the body of the plain answer), or ``error``. A token was checked before it is sent.
    """
    if not body.stream:
        return AnswerOut.of(services.assistant.ask(body.question))
    events = services.assistant.stream(body.question)
    return StreamingResponse(_sent(events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _sent(events: Iterator[Event]) -> Iterator[str]:
    """Source: WHATWG HTML, server-sent events."""
    for event in events:
        match event:
            case Step(text):
                yield _event("status", json.dumps({"text": text}))
            case Token(text):
                yield _event("token", json.dumps({"text": text}))
            case Reply():
                body = AnswerOut.of(event)
                yield _event("citations", json.dumps({"citations": [c.model_dump() for c in body.citations]}))
                yield _event("done", body.model_dump_json())
            case Failure(error):
                yield _event("error", json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
