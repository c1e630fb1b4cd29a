"""The one mail that Herald sends on its own account: a link for a new password."""

from __future__ import annotations

import asyncio
import threading
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from app.auth.users import UserService
from app.errors import AppError
from app.settings import Settings

log = structlog.get_logger(__name__)

TIMEOUT_S = 30.0


def send_reset_link(users: UserService, settings: Settings, email: str) -> threading.Thread:
    """Send the link in the background, so that the answer takes as long for an unknown address. Failures are logged."""

    def send() -> None:
        try:
            link = users.create_reset_link(email)
            asyncio.run(_send(settings, email, link))
        except AppError as error:
            log.info("reset_mail_not_sent", code=error.code)
        except (aiosmtplib.SMTPException, OSError) as error:
            log.error("reset_mail_failed", error=f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=send, name="reset-mail", daemon=True)
    thread.start()
    return thread


async def _send(settings: Settings, email: str, link: str) -> None:
    assert settings.smtp_url is not None
    server = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.mail_from, email, "A new password for Herald"
    message.set_content(
        f"Somebody, hopefully you, asked for a new password for Herald. This link sets it, once, within an hour:\n\n"
        f"{link}\n\nIf it was not you, do nothing: the old password stays.\n"
    )
    is_tls = server.scheme == "smtps"
    await aiosmtplib.send(
        message,
        hostname=server.hostname,
        port=server.port or (465 if is_tls else 587),
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=is_tls,
        timeout=TIMEOUT_S,
    )
