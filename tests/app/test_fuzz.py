"""Generated requests over every route of the OpenAPI document: every answer is below 500 and in our shape.

``./scripts/fuzz --cases N --seed S`` runs more of them, or others.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as generation
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.python.asgi import ASGIClient

from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from tests.app.conftest import BASE_URL, KEY
from tests.app.fakes import FakeEmbedder
from tests.app.media.test_service import PNG
from tests.app.obedient_model import ObedientModel

CASES = int(os.environ.get("FUZZ_CASES", "320"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
TIMEOUT_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60 + CASES)]


@pytest.fixture
def services(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The whole box over a real database; only the language model, the embedder and the queue are stand-ins."""
    settings = settings.model_copy(update={"requests_per_user": 0, "requests_per_address": 0})
    model = ObedientModel()
    monkeypatch.setattr("app.services.LlmClient", lambda *_names: model.client())
    services = build_services(settings, embedder=FakeEmbedder(), wake=print, wake_ingestion=print)
    yield services
    services.close()


def known_ids(services: Services) -> dict[str, str]:
    """Path parameters that are there: one of each kind of row, so that cases get past the first look-up."""
    app = create_app(services=services, with_ui=False)
    client = TestClient(app, base_url=BASE_URL, headers={"Authorization": f"Bearer {KEY}"})

    def row(path: str, **body: Any) -> dict[str, Any]:
        answer = client.post(f"/api/v1/{path}", **body)
        assert answer.status_code < 300, answer.text
        return answer.json()  # type: ignore[no-any-return]

    project = client.get("/api/v1/projects").json()["projects"][0]["id"]
    file = {"file": ("notes.txt", b"Plum crumble is back from Friday.")}
    generated = row("generate", json={"brief": "Plum crumble is back from Friday."})
    return {
        "project_id": project,
        "action_id": row("actions", json={"type": "scrape_url", "params": {"url": "https://a.example"}})["id"],
        "asset_id": row(f"projects/{project}/assets", files=file)["id"],
        "sha256": row("media", files={"file": ("logo.png", PNG)})["sha256"],
        "account_id": row("accounts", json={"platform": "bluesky", "handle": "a", "username": "a"})["id"],
        "generation_id": generated["id"],
        "variant_id": generated["variants"][0]["id"],
    }


def problem_of(case: Case, response: Response) -> str | None:
    """What is wrong with an answer, with the request that had it; nothing if all is well."""
    wrong = ""
    if case.operation.path.endswith("/readyz"):  # says 503 in its own shape, for no worker runs here
        wrong = "" if response.status_code in {200, 503} else f"status {response.status_code}"
    elif response.status_code >= 500:
        wrong = f"status {response.status_code}"
    elif response.status_code >= 400:
        try:
            error = json.loads(response.content)["error"]
            assert set(error) == {"code", "message", "hint"}
            assert error["code"]
            assert error["message"]
        except (ValueError, KeyError, TypeError, AssertionError):
            wrong = "an error in another shape"
    if not wrong:
        return None
    return f"{case.method} {case.operation.path}: {wrong}: {response.text[:300]}\n    {case.as_curl_command()[:600]}"


def attempt(strategy: Any, call: Callable[[Case], None], cases: int) -> None:
    """Call with so many cases of the strategy; the same ones for the same seed."""

    @seed(SEED)
    @generation(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: Case) -> None:
        call(case)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request without parameters and body
        run()


def test_no_generated_request_breaks_the_app(services: Services) -> None:
    """Valid and invalid requests, to rows that are there and to rows that are not."""
    session = ASGIClient(create_app(services=services, with_ui=False))
    session.headers["Authorization"] = f"Bearer {KEY}"
    schema = schemathesis.openapi.from_dict(create_app(services=services, with_ui=False).openapi())
    schema.config.update(base_url=BASE_URL)
    operations = [found.ok() for found in schema.get_all_operations()]
    ids = known_ids(services)
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    each = math.ceil(CASES / len(operations) / len(modes))
    problems: list[str] = []
    answers: dict[int, int] = {}

    def call(case: Case) -> None:
        response = case.call(session=session, timeout=TIMEOUT_S)
        answers[response.status_code] = answers.get(response.status_code, 0) + 1
        problem = problem_of(case, response)
        if problem and len(problems) < 100:
            problems.append(problem)

    for operation in sorted(operations, key=lambda o: (o.method == "delete", o.path)):
        names = {parameter.name for parameter in operation.path_parameters}
        known = {name: value for name, value in ids.items() if name in names}
        for mode in modes:
            attempt(operation.as_strategy(mode, path_parameters=known or None), call, each)
    print(f"{sum(answers.values())} cases, seed {SEED}; answers by status: {dict(sorted(answers.items()))}")
    assert not problems, "\n".join(problems)
    assert sum(answers.values()) >= CASES / 2
    assert answers[200] > 0
