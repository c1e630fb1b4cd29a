"""llama.cpp through llama-cpp-python's low-level interface. The only importer of ``llama_cpp``.

Owns the model, the context and the batch buffers. llama.cpp's own terms (``n_ctx``, ``seq_id``) stay in here.
"""

from __future__ import annotations

import ctypes
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np
from llguidance import LLTokenizer

from inference.backends.base import BackendInfo, CacheExhausted, DecodeFailed, Logits, Span
from inference.backends.threads import ThreadCount
from inference.errors import StartupError
from inference.tuning import Tuning

log = logging.getLogger(__name__)

MAX_BATCH_TOKENS = 512
LLAMA_MAX_SEQ = 256
FLASH_ATTENTION_AUTO = -1
GGML_LOG_ERROR = 4
KV_BYTES_PER_VALUE = 2  # float16


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How to load a model: sizes in tokens, ``slot_count`` sequences that share ``cell_count`` cells."""

    path: Path
    model: str
    threads: int
    context_tokens: int
    cell_count: int
    slot_count: int
    adapters: Mapping[str, Path] = field(default_factory=dict)
    tuning: Tuning = field(default_factory=Tuning)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a model file says about itself, read without loading its weights."""

    weights_bytes: int
    cell_bytes: int
    trained_context: int
    vocab_size: int


@llama.llama_log_callback
def _on_log(level: int, text: bytes, _: Any) -> None:
    # llama.cpp prints hundreds of lines per load; what matters to an owner is what went wrong.
    if level == GGML_LOG_ERROR:
        log.error("%s", text.decode("utf-8", "replace").strip())


def _start_library() -> None:
    llama.llama_log_set(_on_log, ctypes.c_void_p(0))
    llama.llama_backend_init()


def read_shape(path: Path) -> ModelShape:
    """Read the header and vocabulary of a GGUF file. Raises: StartupError when it is not one."""
    _start_library()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise StartupError(f"{path} is not a model that llama.cpp can read. Pull it again, or choose another model.")
    try:
        meta = _metadata(model)
        arch = meta.get("general.architecture", "")

        def number(key: str, default: int = 0) -> int:
            value = meta.get(f"{arch}.{key}", "")
            return int(value) if re.fullmatch(r"\d+", value) else default

        heads = number("attention.head_count", 1)
        head_size = number("embedding_length") // max(heads, 1)
        values = number("attention.key_length", head_size) + number("attention.value_length", head_size)
        kv_heads = number("attention.head_count_kv", heads)
        vocab_size = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
        return ModelShape(
            weights_bytes=path.stat().st_size,
            cell_bytes=number("block_count") * kv_heads * values * KV_BYTES_PER_VALUE,
            trained_context=number("context_length", 4096),
            vocab_size=vocab_size,
        )
    finally:
        llama.llama_model_free(model)


def _metadata(model: Any) -> dict[str, str]:
    buffer = ctypes.create_string_buffer(1 << 20)
    result: dict[str, str] = {}
    for at in range(llama.llama_model_meta_count(model)):
        if llama.llama_model_meta_key_by_index(model, at, buffer, len(buffer)) < 0:
            continue
        key = buffer.value.decode("utf-8", "replace")
        if llama.llama_model_meta_val_str_by_index(model, at, buffer, len(buffer)) >= 0:
            result[key] = buffer.value.decode("utf-8", "replace")
    return result


class LlamaCppBackend:
    """A GGUF model on this machine's CPU (or GPU, when llama.cpp was built for one)."""

    def __init__(self, options: LoadOptions) -> None:
        """Raises: StartupError when the file or the context cannot be loaded."""
        _start_library()
        self._options = options
        params = llama.llama_model_default_params()
        params.use_extra_bufts = options.tuning.repacks
        self._model = llama.llama_model_load_from_file(str(options.path).encode(), params)
        if not self._model:
            raise StartupError(
                f"llama.cpp could not load {options.path}: see the lines above, or pull the model again."
            )
        self._adapters = self._load_adapters(options.adapters)  # llama.cpp wants them before the context
        self._adapter: str | None = None
        self._context = llama.llama_init_from_model(self._model, self._context_params(options))
        if not self._context:
            llama.llama_model_free(self._model)
            raise StartupError(
                f"llama.cpp could not make a context of {options.cell_count:,} tokens for {options.model}. "
                "Set HERALD_INFERENCE_CONTEXT or HERALD_INFERENCE_MAX_SEQUENCES lower."
            )
        self._memory = llama.llama_get_memory(self._context)
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._batch = llama.llama_batch_init(MAX_BATCH_TOKENS, 0, 1)
        self._tokens = _view(self._batch.token, MAX_BATCH_TOKENS, np.int32)
        self._positions = _view(self._batch.pos, MAX_BATCH_TOKENS, np.int32)
        self._wants = _view(self._batch.logits, MAX_BATCH_TOKENS, np.int8)
        _view(self._batch.n_seq_id, MAX_BATCH_TOKENS, np.int32)[:] = 1
        self._threads = ThreadCount(options.threads)
        self._read_vocabulary()
        self._info = self._describe(options)
        self._constraint_tokenizer: LLTokenizer | None = None

    @staticmethod
    def _context_params(options: LoadOptions) -> Any:
        params = llama.llama_context_default_params()
        params.n_ctx = options.cell_count
        params.n_batch = MAX_BATCH_TOKENS
        params.n_ubatch = MAX_BATCH_TOKENS
        params.n_seq_max = options.slot_count
        # Without this bound the logits buffer is n_batch rows of a 150,000-token vocabulary: 300 MB. llama.cpp aborts
        # the process when it is below the number of sequences.
        params.n_outputs_max = options.slot_count
        params.n_threads = options.threads
        params.n_threads_batch = options.threads
        flash = options.tuning.flash_attention
        params.flash_attn_type = FLASH_ATTENTION_AUTO if flash is None else int(flash)
        params.kv_unified = True
        params.offload_kqv = True
        return params

    def _load_adapters(self, paths: Mapping[str, Path]) -> dict[str, Any]:
        """Those that fit the model. One that does not is no reason to serve nothing; its name is not served."""
        loaded = {}
        for name, path in paths.items():
            adapter = llama.llama_adapter_lora_init(self._model, str(path).encode())
            if not adapter:
                log.error("%s is not an adapter for %s; %r is not served", path, self._options.model, name)
            elif llama.llama_adapter_get_alora_n_invocation_tokens(adapter):
                log.error("%s is an activated adapter, which is not supported; %r is not served", path, name)
            else:
                loaded[name] = adapter
        return loaded

    def _use_adapter(self, name: str | None) -> None:
        if name == self._adapter:
            return
        chosen = [] if name is None else [self._adapters[name]]
        adapters = (llama.llama_adapter_lora_p_ctypes * len(chosen))(*chosen)
        scales = (ctypes.c_float * len(chosen))(*(1.0 for _ in chosen))
        if llama.llama_set_adapters_lora(self._context, adapters, len(chosen), scales) != 0:
            raise DecodeFailed(f"llama.cpp refused the adapter {name}")
        self._adapter = name

    def _read_vocabulary(self) -> None:
        count = llama.llama_vocab_n_tokens(self._vocab)
        buffer = ctypes.create_string_buffer(1 << 14)
        self._token_bytes: list[bytes] = []
        self._guided_bytes: list[bytes] = []
        self._control_texts: dict[str, int] = {}
        for token in range(count):
            length = llama.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
            piece = buffer.raw[: max(length, 0)]
            attributes = llama.llama_vocab_get_attr(self._vocab, token)
            is_user_control = attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED and re.fullmatch(rb"<.*>", piece)
            is_control = bool(attributes & llama.LLAMA_TOKEN_ATTR_CONTROL)
            if is_control or is_user_control:
                self._control_texts[piece.decode("utf-8", "replace")] = token
            # llguidance marks control tokens by a leading 0xff, which no text can contain.
            self._guided_bytes.append(b"\xff" + piece if is_control or is_user_control else piece)
            self._token_bytes.append(b"" if is_control else piece)
        self._control_texts.pop("", None)

    def _describe(self, options: LoadOptions) -> BackendInfo:
        count = len(self._token_bytes)
        stop_tokens = frozenset(token for token in range(count) if llama.llama_vocab_is_eog(self._vocab, token))
        names = {token: text for text, token in self._control_texts.items()}
        template = llama.llama_model_chat_template(self._model, None)
        return BackendInfo(
            model=options.model,
            vocab_size=count,
            context_tokens=options.context_tokens,
            cell_count=llama.llama_n_ctx(self._context),
            slot_count=options.slot_count,
            max_batch_tokens=MAX_BATCH_TOKENS,
            stop_tokens=stop_tokens,
            chat_template=template.decode("utf-8") if template else "",
            begin_text=names.get(llama.llama_vocab_bos(self._vocab), ""),
            end_text=names.get(llama.llama_vocab_eos(self._vocab), ""),
            adds_begin_token=bool(llama.llama_vocab_get_add_bos(self._vocab)),
            adapters=tuple(self._adapters),
            can_trim=not (llama.llama_model_is_recurrent(self._model) or llama.llama_model_is_hybrid(self._model)),
        )

    @property
    def info(self) -> BackendInfo:
        """Facts about the loaded model."""
        return self._info

    @property
    def token_bytes(self) -> list[bytes]:
        """For each token its text in bytes; empty for control tokens."""
        return self._token_bytes

    @property
    def control_texts(self) -> dict[str, int]:
        """The control tokens by their text."""
        return self._control_texts

    def tokenize(self, text: str, *, parse_control: bool) -> list[int]:
        """Tokens of a text, without a begin token."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, False, parse_control)
        if count < 0:
            raise DecodeFailed(f"llama.cpp could not tokenize a text of {len(data):,} bytes")
        return list(tokens[:count])

    def constraint_tokenizer(self) -> LLTokenizer:
        """The vocabulary for llguidance, which calls llama.cpp's own tokenizer for forced text."""
        if self._constraint_tokenizer is None:
            eos = llama.llama_vocab_eos(self._vocab)
            function = ctypes.cast(llama.llama_cpp._lib.llama_tokenize, ctypes.c_void_p).value
            others = sorted(self._info.stop_tokens - {eos})
            self._constraint_tokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
                tokens=self._guided_bytes,
                vocab_ptr=self._vocab,
                tokenize_fptr=function,
                eos_token=[eos, *others],
                slices=LLTokenizer.json_slices(),
            )
        return self._constraint_tokenizer

    def decode(self, spans: list[Span], adapter: str | None = None) -> Logits:
        """One ``llama_decode`` call. Raises: CacheExhausted, DecodeFailed."""
        self._use_adapter(adapter)
        at, rows = 0, 0
        for span in spans:
            end = at + len(span.tokens)
            self._tokens[at:end] = span.tokens
            self._positions[at:end] = range(span.position, span.position + len(span.tokens))
            self._wants[at:end] = 0
            for index in range(at, end):
                self._batch.seq_id[index][0] = span.slot
            if span.logit_rows:
                self._wants[end - span.logit_rows : end] = 1
                rows += span.logit_rows
            at = end
        self._batch.n_tokens = at
        threads = self._threads.choose(at)
        llama.llama_set_n_threads(self._context, threads, threads)
        started_at_s = time.perf_counter()
        status = llama.llama_decode(self._context, self._batch)
        self._threads.note(at, time.perf_counter() - started_at_s)
        if status == 1:
            raise CacheExhausted
        if status != 0:
            raise DecodeFailed(f"llama_decode answered {status} for a batch of {at} tokens")
        if rows == 0:
            return np.empty((0, self._info.vocab_size), dtype=np.float32)
        pointer = llama.llama_get_logits(self._context)
        return np.ctypeslib.as_array(pointer, shape=(rows, self._info.vocab_size))

    def copy(self, source: int, target: int, length: int) -> None:
        """Share cells: in a unified cache this only adds the target to the cells' owners."""
        llama.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def trim(self, slot: int, length: int) -> bool:
        """Forget the tail of a slot; recurrent models cannot forget a part."""
        return bool(llama.llama_memory_seq_rm(self._memory, slot, length, -1))

    def clear(self) -> None:
        """Forget all slots."""
        llama.llama_memory_clear(self._memory, False)

    def close(self) -> None:
        """Free context and model; the object is not usable afterwards."""
        if self._context:
            llama.llama_batch_free(self._batch)
            llama.llama_free(self._context)
            llama.llama_model_free(self._model)
            self._context = None


def _view(pointer: Any, count: int, dtype: Any) -> Any:
    address = ctypes.cast(pointer, ctypes.c_void_p).value
    buffer = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(address)
    return np.frombuffer(buffer, dtype=dtype)
