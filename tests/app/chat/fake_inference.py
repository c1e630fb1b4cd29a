"""A scripted inference server behind the real client: it speaks the wire, and says what the test wants said.

Scripted turns obey the requested schema, as the real server's do, unless the test asks for broken ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jsonschema

from app.llm import LlmClient


@dataclass
class FakeInference:
    """Answers chat requests from ``turns`` in order; each is a turn's dict, raw text, or an error to send.

    Attributes:
        requests: the bodies of the chat requests that came.
        before: called before each answer, for tests that need to be in the middle of a turn.
    """

    turns: list[dict[str, Any] | str | httpx.Response] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    is_obedient: bool = True
    ends_early: bool = False

    def client(self) -> LlmClient:
        """The real client, wired to this server."""
        return LlmClient("http://inference.test", "key", "model", transport=httpx.MockTransport(self._answer))

    def prompt_of(self, index: int) -> str:
        """Everything that the model was shown in a request."""
        return "\n".join(m["content"] for m in self.requests[index]["messages"])

    def schema_of(self, index: int) -> dict[str, Any]:
        """The schema that the request was constrained to."""
        schema: dict[str, Any] = self.requests[index]["response_format"]["json_schema"]["schema"]
        return schema

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/embeddings":
            texts = json.loads(request.content)["input"]
            return httpx.Response(
                200, json={"data": [{"index": i, "embedding": vector(t)} for i, t in enumerate(texts)]}
            )
        body = json.loads(request.content)
        self.requests.append(body)
        self.before()
        turn = self.turns.pop(0)
        if isinstance(turn, httpx.Response):
            return turn
        if isinstance(turn, dict) and self.is_obedient:
            jsonschema.validate(turn, self.schema_of(-1))
        text = turn if isinstance(turn, str) else json.dumps(turn, ensure_ascii=False)
        return httpx.Response(200, text=self._events(text), headers={"content-type": "text/event-stream"})

    def _events(self, text: str) -> str:
        chunks = [{"choices": [{"delta": {"content": text[i : i + 7]}}]} for i in range(0, len(text), 7)]
        if self.ends_early:
            return "".join(f"data: {json.dumps(c)}\n\n" for c in chunks[: len(chunks) // 2])
        chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        return "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n"


def vector(text: str) -> list[float]:
    """A 384-d bag of hashed words: texts that share words are near each other."""
    numbers = [0.0] * 384
    for word in text.casefold().split():
        digest = hashlib.sha256(word.strip(".,:;!?\"'").encode()).digest()
        numbers[int.from_bytes(digest[:2], "big") % 384] += 1.0
    norm = sum(n * n for n in numbers) ** 0.5 or 1.0
    return [n / norm for n in numbers]
