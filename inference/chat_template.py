"""Renders chat messages with the template that the model brings, and turns the result into tokens.

Templates come from the model file only, never from a caller, and run in Jinja's immutable sandbox. Text of callers that
looks like a control token (``<|im_end|>``) stays text: nobody can end their own turn and speak as the system.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.engine.constraint import CALL_OPEN
from inference.errors import InvalidRequest

# Private-use characters mark a control token's text inside of callers' text until it is tokenized as plain text.
_OPEN, _CLOSE = "\ue0f0", "\ue0f1"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_FALLBACK = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


class TemplateFacts(Protocol):
    """What a model's files say of its template."""

    @property
    def chat_template(self) -> str:
        """Jinja source; empty for none."""
        ...

    @property
    def begin_text(self) -> str:
        """The begin token's text."""
        ...

    @property
    def end_text(self) -> str:
        """The end token's text."""
        ...

    @property
    def adds_begin_token(self) -> bool:
        """Whether every prompt starts with the begin token."""
        ...


class Vocabulary(Protocol):
    """A model's tokens, wherever it computes: a loaded backend, or a tokenizer alone."""

    @property
    def info(self) -> TemplateFacts:
        """Facts about the model."""
        ...

    @property
    def control_texts(self) -> Mapping[str, int]:
        """The control tokens by their text."""
        ...

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        """Tokens of a text; control tokens' texts become control tokens only with ``parse_control``."""
        ...


class ChatTemplate:
    """The chat format of one model."""

    def __init__(self, backend: Vocabulary) -> None:
        """Raises: jinja2.TemplateError when the model's template cannot be compiled."""
        self._backend = backend
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now(UTC).strftime(form)
        source = backend.info.chat_template or _FALLBACK
        self._template = environment.from_string(source)
        # Llama and Mistral have marks of their own for calls; what constrains and reads a call knows <tool_call> alone,
        # so only a template that writes that one is shown the tools itself.
        self._knows_tools = "tools" in source and CALL_OPEN in source
        texts = sorted(backend.control_texts, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, texts))) if texts else None
        self._texts: list[str] = texts
        self._numbers = {text: number for number, text in enumerate(texts)}

    def prompt_tokens(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[int]:
        """Tokens of the conversation, ready for the assistant's next turn. Raises: InvalidRequest."""
        if not self._knows_tools:
            messages, tools = _with_tools_as_text(messages, tools), None
        try:
            text = self._render(messages, tools)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
            text = self._render_folded(messages, tools, error)
        return self._tokenize(text)

    def _render(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None) -> str:
        info = self._backend.info
        return self._template.render(
            messages=self._guard(list(messages)),
            tools=self._guard(list(tools)) if tools else None,
            add_generation_prompt=True,
            bos_token=info.begin_text,
            eos_token=info.end_text,
        )

    def _render_folded(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None, error: Exception
    ) -> str:
        """Older templates of Mistral know no system and want user and assistant in turn: write it so. One try."""
        try:
            return self._render(_folded(messages), tools)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError):
            raise InvalidRequest(
                f"The model's chat template refused the messages: {error}. Check the order of their roles.",
                param="messages",
            ) from error

    def plain_tokens(self, text: str) -> list[int]:
        """Tokens of a bare prompt, in which nothing is a control token; with the begin token if the model wants one."""
        tokens = self._backend.tokenize(text, parse_control=False)
        begin = self._backend.control_texts.get(self._backend.info.begin_text)
        return [begin, *tokens] if self._backend.info.adds_begin_token and begin is not None else tokens

    def _guard(self, value: Any) -> Any:
        if isinstance(value, str):
            cleaned = value.replace(_OPEN, "").replace(_CLOSE, "")
            if self._control is None:
                return cleaned
            return self._control.sub(lambda found: f"{_OPEN}{self._numbers[found.group()]}{_CLOSE}", cleaned)
        if isinstance(value, list):
            return [self._guard(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self._guard(item) for key, item in value.items()}
        return value

    def _tokenize(self, text: str) -> list[int]:
        info = self._backend.info
        pieces = _MARK.split(text)
        tokens: list[int] = []
        for at, piece in enumerate(pieces):
            if at % 2:
                tokens += self._backend.tokenize(self._texts[int(piece)], parse_control=False)
            elif piece:
                tokens += self._backend.tokenize(piece, parse_control=True)
        begin = self._backend.control_texts.get(info.begin_text)
        if info.adds_begin_token and begin is not None and tokens[:1] != [begin]:
            tokens.insert(0, begin)
        return tokens


def _to_json(value: Any, indent: int | None = None, **_: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> str:
    raise jinja2.TemplateError(message)


def _folded(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """System messages become the beginning of what the user says, and neighbours of one role become one message."""
    result: list[Mapping[str, Any]] = []
    for message in messages:
        turn = {**message, "role": "user"} if message["role"] == "system" else message
        last = result[-1] if result else None
        if last is not None and last["role"] == turn["role"] and isinstance(turn["content"], str):
            result[-1] = {**last, "content": f"{last['content']}\n\n{turn['content']}"}
        else:
            result.append(turn)
    return result


def _with_tools_as_text(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None
) -> list[Mapping[str, Any]]:
    """Tools, calls and their results written into ordinary messages, for templates that know nothing of tools."""
    result: list[Mapping[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            result.append({"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"})
        elif message.get("tool_calls"):
            calls = [f"<tool_call>\n{_to_json(call['function'])}\n</tool_call>" for call in message["tool_calls"]]
            result.append({"role": "assistant", "content": "\n".join([message["content"], *calls]).strip()})
        else:
            result.append(message)
    if tools:
        listed = "\n".join(_to_json(tool) for tool in tools)
        text = (
            f"You may call one of these functions:\n{listed}\nTo call one, answer with nothing but\n<tool_call>\n"
            '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
        )
        if result and result[0]["role"] == "system":
            result[0] = {**result[0], "content": f"{result[0]['content']}\n\n{text}"}
        else:
            result.insert(0, {"role": "system", "content": text})
    return result
