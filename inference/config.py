"""Settings of the inference process: ``HERALD_…`` variables and ``.env``, and the key that callers must present."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from inference.errors import StartupError
from models.home import HeraldSettings, herald_home


class InferenceSettings(HeraldSettings):
    """What the owner can set. Sizes in tokens unless the name says otherwise; 0 means: choose for this machine."""

    model_config = SettingsConfigDict(env_prefix="HERALD_", env_file=".env", env_ignore_empty=True, extra="ignore")

    model: str = Field("qwen2.5-coder-1.5b-instruct", description="Language model that is served.")
    embedding_model: str = Field("all-minilm-l6-v2", description="Embedding model that is served.")
    reranker_path: Path | None = Field(
        None,
        description="Folder of a cross-encoder (safetensors, tokenizer, config) that puts the passages which a search "
        "found in order. Unset: their order by words and meaning stays.",
    )
    inference_port: int = Field(8001, ge=0, le=65535, description="Port of the inference process on loopback.")
    inference_key: SecretStr | None = Field(
        None, description="Key that callers present; made at first start when unset."
    )
    inference_backend: Literal["llama_cpp", "vllm", "openai", "anthropic", "fake"] = Field(
        "llama_cpp",
        description="What computes: llama_cpp in this process, vllm beside it, a hosted provider (prompts leave the "
        "machine); fake is for tests.",
    )
    inference_threads: int = Field(
        0, ge=0, le=512, description="Most threads that decode; 0 is one for each physical core."
    )
    inference_context: int = Field(8192, ge=256, description="Most tokens of one request, prompt and answer together.")
    inference_max_sequences: int = Field(
        32, ge=1, le=1024, description="Requests that are decoded together (llama_cpp: at most 128)."
    )
    inference_queue: int = Field(64, ge=0, description="Requests that may wait for their turn before callers get 429.")
    inference_queue_timeout_s: float = Field(120.0, gt=0, description="Longest wait for a turn, in seconds.")
    inference_max_body_mb: int = Field(8, ge=1, le=512, description="Largest request body, in MiB.")

    vllm_urls: str = Field(
        "", description="Comma-separated origins of vLLM servers that run elsewhere; without it one is started here."
    )
    vllm_key: SecretStr | None = Field(None, description="Key that the servers of HERALD_VLLM_URLS want.")
    vllm_model: Path | None = Field(
        None,
        description="Folder of the model for vLLM: safetensors, tokenizer, config; without it the one that "
        "./scripts/vllm install --model HERALD_MODEL makes. HERALD_VLLM_URLS needs the tokenizer's files only.",
    )
    vllm_python: Path | None = Field(
        None, description="Python of the environment that has vLLM; without it the one of ./scripts/vllm install."
    )
    vllm_nodes: int = Field(
        1,
        ge=1,
        le=64,
        description="Machines with the same cards that one vLLM spans; they must be joined in a Ray cluster before.",
    )
    vllm_host: str = Field("127.0.0.1", description="Address that python -m inference.replica listens on.")
    vllm_port: int = Field(8000, ge=1, le=65535, description="Port that python -m inference.replica listens on.")
    vllm_args: str = Field("", description="More arguments for the vLLM server, as on its command line.")
    openai_base_url: str = Field(
        "https://api.openai.com/v1", description="Where /chat/completions is, for the backend openai."
    )
    openai_api_key: SecretStr | None = Field(
        None, description="Key for the backend openai; without it the file keys/openai.key."
    )
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", description="Where /v1/messages is, for the backend anthropic."
    )
    anthropic_api_key: SecretStr | None = Field(
        None, description="Key for the backend anthropic; without it the file keys/anthropic.key."
    )
    upstream_silence_s: float = Field(
        300.0, gt=0, description="Longest wait for the next piece of an answer of vLLM or a provider, in seconds."
    )


def physical_cores() -> int:
    """Physical cores that this process may use; hyper-threads share the vector units, so they do not count."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in usable:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, len(cores))


def processor_name() -> str:
    """The processor as the kernel names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def inference_key(settings: InferenceSettings, home: Path | None = None) -> str:
    """The key that callers must present: the setting, or ``keys/inference.key`` in the data home, made on first need.

    The file appears complete, by a hard link that only one process can make, so all processes agree on one key.
    Raises: StartupError.
    """
    if settings.inference_key is not None:
        return settings.inference_key.get_secret_value()
    path = (home or herald_home()) / "keys" / "inference.key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create_key(path)
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StartupError(
            f"The key file {path} cannot be used: {error.strerror or error}. Check that the user who runs Herald owns "
            "the data folder and that the disk is not full."
        ) from error
    if not key:
        raise StartupError(f"The key file {path} is empty. Restore it from a backup, or delete it to get a new key.")
    return key


def _create_key(path: Path) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            return  # another process made it a moment ago; its key counts
    finally:
        partial.unlink()
