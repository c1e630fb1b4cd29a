"""``python -m automation.worker``: the process that carries out approved actions.

The only part of automation that knows the application: it is one of the composition roots.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from types import FrameType

import structlog
from playwright.sync_api import sync_playwright
from pydantic import ValidationError

from app.actions.rules import HEARTBEAT_EVERY_S
from app.errors import AppError
from app.logging import configure_logging
from app.services import Services, build_services
from app.settings import load_settings
from automation.browser import BrowserMissing, find_chromium
from automation.config import AutomationSettings
from automation.hands.client import Hands
from automation.hands.report import write_warnings
from automation.ingestion import IngestionRunner
from automation.queue import INGEST_ASSETS, LOOK_UP_ACTION, REPORT_OUTCOME, open_queue
from automation.remote_login import RemoteLogins
from automation.tasks import ActionRunner

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 60.0
LEFTOVERS_EVERY_S = 3_600.0
_MAX_POLL_S = 0.5


class Worker:
    """The Huey consumer with its heartbeat and its sweep."""

    def __init__(self, services: Services, settings: AutomationSettings, hands: Hands | None = None) -> None:
        self.id = f"worker_{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"
        self._services = services
        self._settings = settings
        self._stop = threading.Event()
        self._hands = hands or Hands(settings, hidden=(services.settings.home,))
        self._logins = RemoteLogins(services, self._hands)
        self._runner = ActionRunner(services, self.id, settings, self._hands)
        self._ingestion = IngestionRunner(services.ingestion)
        self._huey = open_queue(
            services.settings.home / "queue.db",
            url=services.settings.queue_url_text(),
            run_action=self._runner.run_action,
            **{
                REPORT_OUTCOME: self._runner.report_outcome,
                LOOK_UP_ACTION: self._runner.look_up_action,
                INGEST_ASSETS: self._ingestion.run,
            },
        )
        self._runner.huey = self._huey
        self._ingestion.huey = self._huey
        self._consumer = self._huey.create_consumer(
            workers=settings.worker_threads + 1,  # taking documents in keeps one of them busy for minutes
            worker_type="thread",
            periodic=False,
            initial_delay=0.05,
            max_delay=_MAX_POLL_S,
            shutdown_timeout=5,
        )

    def run(self) -> None:
        """Work until ``stop``: finish or give back what is under way, then return."""
        self._services.execution.heartbeat(self.id)
        beat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beat.start()
        self._quietly("hands", self._start_hands)
        self._quietly("logins", self._logins.start)
        self._consumer.start()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._on_signal)
        self._quietly("sweep", self._runner.sweep)
        self._quietly("ingestion_sweep", self._ingestion.sweep)
        self._quietly("leftovers", self._services.clear_leftovers)
        log.info("worker_ready", worker_id=self.id)
        last_sweep = last_clearing = time.monotonic()
        while not self._stop.wait(1.0):
            self._quietly("tick", self._runner.tick)
            if time.monotonic() - last_sweep >= SWEEP_EVERY_S:
                last_sweep = time.monotonic()
                self._quietly("sweep", self._runner.sweep)
                self._quietly("ingestion_sweep", self._ingestion.sweep)
            if time.monotonic() - last_clearing >= LEFTOVERS_EVERY_S:
                last_clearing = time.monotonic()
                self._quietly("leftovers", self._services.clear_leftovers)
        log.info("worker_stopping", worker_id=self.id)
        self._consumer.stop_flag.set()
        self._ingestion.stop()
        self._runner.stop()
        self._consumer.stop(graceful=True)
        self._logins.close()
        self._hands.close()
        beat.join(2)
        self._quietly("goodbye", lambda: self._services.execution.say_goodbye(self.id))
        self._huey.storage.close()

    def _start_hands(self) -> None:
        """Have the first action find the hands ready, and tell what this system does not let be shut off."""
        isolation = self._hands.start()
        warnings = isolation.warnings(self._settings)
        log.info("hands_ready", user=isolation.uid, is_closed=isolation.is_closed)
        for warning in warnings:
            log.warning("hands_not_shut_off", reason=warning)
        write_warnings(self._services.settings.home, warnings)

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._stop.set()

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        self.stop()

    def _beat(self) -> None:
        while not self._stop.wait(min(HEARTBEAT_EVERY_S, self._services.settings.lease_s / 4)):
            self._quietly("heartbeat", lambda: self._services.execution.heartbeat(self.id))

    def _quietly(self, what: str, call: Callable[[], None]) -> None:
        """Run upkeep that must not end the worker; the next round tries again."""
        try:
            call()
        except Exception as error:
            log.error("upkeep_failed", what=what, error=str(error), exc_info=not isinstance(error, AppError))


def main() -> int:
    """Exit status: 0 after a stop, 1 when it could not start (the reason is on stderr)."""
    try:
        settings = load_settings()
        configure_logging(settings)
        automation_settings = _automation_settings()
        try:
            with sync_playwright() as playwright:
                log.info("browser_found", executable=find_chromium(playwright))
        except BrowserMissing as error:  # said now and again with each action; the app works without
            log.error("browser_missing", error=error.message, hint=error.hint)
        services = build_services(settings)
    except AppError as error:
        sys.stderr.write(f"herald worker: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"  {error.hint}\n")
        return 1
    try:
        Worker(services, automation_settings).run()
    finally:
        services.close()
    return 0


def _automation_settings() -> AutomationSettings:
    try:
        return AutomationSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"HERALD_{str(first['loc'][0]).upper()}"
        raise AppError(
            f"{name} cannot be {first['input']!r}: {first['msg']}",
            hint="Correct it in the environment or in .env; .env.example lists every setting.",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
