"""How requests are said to vLLM: token prompts to ``/v1/completions``, in every case as a stream.

Source: vLLM 0.31, entrypoints/openai/completion/protocol.py, and its page on structured outputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.chat_template import ChatTemplate
from inference.engine.base import (
    ConstraintKind,
    ConstraintSpec,
    Delta,
    FinishReason,
    GenerationRequest,
    Sampling,
    TokenLogprob,
    Usage,
)
from inference.engine.constraint import call_grammar
from inference.engine.json_schema import SchemaValidator, guiding_schema, parse_schema
from inference.errors import ContextLengthExceeded, EngineFailed, InferenceError, InvalidRequest
from inference.upstream.base import Call, openai_usage
from inference.upstream.failures import event_failure, failure
from inference.upstream.servers import Server
from inference.upstream.vocabulary import FolderVocabulary

_KEY_HINT = "Set HERALD_VLLM_KEY to the key that the servers of HERALD_VLLM_URLS want."
_TOKEN = "token_id:"  # noqa: S105 - how vLLM names tokens by number
BACKGROUND_PRIORITY = 1


class VllmDialect:
    """One model folder's tokens and template, said to servers that serve the same model."""

    name = "vLLM"

    def __init__(self, vocabulary: FolderVocabulary) -> None:
        self._vocabulary = vocabulary
        self._template = ChatTemplate(vocabulary)

    def call(self, request: GenerationRequest, server: Server) -> Call:
        """Render, count and translate. Raises: InvalidRequest, ContextLengthExceeded."""
        tokens = self._tokens(request)
        context = server.context_tokens or self._vocabulary.trained_context
        room = context - len(tokens) if context is not None else None
        if room is not None and (room < 1 or (request.max_tokens or 0) > room):
            asked = f" and {request.max_tokens:,} in the completion" if request.max_tokens else ""
            raise ContextLengthExceeded(
                f"This model's maximum context length is {context:,} tokens. However, the request has {len(tokens):,} "
                f"tokens in the prompt{asked}. Shorten the messages or max_tokens.",
                param="messages" if request.messages is not None else "prompt",
            )
        body: dict[str, Any] = {
            "model": server.model,
            "prompt": tokens,
            "max_tokens": request.max_tokens or room,
            "stop": list(request.stop),
            "stream": True,
            "stream_options": {"include_usage": True},
            "priority": BACKGROUND_PRIORITY if request.is_background else 0,
            **self._sampling(request.sampling),
        }
        if request.constraint is not None:
            body["structured_outputs"] = self._structured(request.constraint)
        return Call("/v1/completions", body, _VllmReader(self._vocabulary, request.sampling.logprobs))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> InferenceError:
        """Our error for an answer with an error status."""
        return failure(self.name, _KEY_HINT, status, headers, body)

    def _tokens(self, request: GenerationRequest) -> list[int]:
        if request.messages is not None:
            tokens = self._template.prompt_tokens(request.messages, request.tools)
        elif isinstance(request.prompt, str):
            tokens = self._template.plain_tokens(request.prompt)
        else:
            tokens = request.prompt or []
        if not tokens:
            raise InvalidRequest("The prompt is empty. Send at least one token.", param="prompt")
        size = self._vocabulary.vocab_size
        for token in tokens:
            if not 0 <= token < size:
                raise InvalidRequest(f"Token {token} is not in the vocabulary of {size:,}.", param="prompt")
        return tokens

    def _sampling(self, sampling: Sampling) -> dict[str, Any]:
        size = self._vocabulary.vocab_size
        for token in sampling.logit_bias:
            if token >= size:
                raise InvalidRequest(
                    f"logit_bias names token {token}, the vocabulary has {size:,}.", param="logit_bias"
                )
        fields: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if sampling.seed is not None:
            fields["seed"] = sampling.seed
        if sampling.logit_bias:
            fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
        if sampling.logprobs is not None:
            # By number: a token may be half a character, which its text cannot say.
            fields |= {"logprobs": sampling.logprobs, "return_tokens_as_token_ids": True}
        return fields

    def _structured(self, spec: ConstraintSpec) -> dict[str, Any]:
        match spec.kind:
            case ConstraintKind.JSON_SCHEMA:
                return {"json": _guiding(spec.text)}
            case ConstraintKind.REGEX:
                return {"regex": spec.text}
            case ConstraintKind.CHOICE:
                return {"choice": json.loads(spec.text)}
            case ConstraintKind.GRAMMAR:
                return {"grammar": spec.text}
            case ConstraintKind.TEXT_OR_CALL:
                return {"grammar": call_grammar(_guiding(spec.text), self._vocabulary.marks)}


def _guiding(text: str) -> str:
    schema = parse_schema(text)
    return guiding_schema(schema, SchemaValidator(schema).dialect)


class _VllmReader:
    """Chunks of ``/v1/completions``."""

    def __init__(self, vocabulary: FolderVocabulary, alternatives: int | None) -> None:
        self.finish_reason: FinishReason | None = None
        self.usage = Usage()
        self._vocabulary = vocabulary
        self._alternatives = alternatives

    def feed(self, event: Mapping[str, Any]) -> Delta:
        """Raises: InferenceError for an event that reports one."""
        if "error" in event:
            raise event_failure(VllmDialect.name, _KEY_HINT, event["error"])
        if counted := event.get("usage"):
            self.usage = openai_usage(counted)
        if not event.get("choices"):
            return Delta()
        choice = event["choices"][0]
        match choice.get("finish_reason"):
            case None:
                pass
            case "stop" | "length" as reason:
                self.finish_reason = reason
            case other:
                raise EngineFailed(f"vLLM ended the answer with {other!r}. Send the request again.")
        return Delta(choice["text"], self._logprobs(choice.get("logprobs")))

    def rest(self) -> str:
        """Nothing is held back."""
        return ""

    def _logprobs(self, found: Any) -> tuple[TokenLogprob, ...]:
        if not found or self._alternatives is None:
            return ()
        rows = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
        return tuple(TokenLogprob(self._bytes(token), logprob, self._top(top or {})) for token, logprob, top in rows)

    def _top(self, found: Mapping[str, float]) -> tuple[tuple[bytes, float], ...]:
        # The sampled token stands among them even if it is not one of the most likely.
        ranked = sorted(found.items(), key=lambda item: -item[1])[: self._alternatives]
        return tuple((self._bytes(token), logprob) for token, logprob in ranked)

    def _bytes(self, token: str) -> bytes:
        return self._vocabulary.token_bytes(int(token.removeprefix(_TOKEN)))
