"""``/generate``, ``/generations``, ``/variants``, ``/voice``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.actions.schemas import ActionOut
from app.generation.records import Done, Event, Failure, Piece, Step, VariantDone, Voice
from app.generation.schemas import (
    GenerateIn,
    GenerationOut,
    GenerationsOut,
    ProposeIn,
    TextIn,
    VariantOut,
    VersionOut,
    VersionsOut,
    VoiceIn,
    VoiceOut,
    variant_out,
)
from app.services import ActorDep, ServicesDep

router = APIRouter(tags=["generation"])
ProjectQuery = Annotated[str | None, Query(max_length=100, description="Without it the caller's own default.")]


@router.post("/generate", response_model=GenerationOut)
def generate(body: GenerateIn, services: ServicesDep, actor: ActorDep) -> GenerationOut | StreamingResponse:
    """Write three variants of a brief: short form, long form, call to action.

    With ``"stream": true`` the answer is ``text/event-stream`` with the events ``status``, ``piece`` (an empty one
    takes the variant's text back: it is written again), ``variant``, and at the end ``done`` (the body of the plain
    answer) or ``error``. What was begun is finished and kept when the reader goes away.
    """
    if not body.stream:
        return GenerationOut.of(services.generation.generate(body.brief, body.platform, actor=actor))
    events = services.generation.stream(body.brief, body.platform, actor=actor)
    return StreamingResponse(_sent(events), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get("/generations")
def list_generations(
    services: ServicesDep, project_id: ProjectQuery = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> GenerationsOut:
    """The briefs with their variants, the newest first."""
    found = services.generation.newest(limit)
    return GenerationsOut(generations=[GenerationOut.of(g) for g in found])


@router.get("/generations/{generation_id}")
def get_generation(generation_id: str, services: ServicesDep) -> GenerationOut:
    """One brief with its variants."""
    return GenerationOut.of(services.generation.get(generation_id))


@router.patch("/variants/{variant_id}")
def edit_variant(variant_id: str, body: TextIn, services: ServicesDep, actor: ActorDep) -> VariantOut:
    """Replace a variant's text; the earlier one stays in its history."""
    return variant_out(services.generation.edit(variant_id, body.text, actor=actor))


@router.get("/variants/{variant_id}/versions")
def list_versions(variant_id: str, services: ServicesDep) -> VersionsOut:
    """Every text that a variant has had."""
    found = services.generation.history(variant_id)
    return VersionsOut(versions=[VersionOut.model_validate(v) for v in found])


@router.post("/variants/{variant_id}/regenerate")
def regenerate_variant(variant_id: str, services: ServicesDep, actor: ActorDep) -> VariantOut:
    """Write one variant anew."""
    return variant_out(services.generation.regenerate(variant_id, actor=actor))


@router.post("/variants/{variant_id}/propose", status_code=201)
def propose_variant(variant_id: str, body: ProposeIn, services: ServicesDep, actor: ActorDep) -> ActionOut:
    """Make a variant a proposal to post, which waits for its approval."""
    action = services.generation.propose(variant_id, platform=body.platform, account=body.account, actor=actor)
    return ActionOut.of(action)


@router.get("/voice")
def get_voice(services: ServicesDep, project_id: ProjectQuery = None) -> VoiceOut:
    """How the project talks."""
    return _voice_out(services.generation.voice())


@router.put("/voice")
def set_voice(body: VoiceIn, services: ServicesDep) -> VoiceOut:
    """Set how the project talks and which words it never uses."""
    return _voice_out(services.generation.set_voice(Voice(body.description, tuple(body.banned_words))))


def _voice_out(voice: Voice) -> VoiceOut:
    return VoiceOut(description=voice.description, banned_words=list(voice.banned_words))


def _sent(events: Iterator[Event]) -> Iterator[str]:
    """Source: WHATWG HTML, server-sent events."""
    for event in events:
        match event:
            case Step(text, generation_id, kind):
                yield _event("status", json.dumps({"text": text, "generation_id": generation_id, "kind": kind}))
            case Piece(kind, text):
                yield _event("piece", json.dumps({"kind": kind, "text": text}))
            case VariantDone(variant):
                yield _event("variant", variant_out(variant).model_dump_json())
            case Done(generation):
                yield _event("done", GenerationOut.of(generation).model_dump_json())
            case Failure(error, generation_id):
                body = {"code": error.code, "message": error.message, "hint": error.hint}
                yield _event("error", json.dumps(body | {"generation_id": generation_id}))


def _event(name: str, data: str) -> str:
    return f"event: {name}\ndata: {data}\n\n"
