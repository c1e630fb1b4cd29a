"""The web page: Gradio mounted in the app at ``/``. It talks to the app through its HTTP API alone (``app.client``)."""

from __future__ import annotations

from app.ui.mounting import mount

__all__ = ["mount"]
