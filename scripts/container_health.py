"""``python -m scripts.container_health app|inference|worker|vllm``: whether a container's process does its work.

What Docker's health checks call; the standard library only. The exit status is 0 for yes; else one line says why not.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 8.0


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 healthy, 1 not, 2 a wrong call."""
    checks = {"app": _app, "inference": _inference, "worker": _worker, "vllm": _vllm}
    if len(arguments) != 1 or arguments[0] not in checks:
        print(f"usage: python -m scripts.container_health {'|'.join(checks)}", file=sys.stderr)
        return 2
    problem = checks[arguments[0]]()
    if problem:
        print(f"{arguments[0]}: {problem}", file=sys.stderr)
    return 1 if problem else 0


def _app() -> str:
    return _ask(os.environ.get("HERALD_PORT") or "8000", "/healthz")[0]


def _inference() -> str:
    return _ask(os.environ.get("HERALD_INFERENCE_PORT") or "8001", "/readyz")[0]


def _worker() -> str:
    """Workers listen nowhere; the app knows of their heartbeat. Of several, one that lives is enough."""
    problem, found = _ask(os.environ.get("HERALD_PORT") or "8000", "/healthz")
    if problem:
        return ""  # that is the app's own trouble, and starting the worker anew does not mend it
    status = str(found.get("worker", {}).get("status", "unknown"))
    return "" if status == "ready" else f"the app says {status}"


def _vllm() -> str:
    return _ask(os.environ.get("HERALD_VLLM_PORT") or "8000", "/health")[0]


def _ask(port: str, path: str) -> tuple[str, dict[str, dict[str, object]]]:
    """What is wrong, empty for nothing, and the answer's JSON where it is an object."""
    url = f"http://127.0.0.1:{port}{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            body = response.read()
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}", {}
    except (OSError, ValueError) as error:
        return f"{url} does not answer: {getattr(error, 'reason', error)}", {}
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    return "", found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
