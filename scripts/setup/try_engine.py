"""Runs in a child process of the set-up: loads a model and decodes a few tokens, so that a bad build crashes here.

``python -m scripts.setup.try_engine MODEL.gguf`` ends with status 0, 1 (said why) or by the crash's signal.
"""

from __future__ import annotations

import ctypes
import sys

_PROMPT_TOKENS = 40  # more than one micro-kernel row block, so that the batched matrix code runs too
_DECODED_TOKENS = 4


def main(path: str) -> int:
    """Prefill a short prompt and decode greedily. Returns the process's exit status."""
    import llama_cpp  # here, because the import itself may crash and belongs to what is tried

    llama_cpp.llama_backend_init()
    model_params = llama_cpp.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), model_params)
    if not model:
        print(f"The model {path} could not be loaded.")
        return 1
    context_params = llama_cpp.llama_context_default_params()
    context_params.n_ctx, context_params.n_batch = 256, 64
    context = llama_cpp.llama_init_from_model(model, context_params)
    if not context:
        print("There is not enough memory for a context of 256 tokens.")
        return 1
    vocabulary_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    tokens = [100 + i for i in range(_PROMPT_TOKENS)]
    for _ in range(_DECODED_TOKENS):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(tokens))) != 0:
            print("llama_decode refused the batch.")
            return 1
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        values = ctypes.cast(logits, ctypes.POINTER(ctypes.c_float * vocabulary_size)).contents
        best = max(range(vocabulary_size), key=values.__getitem__)
        if values[best] != values[best]:
            print("The logits are not numbers: the build computes wrongly.")
            return 1
        tokens = [best]
    print("decoded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
