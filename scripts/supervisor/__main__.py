"""``python -m scripts.supervisor up [--detach] | down | daemon``: what ./scripts/up and ./scripts/down call."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.errors import AppError
from app.settings import Settings, load_settings
from scripts.setup.errors import last_lines
from scripts.setup.settings_seen import setting
from scripts.setup.state import FILE_NAME, State
from scripts.supervisor.instance import Instance
from scripts.supervisor.ports import PortNeed, PortTaken, require_free
from scripts.supervisor.processes import ProcessSpec
from scripts.supervisor.readiness import NotReady, wait_until_ready
from scripts.supervisor.supervise import KeepsCrashing, Supervisor

_ROOT = Path(__file__).resolve().parents[2]
_READY_LIMIT_S = 900.0
_STOP_GRACE_S = 45.0
_LINK = re.compile(r"https?://\S+/signin\?token=\S+")


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0, or 1 after saying what failed and what to do."""
    parser = argparse.ArgumentParser(prog="./scripts/up")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--detach", action="store_true")
    commands.add_parser("down")
    commands.add_parser("daemon")
    options = parser.parse_args(arguments)
    os.chdir(_ROOT)  # .env is read from the current folder
    try:
        settings = load_settings()
        instance = Instance(settings.home / "run")
        match options.command:
            case "down":
                return _down(instance)
            case "daemon":
                return _daemon(settings, instance)
            case _:
                return _up(settings, instance, is_detached=options.detach)
    except AppError as error:
        return _fail(str(error), getattr(error, "hint", ""))
    except PortTaken as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(
            f"The system refused a file operation: {error}.", "Check HERALD_HOME and that the disk is not full."
        )


def _up(settings: Settings, instance: Instance, *, is_detached: bool) -> int:
    if instance.is_running():
        return _join(settings, instance)
    for need in port_needs(settings):
        require_free(need)
    return _up_detached(settings, instance) if is_detached else _up_attached(settings, instance)


def _join(settings: Settings, instance: Instance) -> int:
    """Herald runs already: wait until it is ready and show another link."""
    print(
        f"Herald is already running (pid {instance.running_pid() or 'unknown'}); ./scripts/down stops it.", flush=True
    )
    try:
        if not wait_until_ready(f"{settings.local_url}/readyz", Ticker(), instance.is_running, _READY_LIMIT_S):
            return _fail("Herald has just stopped.", "Run ./scripts/up again.")
    except NotReady as error:
        return _fail(str(error), f"Logs: {settings.home / 'logs'}")
    _announce(settings)
    return 0


def _up_attached(settings: Settings, instance: Instance) -> int:
    if not instance.acquire():
        return _join(settings, instance)
    supervisor = Supervisor(process_specs(settings), settings.home / "logs", _ROOT, say)
    supervisor.listen_to_signals()

    def still_wanted() -> bool:
        supervisor.tick()
        return not supervisor.is_stopping

    status = 0
    try:
        supervisor.start()
        if wait_until_ready(f"{settings.local_url}/readyz", Ticker(), still_wanted, _READY_LIMIT_S):
            _announce(settings)
            supervisor.run()
    except (KeepsCrashing, NotReady) as error:
        log = error.log if isinstance(error, KeepsCrashing) else settings.home / "logs" / "inference.log"
        status = _fail_with_log(str(error), log)
    finally:
        if status == 0:
            say("Stopping …")
        supervisor.stop()
        instance.release()
    if status == 0:
        say("Herald has stopped.")
    return status


def _up_detached(settings: Settings, instance: Instance) -> int:
    """Start the supervisor in a session of its own, and stay only until Herald is ready."""
    log = settings.home / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "scripts.supervisor", "daemon"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=_ROOT,
        )  # fmt: skip
    try:
        if wait_until_ready(f"{settings.local_url}/readyz", Ticker(), lambda: daemon.poll() is None, _READY_LIMIT_S):
            _announce(settings)
            return 0
        return _fail_with_log("Herald stopped while it was starting.", log)
    except (NotReady, KeyboardInterrupt) as error:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(_STOP_GRACE_S)
        if isinstance(error, KeyboardInterrupt):
            say("Herald has stopped.")
            return 130
        return _fail_with_log(str(error), settings.home / "logs" / "inference.log")


def _daemon(settings: Settings, instance: Instance) -> int:
    """The detached supervisor itself; its output is a log file."""
    if not instance.acquire():
        return _fail("Herald is already running.")
    supervisor = Supervisor(process_specs(settings), settings.home / "logs", _ROOT, say)
    supervisor.listen_to_signals()
    status = 0
    try:
        supervisor.start()
        supervisor.run()
    except KeepsCrashing as error:
        status = _fail_with_log(str(error), error.log)
    finally:
        supervisor.stop()
        instance.release()
    return status


def _down(instance: Instance) -> int:
    if instance.stop(_STOP_GRACE_S):
        print("Herald has stopped.")
    elif instance.is_running():
        return _fail("Herald is running but its process id cannot be read.", f"Look at {instance.pid_file}.")
    else:
        print("Herald was not running.")
    return 0


def port_needs(settings: Settings) -> list[PortNeed]:
    """The ports that will be listened on here."""
    needs = [PortNeed(settings.host, settings.port, "HERALD_PORT", "the app")]
    if not settings.inference_url:
        needs.append(PortNeed("127.0.0.1", settings.inference_port, "HERALD_INFERENCE_PORT", "inference"))
    return needs


def process_specs(settings: Settings) -> list[ProcessSpec]:
    """The processes in the order in which they start; inference only where it is not elsewhere."""
    env = {"HERALD_HOME": str(settings.home)}
    browser = State(_ROOT / ".venv" / FILE_NAME).note("chromium", "path")
    if browser and not setting(_ROOT, "HERALD_CHROMIUM"):
        env["HERALD_CHROMIUM"] = browser
    modules = {"inference": "inference", "app": "app", "worker": "automation.worker"}
    if settings.inference_url:
        del modules["inference"]
    return [ProcessSpec(name, (sys.executable, "-m", module), env=env) for name, module in modules.items()]


class Ticker:
    """Shows what is waited for: one ticking line on a terminal, a line for each new phase elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._text = ""
        self._width = 0

    def __call__(self, text: str, elapsed_s: float) -> None:
        """Show ``text`` and the seconds gone by."""
        if self._is_terminal:
            line = f"{text} … {elapsed_s:.0f} s"[: shutil.get_terminal_size().columns - 1]
            sys.stdout.write("\r" + line.ljust(self._width))
            self._width = len(line)
        elif text != self._text:
            sys.stdout.write(f"{text} …\n")
        self._text = text
        sys.stdout.flush()


def say(text: str) -> None:
    """One line to the user. A terminal that has gone away must not end the processes."""
    is_terminal = sys.stdout.isatty()
    stamp = "" if is_terminal else time.strftime("%Y-%m-%d %H:%M:%S ")
    try:
        sys.stdout.write(f"{chr(13) + chr(27) + '[K' if is_terminal else ''}{stamp}{text}\n")
        sys.stdout.flush()
    except OSError:
        return


def _announce(settings: Settings) -> None:
    """The line that ends a start. A link is asked for here and now, because it works once and for a short time."""
    link = subprocess.run(
        [sys.executable, "-m", "scripts.supervisor.signin_link"],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    found = _LINK.search(link.stdout)
    address = found.group(0) if found else settings.link_url
    note = "sign-in link, works once" if found else "for a sign-in link run: .venv/bin/herald signin"
    clear = "\r\x1b[K" if sys.stdout.isatty() else ""
    print(f"{clear}Herald is ready: {address} ({note})", flush=True)


def _fail(what: str, todo: str = "") -> int:
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}{what}" + (f"\n{todo}" if todo else ""), file=sys.stderr, flush=True)
    return 1


def _fail_with_log(what: str, log: Path) -> int:
    _fail(what, f"Log: {log}, which ends with")
    for line in last_lines(log, 12):
        print(f"    {line}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
