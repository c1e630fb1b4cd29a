"""``POST /v1/embeddings``. Source: OpenAI API reference, embeddings."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from fastapi import APIRouter, Request

from inference.embedder import Embedder
from inference.errors import InvalidRequest, ModelNotFound, UnsupportedParameter
from inference.server.schemas import EmbeddingsBody
from inference.server.state import state_of

router = APIRouter()

MAX_INPUTS = 2048


@router.post("/v1/embeddings")
async def create_embeddings(body: EmbeddingsBody, request: Request) -> dict[str, Any]:
    """One normalised vector for each input text."""
    return await embed(body, state_of(request).embedder)


async def embed(body: EmbeddingsBody, embedder: Embedder) -> dict[str, Any]:
    """The answer as OpenAI shapes it. Raises: InferenceError."""
    if body.model != embedder.name:
        raise ModelNotFound(
            f"The embedding model {body.model!r} is not served here; {embedder.name!r} is.", param="model"
        )
    if body.dimensions is not None:
        raise UnsupportedParameter("dimensions cannot be chosen; leave it out.", param="dimensions")
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not 1 <= len(texts) <= MAX_INPUTS:
        raise InvalidRequest(f"input has {len(texts)} texts, 1 to {MAX_INPUTS} are allowed at once.", param="input")
    if any(not text for text in texts):
        raise InvalidRequest("input holds an empty text. Leave it out.", param="input")
    result = await embedder.embed(texts)
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector, body.encoding_format)}
        for index, vector in enumerate(result.vectors)
    ]
    usage = {"prompt_tokens": result.tokens, "total_tokens": result.tokens}
    return {"object": "list", "data": data, "model": embedder.name, "usage": usage}


def _encoded(vector: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return vector
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode("ascii")
