"""``python -m models list|pull|use``: the same commands as ``herald models``, without the web application."""

from models.cli import app

app()
