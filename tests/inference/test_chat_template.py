"""Chat templates in the manner of Llama's and Mistral's: tools in the form that is read back, old orders of roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from inference.chat_template import ChatTemplate
from inference.errors import InvalidRequest

# Short ones of our own that show what matters here: each has marks of its own for calls.
LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% if m.tool_calls %}{{ {'name': m.tool_calls[0].function.name} | tojson }}{% else %}{{ m.content }}{% endif %}"
    "<|eot_id|>{% endfor %}{% if tools %}<|python_tag|>{{ tools | tojson }}{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}"
    "{% if m.role not in ['user', 'assistant'] or (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
    "{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[TOOL_CALLS]{% endif %}{# tool_calls #}"
)
HERMES = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if tools %}{{ tools | tojson }} <tool_call>{% endif %}{# tool_calls #}"
)
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


@dataclass
class Letters:
    """Tokens are the letters' code points, so a prompt can be read back."""

    chat_template: str
    begin_text: str = ""
    end_text: str = "</s>"
    adds_begin_token: bool = False

    @property
    def info(self) -> Letters:
        return self

    @property
    def control_texts(self) -> Mapping[str, int]:
        return {}

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        return [ord(letter) for letter in text]


def prompt(template: str, *messages: Mapping[str, object], tools: list[object] | None = None) -> str:
    tokens = ChatTemplate(Letters(template)).prompt_tokens(messages, tools)  # type: ignore[arg-type]
    return "".join(map(chr, tokens))


def said(role: str, content: str) -> dict[str, object]:
    return {"role": role, "content": content}


def test_an_order_that_no_folding_mends_is_refused() -> None:
    """In the template's own words."""
    with pytest.raises(InvalidRequest, match="roles must alternate"):
        prompt(MISTRAL, said("assistant", "I begin"))


@pytest.mark.parametrize("template", [LLAMA, MISTRAL])
def test_tools_are_shown_in_the_form_that_is_read_back(template: str) -> None:
    """Not in the model's own, which would be taken for text."""
    text = prompt(template, said("user", "Rain?"), tools=[WEATHER])
    assert '<tool_call>\n{"name": <function-name>' in text
    assert '"name": "weather"' in text
    assert "[AVAILABLE_TOOLS]" not in text
    assert "<|python_tag|>" not in text


def test_a_template_that_writes_that_form_shows_them_itself() -> None:
    """Qwen's and those after Hermes."""
    text = prompt(HERMES, said("user", "Rain?"), tools=[WEATHER])
    assert "You may call one of these functions" not in text
    assert text.endswith("<tool_call>")


def test_a_call_and_its_result_are_a_turn_each() -> None:
    """So that user and assistant go on taking turns."""
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {}}}]}
    text = prompt(MISTRAL, said("user", "Rain?"), call, said("tool", "dry"), tools=[WEATHER])
    assert '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call></s>' in text
    assert text.endswith("[INST] <tool_response>\ndry\n</tool_response>[/INST]")


def test_a_template_without_a_system_gets_it_with_what_the_user_says() -> None:
    """As Mistral 7B wants it."""
    text = prompt(MISTRAL, said("system", "Be brief."), said("user", "Hello"), said("user", "there"))
    assert text == "[INST] Be brief.\n\nHello\n\nthere[/INST]"


def test_a_template_that_knows_the_system_keeps_it() -> None:
    """Nothing is folded without need."""
    text = prompt(LLAMA, said("system", "Be brief."), said("user", "Hello"))
    assert "system<|end_header_id|>\n\nBe brief.<|eot_id|>" in text
