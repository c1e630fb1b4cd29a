"""The page: head, tabs, and what happens when it opens."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.settings import Settings
from app.ui import markup
from app.ui.analytics_tab import AnalyticsTab
from app.ui.approvals_tab import ApprovalsTab
from app.ui.ask_panel import AskPanel
from app.ui.chat_tab import ChatTab
from app.ui.components import wired
from app.ui.create_tab import CreateTab
from app.ui.gateway import Gateway
from app.ui.memory_tab import MemoryTab
from app.ui.projects_tab import ProjectsTab
from app.ui.settings_tab import SettingsTab
from app.ui.whereabouts import whereabouts

MASTHEAD = (
    '<div class="h-masthead"><a class="h-brand" href="./" aria-label="Herald, a new chat">'
    f"{markup.LOGO}<span>Herald</span></a>"
    '<p class="h-state" role="status" aria-live="polite"></p></div>'
)


def build(_settings: Settings) -> gr.Blocks:
    """The Gradio application, not yet mounted."""
    gateway = Gateway()
    with gr.Blocks(title="Herald", analytics_enabled=False, fill_width=True, fill_height=True) as page:
        gr.HTML(MASTHEAD, elem_id="masthead", js_on_load="window.herald.watchHealth(element);", apply_default_css=False)
        head = wired("whereabouts", [])
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat", id="chat", elem_id="tab-chat"):
                chat = ChatTab(gateway)
                chat.build()
            with gr.Tab("Approvals", id="approvals", elem_id="tab-approvals") as approvals_tab, _page_column():
                ApprovalsTab(gateway).build(approvals_tab)
            with gr.Tab("Projects", id="projects", elem_id="tab-projects") as projects_tab, _page_column():
                ProjectsTab(gateway).build(projects_tab, head)
            with gr.Tab("Memory", id="memory", elem_id="tab-memory") as memory_tab, _page_column():
                MemoryTab(gateway).build(memory_tab)
                AskPanel(gateway).build()
            with gr.Tab("Create", id="create", elem_id="tab-create") as create_tab, _page_column(is_wide=True):
                CreateTab(gateway).build(create_tab)
            with gr.Tab("Analytics", id="analytics", elem_id="tab-analytics") as analytics_tab, _page_column():
                AnalyticsTab(gateway).build(analytics_tab)
            with gr.Tab("Settings", id="settings", elem_id="tab-settings") as settings_tab:
                SettingsTab(gateway).build(settings_tab)
        load, inputs, outputs, js, quiet = chat.on_load
        page.load(load, inputs, outputs, js=js, **quiet)

        def show_whereabouts(request: gr.Request) -> str:
            return whereabouts(gateway, request)

        page.load(show_whereabouts, None, [head], **quiet)
    page.queue(default_concurrency_limit=None)
    page._queue.event_analytics = _NoRecords()
    return page


class _NoRecords(dict[str, Any]):
    """Keeps nothing. Gradio's queue would keep a record of every event and summarise all of them after each one."""

    def __setitem__(self, _key: str, _value: Any) -> None:
        return None


def _page_column(*, is_wide: bool = False) -> gr.Column:
    return gr.Column(elem_classes=["h-page", "h-wide"] if is_wide else "h-page")
