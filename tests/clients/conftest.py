"""One server for all clients of a test process, and clients that stay offline."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.serving import Server, running_server


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """Clients neither fetch price lists nor report what they do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        patch.setenv("LITELLM_TELEMETRY", "False")
        patch.setenv("LANGSMITH_TRACING", "false")
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real inference process with the smallest real model, which ./scripts/test has fetched."""
    with running_server(tmp_path_factory.mktemp("clients")) as server:
        yield server
