"""Makes the engine that the settings ask for, after everything that can be checked before was checked."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import httpx
from pydantic import SecretStr

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.upstream.anthropic import VERSION, AnthropicDialect
from inference.upstream.base import Dialect
from inference.upstream.engine import UpstreamEngine
from inference.upstream.openai import OpenAIDialect
from inference.upstream.servers import Fleet, HostedServer, Server, WatchedServers
from inference.upstream.vllm import VllmDialect
from inference.upstream.vllm_plan import VllmPlan, find_cards, plan_vllm, read_model_shape
from inference.upstream.vllm_process import VllmOptions, VllmProcess
from inference.upstream.vocabulary import FolderVocabulary
from models.catalog import load_catalog
from models.errors import ModelError
from models.home import herald_home
from models.safetensors import locate_safetensors, read_manifest

log = logging.getLogger(__name__)

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


def open_upstream(settings: InferenceSettings) -> UpstreamEngine:
    """The engine for vLLM or a provider; it is not started. Raises: StartupError."""
    if settings.inference_backend == "vllm":
        return _vllm(settings)
    dialect, server = _provider(settings)
    log.warning(
        "Prompts leave this machine: HERALD_INFERENCE_BACKEND=%s sends every request to %s (model %s).",
        settings.inference_backend,
        server.url,
        settings.model,
    )
    is_local = httpx.URL(server.url).host in _LOOPBACK
    return _engine(settings, dialect, HostedServer(server), settings.inference_max_sequences, is_local=is_local)


def _engine(
    settings: InferenceSettings, dialect: Dialect, fleet: Fleet, max_sequences: int, *, is_local: bool
) -> UpstreamEngine:
    return UpstreamEngine(
        settings.model,
        dialect,
        fleet,
        most_in_flight=max_sequences + settings.inference_queue,
        silence_s=settings.upstream_silence_s,
        is_local=is_local,
    )


def vllm_folder() -> Path:
    """Where ./scripts/vllm puts its environment and the models that it makes."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "herald" / "vllm"


def model_folder(settings: InferenceSettings) -> Path:
    """What vLLM loads: the setting, else what ``herald models pull --safetensors`` brought, else what was converted.

    Raises: StartupError for files that are damaged.
    """
    if settings.vllm_model:
        return settings.vllm_model.expanduser()
    model = load_catalog().models.get(settings.model)
    if model is not None and read_manifest(model) is not None:
        try:
            return locate_safetensors(model)
        except ModelError as error:
            raise StartupError(str(error)) from error
    return vllm_folder() / "models" / settings.model


def _vllm(settings: InferenceSettings) -> UpstreamEngine:
    folder = model_folder(settings)
    vocabulary = FolderVocabulary(folder)
    urls = [url.strip() for url in settings.vllm_urls.split(",") if url.strip()]
    if urls:
        key = settings.vllm_key.get_secret_value() if settings.vllm_key is not None else ""
        for url in urls:
            _require_url("HERALD_VLLM_URLS", url, carries_secrets=False)
            if httpx.URL(url).host not in _LOOPBACK:
                log.warning("Prompts leave this machine: HERALD_VLLM_URLS names %s.", url)
        servers = WatchedServers(urls, key, settings.model)
        return _engine(settings, VllmDialect(vocabulary), servers, settings.inference_max_sequences, is_local=True)
    options = vllm_options(settings, folder, vocabulary.trained_context)
    return _engine(settings, VllmDialect(vocabulary), VllmProcess(options), options.max_sequences, is_local=True)


def vllm_options(settings: InferenceSettings, folder: Path, trained_context: int | None) -> VllmOptions:
    """What vLLM is started with on this machine. Raises: StartupError when the model does not fit."""
    context = settings.inference_context
    plan = plan_of(settings, folder)
    return VllmOptions(
        python=(settings.vllm_python or vllm_folder() / "env" / "bin" / "python").expanduser(),
        folder=folder,
        model=settings.model,
        context_tokens=plan.context_tokens if plan else min(context, trained_context or context),
        max_sequences=plan.max_sequences if plan else settings.inference_max_sequences,
        log=herald_home() / "logs" / "vllm.log",
        planned=tuple(plan.arguments) if plan else (),
        more=settings.vllm_args,
    )


def plan_of(settings: InferenceSettings, folder: Path) -> VllmPlan | None:
    """What suits this machine's GPUs; None without any. Sizes that the owner set stay. Raises: StartupError."""
    cards = find_cards()
    if not cards:
        return None
    is_set = settings.model_fields_set
    return plan_vllm(
        cards,
        read_model_shape(folder),
        context_tokens=settings.inference_context if "inference_context" in is_set else 0,
        max_sequences=settings.inference_max_sequences if "inference_max_sequences" in is_set else 0,
        nodes=settings.vllm_nodes,
    )


def _provider(settings: InferenceSettings) -> tuple[Dialect, Server]:
    if settings.inference_backend == "openai":
        url = _require_url("HERALD_OPENAI_BASE_URL", settings.openai_base_url, carries_secrets=True)
        key = provider_key("openai", settings.openai_api_key)
        return OpenAIDialect(), Server(url, {"Authorization": f"Bearer {key}"}, settings.model)
    url = _require_url("HERALD_ANTHROPIC_BASE_URL", settings.anthropic_base_url, carries_secrets=True)
    key = provider_key("anthropic", settings.anthropic_api_key)
    return AnthropicDialect(), Server(url, {"x-api-key": key, "anthropic-version": VERSION}, settings.model)


def provider_key(provider: str, given: SecretStr | None, home: Path | None = None) -> str:
    """The owner's key: the setting, or ``keys/<provider>.key`` in the data home. Raises: StartupError."""
    variable = f"HERALD_{provider.upper()}_API_KEY"
    if given is not None:
        key = given.get_secret_value().strip()
    else:
        path = (home or herald_home()) / "keys" / f"{provider}.key"
        try:
            mode = path.stat().st_mode & 0o777
            key = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise StartupError(
                f"There is no key for {provider}: {path} cannot be read ({error.strerror or error}). Put the key into "
                f"that file and run chmod 600 on it, or set {variable}."
            ) from error
        if mode & 0o077:
            raise StartupError(f"{path} can be read by others (mode {mode:o}, at most 600). Run chmod 600 {path}.")
    if not key or not key.isascii() or any(character.isspace() for character in key):
        raise StartupError(
            f"The key for {provider} is empty or holds blanks. Look at {variable} or keys/{provider}.key."
        )
    return key


def _require_url(variable: str, url: str, *, carries_secrets: bool) -> str:
    """The address without a slash at its end. Raises: StartupError when it is none, or would send secrets in clear."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise StartupError(f"{variable} is {url!r}, which is no address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise StartupError(f"{variable} is {url!r}, it must begin with https:// (or http:// on this machine).")
    if carries_secrets and parsed.scheme == "http" and parsed.host not in _LOOPBACK:
        raise StartupError(f"{variable} is {url!r}, which would send the key and all prompts in clear. Use https://.")
    return url.rstrip("/")
