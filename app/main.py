"""The composition root of the web app."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import PREFIX, add_routes
from app.auth.guard import Guard
from app.error_responses import add_error_handlers
from app.metrics import AppMetrics
from app.middleware import BodyLimit, RequestContext
from app.services import Services, build_services
from app.settings import Settings, load_settings

MULTIPART_OVERHEAD_BYTES = 64 * 1024


def create_app(settings: Settings | None = None, services: Services | None = None, *, with_ui: bool = True) -> FastAPI:
    """Build the app: database, services, routes, middleware, UI.

    Args:
        services: ready-made services, for tests; they are closed with the app all the same.
        with_ui: whether the Gradio pages are mounted at `/`.

    Raises: SettingsInvalid, DatabaseUnusable, KeyUnreadable, StorageFull.
    """
    settings = settings or (services.settings if services else load_settings())
    services = services or build_services(settings)
    services.auth.load_keys()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        is_stopping = threading.Event()
        threading.Thread(target=services.chat.warm_up, args=(is_stopping,), name="warm-up", daemon=True).start()
        yield
        is_stopping.set()
        services.close()

    app = FastAPI(
        title="Herald",
        version="0.1.0",
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from a public host
        redoc_url=None,
    )
    app.state.services = services
    app.state.metrics = AppMetrics(services)
    add_error_handlers(app)
    add_routes(app)
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes + MULTIPART_OVERHEAD_BYTES,
        max_media_bytes=settings.max_media_bytes + MULTIPART_OVERHEAD_BYTES,
        media_path=f"{PREFIX}/media",
    )
    app.add_middleware(Guard, auth=services.auth, settings=settings)
    app.add_middleware(RequestContext, observe=app.state.metrics.observe)
    if with_ui:
        from app.ui import mount  # late: Gradio takes seconds to import, and programs and tests can do without

        mount(app, settings)
    return app
