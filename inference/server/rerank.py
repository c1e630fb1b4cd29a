"""``POST /v1/rerank``, in the shape that vLLM, Jina and Cohere share. Source: vLLM, rerank API (``/v1/rerank``)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from inference.errors import InvalidRequest, ModelNotFound, NoReranker
from inference.reranker import Reranker
from inference.server.schemas import RerankBody
from inference.server.state import new_id, state_of
from inference.server.wire import CLIENT_CLOSED, unless_disconnected

router = APIRouter()

MAX_DOCUMENTS = 1_000


@router.post("/v1/rerank")
async def create_rerank(body: RerankBody, request: Request) -> Response:
    """The documents by how well they answer the query, the best first. Stops when the client goes away."""
    reranker = state_of(request).reranker
    if reranker is None:
        raise NoReranker(
            "No reranker is served here. Set HERALD_RERANKER_PATH to the folder of a cross-encoder and start the "
            "inference process again.",
            param="model",
        )
    answer = await unless_disconnected(request, rerank(body, reranker))
    return Response(status_code=CLIENT_CLOSED) if answer is None else JSONResponse(answer)


async def rerank(body: RerankBody, reranker: Reranker) -> dict[str, Any]:
    """The answer: ``relevance_score`` is 0 to 1, equals are in the order of the request. Raises: InferenceError."""
    if body.model != reranker.name:
        raise ModelNotFound(f"The reranker {body.model!r} is not served here; {reranker.name!r} is.", param="model")
    texts = body.documents
    if not body.query.strip():
        raise InvalidRequest("query is empty. Say what the documents are ranked for.", param="query")
    if not 1 <= len(texts) <= MAX_DOCUMENTS:
        raise InvalidRequest(
            f"documents has {len(texts):,} texts, 1 to {MAX_DOCUMENTS:,} are allowed at once.", param="documents"
        )
    if (empty := next((i for i, text in enumerate(texts) if not text.strip()), None)) is not None:
        raise InvalidRequest(f"documents[{empty}] is empty. Leave it out.", param="documents")
    relevance = await reranker.score(body.query, texts)
    order = sorted(range(len(texts)), key=lambda index: -relevance.scores[index])[: body.top_n or None]
    results = [
        {"index": index, "relevance_score": relevance.scores[index]}
        | ({"document": {"text": texts[index]}} if body.return_documents else {})
        for index in order
    ]
    usage = {"prompt_tokens": relevance.tokens, "total_tokens": relevance.tokens}
    return {"id": new_id("rerank"), "model": reranker.name, "results": results, "usage": usage}
