"""Memory over the real inference process and its real embedding model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.services import Services, build_services
from app.settings import Settings
from tests.app.memory.test_extraction import pdf_of
from tests.app.test_main import free_port

pytestmark = pytest.mark.model

MENU = """# Menu
## Drinks
An espresso is 2.50 euro, a flat white 3.80 euro.
## Food
Our carrot cake is baked without nuts and costs 4.20 euro a slice.
# Visiting us
The shop is opposite the town hall. Dogs are welcome on the terrace.
"""


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services whose embeddings come from ``python -m inference``; the language model is not needed."""
    home = tmp_path_factory.mktemp("home")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_") or k == "HERALD_MODELS_DIR"}
    environment |= {"HERALD_HOME": str(home), "HERALD_INFERENCE_PORT": str(port), "HERALD_INFERENCE_BACKEND": "fake"}
    log = home / "inference.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "inference"], cwd=Path(__file__).parents[3], env=environment, stderr=output
        )
        services = build_services(Settings(home=home, inference_port=port, _env_file=None), wake=lambda _id: None)
        deadline = time.monotonic() + 120
        while services.llm.status()["status"] != "ready":
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        services.memory.add("menu.md", MENU.encode(), "t")
        services.memory.add("jobs.pdf", pdf_of("We are looking for a barista, 30 hours a week."), "t")
        yield services
        services.close()
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize(
    ("question", "place", "said"),
    [
        ("How much is a coffee?", "Menu › Drinks", "2.50"),
        ("I am allergic to nuts, what can I eat?", "Menu › Food", "carrot cake"),
        ("Can I bring my puppy?", "Visiting us", "terrace"),
        ("Are there any vacancies?", "page 1", "barista"),
    ],
)
def test_passages_are_found_by_meaning(memory: Services, question: str, place: str, said: str) -> None:
    """None of the questions shares the words of its answer."""
    best = memory.memory.context_for(question, 2_000)[0]
    assert best.place == place
    assert said in best.text


@pytest.mark.parametrize(
    "message", ["Post on X: We won the regional chess league!", "What is the capital of Mongolia?", "Hello there!"]
)
def test_what_no_document_answers_gets_no_passages(memory: Services, message: str) -> None:
    """Or the reply would name sources that say nothing."""
    assert memory.memory.context_for(message, 2_000) == []
