"""The one client of the inference process (``/v1``): chat turns, embeddings, status.

Everything that comes back from a constrained request is validated again here, so that nothing above this module ever
sees text that merely looks like the contract.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import httpx

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


class LlmClient:
    """A thread-safe client of one inference server.

    Args:
        base_url: the server's origin, without ``/v1``.
        api_key: its bearer key.
        model: the chat model's name; embeddings use ``embedding_model``.
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
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=False,
        )

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

    def first_word(self, messages: list[Message], words: Sequence[str]) -> list[float]:
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
        with self._translated():
            response = self._http.post("/v1/chat/completions", json=body)
            _raise_for(response)
            found = response.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        top = {row["token"].strip(): float(row["logprob"]) for row in reversed(found)}
        return [top.get(word, UNLIKELY_LOGPROB) for word in words]

    def stream(self, messages: list[Message], schema: dict[str, Any], sampling: Sampling) -> Iterator[Piece]:
        """Stream one completion constrained to ``schema``; closing the iterator aborts the request.

        Raises: InferenceUnavailable, InferenceBusy, ConstraintFailed, InferenceFailed (also while streaming).
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "turn", "schema": schema, "strict": True},
            },
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        with self._translated(), self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code >= 400:
                response.read()
                _raise_for(response)
            yield from _pieces(response.iter_lines())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise InferenceUnavailable(
                f"The inference process does not answer at {self.base_url}.",
                hint="It may be starting or may have stopped: see `herald status` and the inference log.",
            ) from error
        except httpx.TimeoutException as error:
            raise InferenceUnavailable(
                f"The inference process did not answer within {READ_TIMEOUT_S:.0f} s.",
                hint="Try again; if it stays so, restart it with ./scripts/down and ./scripts/up.",
            ) from error
        except httpx.HTTPError as error:
            raise InferenceUnavailable(
                "The inference process stopped in the middle of its answer.",
                hint="It is being restarted; send the message again in a moment.",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InferenceFailed(f"The inference process answered in a shape that cannot be read: {error}") from error


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
