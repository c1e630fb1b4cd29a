"""Writes a LoRA adapter of peft as GGUF, the way llama.cpp's convert_lora_to_gguf.py does.

Only what the served architectures need: plain linear layers, no change of the vocabulary.
Source: llama.cpp, convert_lora_to_gguf.py and ``LlamaModel.permute`` of convert_hf_to_gguf.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from inference.finetune.errors import BaseNotTrainable

# Whether the GGUF of this architecture has the rows of its query and key projections reordered: llama.cpp rotates
# neighbouring values where transformers rotates the two halves.
PERMUTED = {"llama": True, "qwen2": False, "qwen3": False}
_TENSOR = re.compile(r"(?:base_model\.model\.)?(?P<layer>model\.layers\.\d+\.[\w.]+)\.lora_(?P<part>[AB])\.weight")


@dataclass(frozen=True, slots=True)
class Shape:
    """What of the model the conversion needs: its GGUF architecture, layers and attention heads."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int


def require_known(architecture: str) -> None:
    """Raises: BaseNotTrainable for an architecture whose weights this module cannot name."""
    if architecture not in PERMUTED:
        raise BaseNotTrainable(
            f"A model of the architecture {architecture!r} cannot be trained here.",
            f"Choose one of {', '.join(sorted(PERMUTED))}; herald models list shows the models.",
        )


def write_adapter(path: Path, tensors: Mapping[str, np.ndarray], shape: Shape, alpha: float) -> None:
    """Write the adapter; the file appears complete or not at all.

    Args:
        tensors: as peft names them; ``lora_A`` is (rank, inputs), ``lora_B`` (outputs, rank), float32.
    Raises: BaseNotTrainable for a layer that the architecture does not have in GGUF; OSError.
    """
    require_known(shape.architecture)
    names = gguf.get_tensor_name_map(_arch(shape.architecture), shape.layers)
    partial = path.with_name(f".{path.name}.partial")
    writer = gguf.GGUFWriter(partial, shape.architecture)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
    for name, values in sorted(tensors.items()):
        found = _TENSOR.fullmatch(name)
        target = names.get_name(f"{found['layer']}.weight", try_suffixes=(".weight",)) if found else None
        if found is None or target is None:
            raise BaseNotTrainable(f"The layer {name} has no place in a GGUF adapter.", "Report this as a bug.")
        is_permuted = found["part"] == "B" and PERMUTED[shape.architecture]
        stored = _permuted(values, found["layer"], shape) if is_permuted else values
        writer.add_tensor(f"{target}.lora_{found['part'].lower()}", np.ascontiguousarray(stored, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _permuted(values: np.ndarray, layer: str, shape: Shape) -> np.ndarray:
    """The rows of a query or key projection in llama.cpp's order; other layers as they are."""
    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}.get(layer.rpartition(".")[2])
    if heads is None:
        return values
    rows, *rest = values.shape
    return values.reshape(heads, 2, rows // heads // 2, *rest).swapaxes(1, 2).reshape(values.shape)


def _arch(name: str) -> gguf.MODEL_ARCH:
    return next(arch for arch, text in gguf.MODEL_ARCH_NAMES.items() if text == name)
