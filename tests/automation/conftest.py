"""What tests of automation share: a context to execute in, and the test sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from automation.actions.base import ActionContext
from tests.sites import forms, shop
from tests.sites.serving import serve


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., ActionContext]:
    """Builds a context whose callbacks do nothing unless given; private addresses are allowed: the sites are local."""

    def make(**changes: object) -> ActionContext:
        folder = tmp_path / f"evidence-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        values: dict[str, object] = {
            "action_id": folder.name,
            "evidence_dir": folder,
            "allow_private_addresses": True,
            "timeout_s": 60.0,
            "progress": lambda _text: None,
            "before_irreversible": lambda: None,
        }
        return ActionContext(**(values | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    """The shop's origin."""
    with serve(shop.create_app()) as url:
        yield url


@pytest.fixture
def form_site() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """The forms' origin, and the list of what they were sent."""
    app = forms.create_app()
    with serve(app) as url:
        yield url, app.state.forms.items
