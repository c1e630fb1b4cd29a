"""``python -m app``: serve the app."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys

import structlog
import uvicorn

from app.errors import AppError
from app.logging import configure_logging
from app.main import create_app
from app.settings import Settings, load_settings

GRACE_S = 5


class AddressUnusable(AppError):
    """The app cannot listen where it was told to."""

    code = "address_unusable"


def bound_socket(host: str, port: int, setting: str = "HERALD_PORT") -> socket.socket:
    """A listening socket; binding before anything else starts makes a taken port a clear error.

    Raises: AddressUnusable.
    """
    bare = host.strip("[]")
    try:
        family = socket.getaddrinfo(bare or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        # asyncio switches Nagle's algorithm off only where the protocol is named; with it, answers wait for an ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bare, port))
        listener.listen(2048)
    except OSError as error:
        raise AddressUnusable(*_why_not(error, host, port, setting)) from error
    return listener


def _why_not(error: OSError, host: str, port: int, setting: str) -> tuple[str]:
    if error.errno == errno.EADDRINUSE:
        reason = f"Port {port} is taken by another program. Stop that program, or set {setting} to a free port."
    elif error.errno == errno.EACCES:
        reason = f"This user may not listen on port {port}. Set {setting} to a port above 1023."
    else:
        reason = f"Cannot listen on {host}:{port}: {error.strerror or error}. Check HERALD_HOST and {setting}."
    return (reason,)


def serve(settings: Settings) -> None:
    """Serve until a signal says stop."""
    listener = bound_socket(settings.host, settings.port)
    app = create_app(settings)
    structlog.get_logger(__name__).info("app_ready", url=settings.link_url, home=str(settings.home))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        proxy_headers=True,
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again once it has stopped
        uvicorn.Server(config).run(sockets=[listener])


def main() -> int:
    """Exit status: 0 after a stop, 1 when it could not start (the reason is on stderr)."""
    try:
        settings = load_settings()
        configure_logging(settings)
        serve(settings)
    except AppError as error:
        sys.stderr.write(f"herald app: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"  {error.hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
