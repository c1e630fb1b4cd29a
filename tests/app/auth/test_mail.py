"""The mail with a link for a new password, sent to a real SMTP server on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.auth.mail import send_reset_link
from app.services import Services
from tests.app.auth.test_users import ANN, sign_up


class Inbox:
    """Keeps what comes in."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """aiosmtpd's hook."""
        content = envelope.original_content or b""
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(content, EmailMessage, policy=default)))
        return "250 OK"


class Server(Controller):
    """A mail server on a free port, which it finds by itself."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def inbox(services: Services) -> Iterator[Inbox]:
    """A mail server that the box is set to."""
    inbox = Inbox()
    server = Server(inbox, hostname="127.0.0.1", port=0)
    server.start()
    services.settings.smtp_url = SecretStr(f"smtp://127.0.0.1:{server.port}")
    yield inbox
    server.stop()


def test_an_unknown_address_gets_no_mail(services: Services, inbox: Inbox) -> None:
    """Nor does asking fail."""
    send_reset_link(services.auth.users, services.settings, "nobody@example.com").join(30)
    assert inbox.mails == []


def test_a_server_that_is_gone_ends_nothing(services: Services) -> None:
    """The failure is logged and the thread ends."""
    services.settings.smtp_url = SecretStr("smtp://127.0.0.1:9")
    services.auth.users.sign_up("ann@example.com", ANN["password"], "Ann", actor=None, accept_invitation=None)
    thread = send_reset_link(services.auth.users, services.settings, "ann@example.com")
    thread.join(30)
    assert not thread.is_alive()


def test_the_page_for_a_lost_password_tells_nobody_who_signed_up(anonymous: TestClient, inbox: Inbox) -> None:
    """It refuses what is no address, answers a known and an unknown one alike, and mails the known one."""
    sign_up(anonymous, ANN)
    anonymous.cookies.clear()
    assert '<form method="post" action="/forgot">' in anonymous.get("/forgot").text
    wrong = anonymous.post("/forgot", data={"email": "<b>"})
    assert (wrong.status_code, 'role="alert"' in wrong.text, "<b>" in wrong.text) == (422, True, False)
    unknown = anonymous.post("/forgot", data={"email": "nobody@example.com"})
    known = anonymous.post("/forgot", data={"email": f" {ANN['email'].upper()}"})
    assert (unknown.status_code, known.status_code) == (200, 200)
    assert known.text == unknown.text
    deadline = time.monotonic() + 60
    while not inbox.mails and time.monotonic() < deadline:
        time.sleep(0.05)
    ((recipients, _mail),) = inbox.mails
    assert recipients == [ANN["email"]]


def test_the_link_of_the_mail_sets_a_password(anonymous: TestClient, services: Services, inbox: Inbox) -> None:
    """It reaches the one who asked, and works."""
    sign_up(anonymous, ANN)
    send_reset_link(services.auth.users, services.settings, ANN["email"]).join(30)
    ((recipients, mail),) = inbox.mails
    assert recipients == [ANN["email"]]
    assert mail["Subject"] == "A new password for Herald"
    token = mail.get_content().partition("token=")[2].split()[0]
    fresh = "quite another sentence"
    answer = anonymous.post("/api/v1/auth/reset", json={"token": token, "password": fresh})
    assert answer.status_code == 200, answer.text
    login = anonymous.post("/api/v1/auth/login", json={"email": ANN["email"], "password": fresh})
    assert login.status_code == 200
