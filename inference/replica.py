"""``python -m inference.replica``: one vLLM server of several, for the ``HERALD_VLLM_URLS`` of an inference elsewhere.

It becomes vLLM, started with what ``inference`` starts its own with: planned for this machine's cards, with the options
that the gateway relies on. Nobody but the gateway should reach it: it checks the key and trusts what it is told.
"""

from __future__ import annotations

import ipaddress
import os
import sys

from pydantic import ValidationError

from inference.config import InferenceSettings
from inference.errors import StartupError
from inference.upstream.opening import model_folder, vllm_options
from inference.upstream.vllm_plan import read_model_shape
from inference.upstream.vllm_process import require


def main() -> int:
    """Become vLLM; returns 1 with one clear line when that cannot be."""
    try:
        command, environment = replica_command(InferenceSettings())
    except ValidationError as error:
        first = error.errors()[0]
        return _refuse(f"HERALD_{str(first['loc'][0]).upper()}: {first['msg']}")
    except (StartupError, ValueError) as error:
        return _refuse(str(error))
    return os.execve(command[0], command, environment)  # noqa: S606 - the owner's own settings


def _refuse(reason: str) -> int:
    print(f"the replica cannot start: {reason}", file=sys.stderr)  # noqa: T201
    return 1


def replica_command(settings: InferenceSettings) -> tuple[list[str], dict[str, str]]:
    """vLLM's command line and environment. Raises: StartupError."""
    folder = model_folder(settings)
    key = settings.vllm_key.get_secret_value() if settings.vllm_key is not None else ""
    if not key and not _is_loopback(settings.vllm_host):
        raise StartupError(
            f"HERALD_VLLM_HOST is {settings.vllm_host}, which other machines reach, and there is no key. Set "
            "HERALD_VLLM_KEY to the one that the gateway has, or let it listen on 127.0.0.1."
        )
    options = vllm_options(settings, folder, read_model_shape(folder).trained_context)
    require(options)
    environment = options.environment(key)
    if not key:
        del environment["VLLM_API_KEY"]
    return options.command(settings.vllm_port, settings.vllm_host), environment


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    sys.exit(main())
