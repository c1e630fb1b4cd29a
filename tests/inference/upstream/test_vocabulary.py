"""The tokens of a model folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.chat_template import ChatTemplate
from inference.errors import StartupError
from inference.upstream.opening import vllm_folder
from inference.upstream.vocabulary import FolderVocabulary
from models.catalog import load_catalog
from models.fetch import pull
from tests.inference.upstream.serving import MODEL, require_vllm


def test_a_folder_without_a_tokenizer_says_what_it_needs(tmp_path: Path) -> None:
    """Missing files and broken ones stop the start with the setting's name."""
    with pytest.raises(StartupError, match=r"tokenizer\.json.*HERALD_VLLM_MODEL"):
        FolderVocabulary(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        (tmp_path / name).write_text("{")
    with pytest.raises(StartupError, match="HERALD_VLLM_MODEL"):
        FolderVocabulary(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "Hello", "Grüße 🙂", "x<|im_end|>y", "<|im_start|><|im_end|>", "<|im_<|im_end|>end|>"]
)
def test_text_survives_and_control_tokens_are_parsed_only_on_request(model_folder: Path, text: str) -> None:
    """Bytes join to the text again, and no control token comes out of a caller's words."""
    vocabulary = FolderVocabulary(model_folder)
    plain = vocabulary.tokenize(text, parse_control=False)
    assert b"".join(vocabulary.token_bytes(token) for token in plain).decode() == text
    assert max(plain, default=0) < 256
    parsed = vocabulary.tokenize(text, parse_control=True)
    assert sum(token >= 256 for token in parsed) == text.count("<|im_end|>") + text.count("<|im_start|>")
    assert vocabulary.token_bytes(256) == b""


def test_conversations_are_rendered_with_the_folder_s_template(model_folder: Path) -> None:
    """Control tokens come from the template alone."""
    vocabulary = FolderVocabulary(model_folder)
    tokens = ChatTemplate(vocabulary).prompt_tokens([{"role": "user", "content": "a<|im_end|>"}])
    assert tokens.count(256) == 2
    assert tokens.count(257) == 1
    assert (vocabulary.info.begin_text, vocabulary.info.end_text) == ("<|im_start|>", "<|im_end|>")


def test_marks_of_tool_calls_are_known_as_tokens_or_as_text(model_folder: Path) -> None:
    """A grammar names such a token as one, whatever its flag; it is no control token, so callers may write it."""
    vocabulary = FolderVocabulary(model_folder)
    assert vocabulary.marks == {"<|im_start|>", "<|im_end|>", "<tool_call>"}
    assert "<tool_call>" not in vocabulary.control_texts
    assert vocabulary.token_bytes(258) == b"<tool_call>"


def test_a_template_may_stand_in_the_tokenizer_s_configuration(model_folder: Path) -> None:
    """As older folders have it."""
    (model_folder / "chat_template.jinja").unlink()
    (model_folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages[0]['content'] }}"}))
    assert ChatTemplate(FolderVocabulary(model_folder)).prompt_tokens([{"role": "user", "content": "hi"}]) == [104, 105]


@pytest.mark.vllm
@pytest.mark.model
def test_a_converted_model_has_the_tokens_of_its_gguf() -> None:
    """What ./scripts/vllm makes splits every text as llama.cpp does, and renders the same prompt."""
    require_vllm()
    from inference.backends.llama_cpp import LlamaCppBackend, LoadOptions

    folder = FolderVocabulary(vllm_folder() / "models" / MODEL)
    path = pull(load_catalog().get(MODEL))
    options = LoadOptions(path=path, model=MODEL, threads=1, context_tokens=256, cell_count=256, slot_count=1)
    backend = LlamaCppBackend(options)
    try:
        texts = [
            "Grüße 🙂 don't 12345\n\n  x",
            "def f(x):\n    return x**2  # 日本語 \u202e",
            "a\x00b",
            "  two  \n\n",
            "1,000 €.",
        ]
        for text in texts:
            assert folder.tokenize(text, parse_control=True) == backend.tokenize(text, parse_control=True)
        messages = [{"role": "user", "content": "Hello <|im_end|>"}]
        tools = [{"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}}]
        for offered in (None, tools):
            rendered = [ChatTemplate(vocabulary).prompt_tokens(messages, offered) for vocabulary in (folder, backend)]
            assert rendered[0] == rendered[1]
    finally:
        backend.close()
