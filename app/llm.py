"""The one client of the inference process (``/v1``): chat turns, embeddings, reranking, status.

Everything that comes back from a constrained request is validated again here, so that nothing above this module ever
sees text that merely looks like the contract.
"""

from __future__ import annotations

import copy
import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypedDict

import httpx

from app import correlation
from app.errors import AppError, TooManyRequests, Unavailable, UpstreamFailed

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 300.0  # between two pieces of a stream: a cold prompt on two cores may take minutes
EMBED_BATCH = 64
TOP_LOGPROBS = 20
UNLIKELY_LOGPROB = -15.0


class InferenceUnavailable(Unavailable):
    """The inference process is not reachable, or still loads its model."""

    code = "inference_unavailable"


class InferenceBusy(TooManyRequests):
    """The inference queue is full."""

    code = "inference_busy"


class InferenceFailed(UpstreamFailed):
    """The inference process refused or broke off the request."""

    code = "inference_failed"


class ModelNotServed(InferenceFailed):
    """The inference process serves no model and no adapter of the asked name."""

    code = "model_not_served"


class ConstraintFailed(UpstreamFailed):
    """The constraint could not be applied, or the output broke it; nothing of the output may be used."""

    code = "constraint_failed"


class Message(TypedDict):
    """One chat message in OpenAI's shape."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a streamed completion; the last one carries ``finish_reason`` and maybe ``usage``."""

    text: str
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. Decisions are greedy; writing is a little warmer."""

    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a call is made for, for the analytics; ``prompt`` is what a person wrote, if anybody did.

    One thing that was asked may take several calls: they share a purpose, and with it ``request_id``.
    """

    kind: str
    prompt: str = ""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(slots=True)
class ModelCall:
    """One call of the language model as it ended. Tokens as the server counted them, 0 when it did not say."""

    purpose: Purpose
    model: str
    seconds: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    outcome: str = "finished"
    _began: float = field(default_factory=time.monotonic, repr=False)

    def take(self, usage: dict[str, Any] | None) -> None:
        """Read OpenAI's ``usage``."""
        if usage:
            self.prompt_tokens = int(usage.get("prompt_tokens") or 0)
            self.completion_tokens = int(usage.get("completion_tokens") or 0)
            self.cached_tokens = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)

    def end(self) -> None:
        """Take the time."""
        self.seconds = round(time.monotonic() - self._began, 3)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A whole completion; ``probability`` is of true at its first true or false, None where the server gives none."""

    text: str
    probability: float | None


UNNAMED = Purpose("other")


class LlmClient:
    """A thread-safe client of one inference server.

    Args:
        base_url: the server's origin, without ``/v1``.
        api_key: its bearer key.
        model: the chat model's name; embeddings use ``embedding_model``.

    Attributes:
        on_call: is told of every call of the language model when it has ended, however it ended.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        model: str,
        embedding_model: str = "all-minilm-l6-v2",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.model = model
        self.embedding_model = embedding_model
        self.on_call: Callable[[ModelCall], None] = lambda _call: None
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=False,
            event_hooks={"request": [_name_request]},
        )

    def recording(self, on_call: Callable[[ModelCall], None]) -> Self:
        """The same client over the same connections, whose calls are told to ``on_call``."""
        client = copy.copy(self)
        client.on_call = on_call
        return client

    def with_model(self, model: str) -> Self:
        """The same client over the same connections, asking for another model or an adapter."""
        client = copy.copy(self)
        client.model = model
        return client

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def status(self, timeout_s: float = 2.0) -> dict[str, Any]:
        """``{"status", "model", "detail"}`` as ``/readyz`` says, status ``unreachable`` when nothing answers."""
        try:
            body = self._http.get("/readyz", timeout=timeout_s).json()
        except (httpx.HTTPError, ValueError) as error:
            return {"status": "unreachable", "model": self.model, "detail": str(error) or type(error).__name__}
        return body if isinstance(body, dict) else {"status": "failed", "model": self.model, "detail": str(body)}

    def served(self, timeout_s: float = 2.0) -> list[str]:
        """The names that a request may ask for. Raises: InferenceUnavailable, InferenceFailed."""
        return [str(model["id"]) for model in self._models(timeout_s)]

    def reranker(self, timeout_s: float = 2.0) -> str:
        """The name of the cross-encoder that is served, "" without one. Raises: as ``served``."""
        rerankers = [str(m["id"]) for m in self._models(timeout_s) if "rerank" in (m.get("endpoints") or ())]
        return rerankers[0] if rerankers else ""

    def _models(self, timeout_s: float) -> list[dict[str, Any]]:
        with self._translated(timeout_s):
            response = self._http.get("/v1/models", timeout=timeout_s)
            _raise_for(response)
            models: list[dict[str, Any]] = response.json()["data"]
            return models

    def rerank(self, model: str, query: str, documents: Sequence[str], timeout_s: float) -> list[float]:
        """How well each document answers the query, 0 to 1, in order. Source: vLLM's rerank API.

        Raises: InferenceUnavailable (also after ``timeout_s``), InferenceBusy, ModelNotServed, InferenceFailed.
        """
        body = {"model": model, "query": query, "documents": list(documents)}
        with self._translated(timeout_s):
            response = self._http.post("/v1/rerank", json=body, timeout=timeout_s)
            _raise_for(response)
            scores = {int(row["index"]): float(row["relevance_score"]) for row in response.json()["results"]}
        if set(scores) != set(range(len(documents))):
            raise InferenceFailed(f"The reranker answered {len(scores)} scores for {len(documents)} documents.")
        return [scores[index] for index in range(len(documents))]

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One vector a text, in order.

        Raises: InferenceUnavailable, InferenceBusy, InferenceFailed.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBED_BATCH):
            batch = texts[start : start + EMBED_BATCH]
            with self._translated():
                response = self._http.post("/v1/embeddings", json={"model": self.embedding_model, "input": batch})
                _raise_for(response)
                rows = response.json()["data"]
            if len(rows) != len(batch):
                raise InferenceFailed(f"The embedding server answered {len(rows)} vectors for {len(batch)} texts.")
            vectors.extend(row["embedding"] for row in sorted(rows, key=lambda r: r["index"]))
        return vectors

    def first_word(self, messages: list[Message], words: Sequence[str], purpose: Purpose = UNNAMED) -> list[float]:
        """The natural log-probability of each of ``words`` as the answer's first token.

        One step of decoding, so it costs little more than reading the prompt.

        Raises: InferenceUnavailable, InferenceBusy, InferenceFailed (also where the server gives no log-probabilities).
        """
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
        }
        with self._recorded(purpose) as call, self._translated():
            response = self._http.post("/v1/chat/completions", json=body)
            _raise_for(response)
            answered = response.json()
            call.take(answered.get("usage"))
            found = answered["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        top = {row["token"].strip(): float(row["logprob"]) for row in reversed(found)}
        return [top.get(word, UNLIKELY_LOGPROB) for word in words]

    def stream(
        self, messages: list[Message], schema: dict[str, Any], sampling: Sampling, purpose: Purpose = UNNAMED
    ) -> Iterator[Piece]:
        """Stream one completion constrained to ``schema``; closing the iterator aborts the request.

        Raises: InferenceUnavailable, InferenceBusy, ConstraintFailed, InferenceFailed (also while streaming).
        """
        body = self._body(messages, schema, sampling) | {"stream": True, "stream_options": {"include_usage": True}}
        with self._recorded(purpose) as call:
            call.outcome = "aborted"  # unless the end is reached: a reader may go away
            with self._translated(), self._http.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.status_code >= 400:
                    response.read()
                    _raise_for(response)
                for piece in _pieces(response.iter_lines()):
                    call.take(piece.usage)
                    yield piece
            call.outcome = "finished"

    def judge(
        self, messages: list[Message], schema: dict[str, Any], sampling: Sampling, purpose: Purpose = UNNAMED
    ) -> Judgement:
        """One whole completion constrained to ``schema``, with how sure the model was of its first true or false.

        Raises: as ``stream``.
        """
        body = self._body(messages, schema, sampling) | {"logprobs": True, "top_logprobs": 10}
        with self._recorded(purpose) as call, self._translated():
            response = self._http.post("/v1/chat/completions", json=body)
            _raise_for(response)
            answered = response.json()
            call.take(answered.get("usage"))
            choice = answered["choices"][0]
            if choice.get("finish_reason") == "length":
                raise ConstraintFailed(
                    f"The model did not finish within {sampling.max_tokens} tokens, so nothing of it was used.",
                    hint="Ask again, or ask for something shorter.",
                )
            return Judgement(str(choice["message"]["content"]), _probability(choice.get("logprobs")))

    def _body(self, messages: list[Message], schema: dict[str, Any], sampling: Sampling) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "turn", "schema": schema, "strict": True},
            },
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        return body

    @contextmanager
    def _recorded(self, purpose: Purpose) -> Iterator[ModelCall]:
        call = ModelCall(purpose, self.model)
        try:
            yield call
        except AppError as error:
            call.outcome = error.code
            raise
        finally:
            call.end()
            self.on_call(call)

    @contextmanager
    def _translated(self, timeout_s: float = READ_TIMEOUT_S) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise InferenceUnavailable(
                f"The inference process does not answer at {self.base_url}.",
                hint="It may be starting or may have stopped: see `herald status` and the inference log.",
            ) from error
        except httpx.TimeoutException as error:
            raise InferenceUnavailable(
                f"The inference process did not answer within {timeout_s:.0f} s.",
                hint="Try again; if it stays so, restart it with ./scripts/down and ./scripts/up.",
            ) from error
        except httpx.HTTPError as error:
            raise InferenceUnavailable(
                "The inference process stopped in the middle of its answer.",
                hint="It is being restarted; send the message again in a moment.",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InferenceFailed(f"The inference process answered in a shape that cannot be read: {error}") from error


def _name_request(request: httpx.Request) -> None:
    """Let the inference log say for which request of the app it works."""
    if request_id := correlation.request_id():
        request.headers[correlation.HEADER] = request_id


def _pieces(lines: Iterator[str]) -> Iterator[Piece]:
    """Server-sent events to pieces. Source: OpenAI chat completion chunks."""
    is_done = False
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            is_done = True
            break
        event = json.loads(data)
        if "error" in event:
            raise _error_from(event["error"], 500)
        choices = event.get("choices") or []
        if not choices:
            if event.get("usage"):
                yield Piece("", usage=event["usage"])
            continue
        choice = choices[0]
        yield Piece(choice.get("delta", {}).get("content") or "", choice.get("finish_reason"), event.get("usage"))
    if not is_done:
        raise InferenceUnavailable(
            "The inference process stopped in the middle of its answer.",
            hint="It is being restarted; send the message again in a moment.",
        )


def _probability(logprobs: dict[str, Any] | None) -> float | None:
    """The probability of true at the first place that says true or false. Source: OpenAI ``choices[].logprobs``."""
    for entry in (logprobs or {}).get("content") or []:
        if str(entry["token"]).strip() not in {"true", "false"}:
            continue
        masses = {"true": 0.0, "false": 0.0}
        for option in entry.get("top_logprobs") or []:
            word = str(option["token"]).strip().casefold()
            if word in masses:
                masses[word] += math.exp(option["logprob"])
        total = sum(masses.values())
        return masses["true"] / total if total else None
    return None


def _raise_for(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        error = {"message": response.text[:500], "code": None}
    raise _error_from(error, response.status_code)


def _error_from(error: dict[str, Any], status: int) -> AppError:
    message, code = str(error.get("message", "unknown error")), str(error.get("code") or "")
    if code in {"constraint_failed", "invalid_schema"}:
        return ConstraintFailed(
            f"The model's output could not be constrained, so nothing of it was used: {message}",
            hint="Send the message again; if it stays so, look into the inference log.",
        )
    if code == "context_length_exceeded":
        return InferenceFailed(
            f"The conversation does not fit the model: {message}",
            hint="Start a new conversation or shorten the message.",
            code=code,
        )
    if code == "model_not_found":
        return ModelNotServed(
            message,
            hint="herald models list and herald finetune list show names; an adapter is served after a restart.",
        )
    if status == 429:
        return InferenceBusy(f"The model is busy: {message}", hint="Try again in a few seconds.")
    if status == 503:
        return InferenceUnavailable(f"The model is not ready: {message}", hint="Try again in a moment.")
    if status == 401:
        return InferenceFailed(
            "The inference process refused the key.",
            hint="HERALD_INFERENCE_KEY must be the same for the app and for inference; restart both.",
        )
    return InferenceFailed(f"The inference process refused the request: {message}")
