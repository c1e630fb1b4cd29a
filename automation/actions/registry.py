"""The one list of action types that this box knows."""

from __future__ import annotations

from typing import Any

from automation.actions.base import ActionType
from automation.actions.fill_form import FillForm
from automation.actions.post_social import PostSocial
from automation.actions.scrape_url import ScrapeUrl

ACTION_TYPES: dict[str, ActionType[Any]] = {t.name: t for t in (PostSocial(), ScrapeUrl(), FillForm())}
