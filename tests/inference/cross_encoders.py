"""A cross-encoder small enough to be made in a test: two layers, random weights, a vocabulary of a few words."""

from __future__ import annotations

from pathlib import Path

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] when does the bakery open bread costs cake on monday at seven oat price"
MAX_TOKENS = 48


def make_cross_encoder(folder: Path, *, labels: int = 1, safe: bool = True) -> Path:
    """Write one as sentence-transformers saves it; ``safe`` False writes its weights as PyTorch's pickle."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    base = folder.with_name(f"{folder.name}-base")
    base.mkdir(parents=True)
    words = WORDS.split()
    (base / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        num_labels=labels,
        initializer_range=0.3,  # ten times the usual, so that random weights tell documents apart
    )
    torch.manual_seed(3)
    model = BertForSequenceClassification(config)
    model.save_pretrained(base)
    BertTokenizerFast(str(base / "vocab.txt"), model_max_length=MAX_TOKENS).save_pretrained(base)
    CrossEncoder(str(base), device="cpu", local_files_only=True).save_pretrained(str(folder))
    if not safe:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder
