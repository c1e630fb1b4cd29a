"""RunPod's API on loopback, as its OpenAPI document describes it: bodies are checked, pods and volumes are remembered.

Source: api-reference-v2 of docs.runpod.io (CreatePodRequest, Pod, GpuType, DataCenter, NetworkVolume, problems after
RFC 9457, logs as server-sent events), read in November 2026.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

KEY = "rpa_TESTKEYTESTKEYTESTKEY"

_TEXTS = {"type": "array", "items": {"type": "string"}}
CREATE_POD = {
    "type": "object",
    "required": ["name", "image"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "image": {"type": "string"},
        "args": {"type": "string"},
        "entrypoint": _TEXTS,
        "cmd": _TEXTS,
        "disk": {"type": "integer", "minimum": 1},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^\d+/(http|tcp)$"}},
        "registry": {"type": ["string", "null"]},
        "cloud": {"enum": ["SECURE", "COMMUNITY"]},
        "dataCenterIds": _TEXTS,
        "globalNetworking": {"type": "boolean"},
        "startJupyter": {"type": "boolean"},
        "startSsh": {"type": "boolean"},
        "templateId": {"type": "string", "minLength": 1},
        "gpu": {
            "type": "object",
            "required": ["id"],
            "additionalProperties": False,
            "properties": {
                "id": {"type": "string"},
                "count": {"type": "integer", "minimum": 1},
                "allowedCudaVersions": {"type": "array", "items": {"type": "string", "pattern": r"^\d+\.\d+$"}},
                "minCudaVersion": {"type": "string", "pattern": r"^\d+\.\d+$"},
                "minRamPerGpu": {"type": "integer", "minimum": 1},
                "minVcpuCountPerGpu": {"type": "integer", "minimum": 1},
            },
        },
        "cpu": {"type": "object"},
        "mounts": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "persistent": {
                    "type": "object",
                    "required": ["size", "path"],
                    "additionalProperties": False,
                    "properties": {"size": {"type": "integer", "minimum": 10}, "path": {"type": "string"}},
                },
                "network": {
                    "type": "array",
                    "maxItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["volumeId", "path"],
                        "additionalProperties": False,
                        "properties": {"volumeId": {"type": "string"}, "path": {"type": "string"}},
                    },
                },
            },
        },
    },
}
CREATE_TEMPLATE = {
    "type": "object",
    "required": ["name", "image"],
    "additionalProperties": False,
    "properties": {
        **{name: CREATE_POD["properties"][name] for name in ("name", "image", "args", "entrypoint", "cmd", "disk")},  # type: ignore[index]
        **{name: CREATE_POD["properties"][name] for name in ("env", "ports", "registry", "startJupyter", "startSsh")},  # type: ignore[index]
        "allowedCudaVersions": {"type": "array", "items": {"type": "string", "pattern": r"^\d+\.\d+$"}},
        "category": {"enum": ["CPU", "NVIDIA", "AMD"]},
        "mounts": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"persistent": CREATE_POD["properties"]["mounts"]["properties"]["persistent"]},  # type: ignore[index]
        },
        "public": {"type": "boolean"},
        "serverless": {"type": "boolean"},
    },
}
CREATE_VOLUME = {
    "type": "object",
    "required": ["name", "size", "dataCenter"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "size": {"type": "integer", "minimum": 10, "maximum": 4096},
        "dataCenter": {"type": "string", "minLength": 1},
        "type": {"enum": ["STANDARD", "HIGH_PERFORMANCE"]},
    },
}
ACTION = {
    "type": "object",
    "required": ["action"],
    "additionalProperties": False,
    "properties": {"action": {"enum": ["start", "stop", "restart", "terminate"]}},
}
_ACTIONS = {"RUNNING": ["stop", "restart", "terminate"], "EXITED": ["start", "terminate"]}


def gpu(gpu_id: str, name: str, memory: int, secure: float, stock: dict[str, str], **more: Any) -> dict[str, Any]:
    """A GPU type, with what is in stock where."""
    best = next((level for level in ("HIGH", "MEDIUM", "LOW") if level in stock.values()), "NONE")
    return {
        "id": gpu_id,
        "name": name,
        "pool": None,
        "manufacturer": "NVIDIA",
        "memory": memory,
        "secure": True,
        "community": True,
        "price": {"secure": secure, "community": secure / 2},
        "maxCount": {"secure": 8, "community": 4},
        "availability": best,
        "dataCenters": [{"id": key, "name": key, "availability": level} for key, level in stock.items()],
        **more,
    }


class FakeRunpod:
    """The account: what there is, what is broken on purpose, and every request that came."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.volumes: dict[str, dict[str, Any]] = {}
        self.gpus = [
            gpu("NVIDIA GeForce RTX 4090", "RTX 4090", 24, 0.69, {"EU-RO-1": "HIGH", "US-TX-3": "LOW"}),
            gpu("NVIDIA L4", "L4", 24, 0.43, {"EU-RO-1": "LOW"}),
            gpu("NVIDIA L40S", "L40S", 48, 0.86, {"EU-RO-1": "MEDIUM"}),
            gpu("NVIDIA H100 80GB HBM3", "H100 SXM", 80, 2.99, {"US-KS-2": "LOW"}),
            gpu("NVIDIA RTX A2000", "RTX A2000", 6, 0.12, {}),
            gpu("AMD Instinct MI300X OAM", "MI300X", 192, 2.5, {"EU-RO-1": "LOW"}, manufacturer="AMD"),
        ]
        self.data_centers = {"EU-RO-1": ["STANDARD"], "US-TX-3": [], "US-KS-2": ["STANDARD", "HIGH_PERFORMANCE"]}
        self.requests: list[tuple[str, str, Any]] = []
        self.failures: list[tuple[str, str, int, dict[str, str]]] = []  # method, part of the path, status, headers
        self.lose_answer_of: str = ""  # the path of a POST that is done and whose connection then breaks
        self.logs: list[str] = []
        self.is_full = False
        self.page = 1000

    def calls(self, method: str, path: str) -> list[Any]:
        """The bodies of the requests of a kind."""
        return [body for m, p, body in self.requests if m == method and p == path]

    def add_pod(self, body: dict[str, Any], status: str = "PROVISIONING") -> dict[str, Any]:
        """A pod as RunPod shows it."""
        pod_id = f"pod{len(self.pods):05}"
        pod = {
            "id": pod_id,
            "name": body["name"],
            "status": status,
            "actions": _ACTIONS.get(status, ["terminate"]),
            "image": body["image"],
            "args": json.dumps({"entrypoint": body.get("entrypoint", []), "cmd": body.get("cmd", [])}),
            "disk": body.get("disk", 20),
            "mounts": body.get("mounts", {}),
            "ports": body.get("ports", []),
            "env": body.get("env", {}),
            "registry": None,
            "gpu": {"id": body["gpu"]["id"], "count": body["gpu"].get("count", 1), "vcpuCount": 8, "memory": 60},
            "cloud": body.get("cloud", "SECURE"),
            "dataCenterId": (body.get("dataCenterIds") or ["EU-RO-1"])[0],
            "cudaVersion": "13.0",
            "ssh": {"proxy": None, "direct": None},
            "template": None,
            "cost": 0.7,
            "locked": False,
            "globalNetworking": {"enabled": False},
            "runtime": None,
            "createdAt": "2026-11-21T12:00:00Z",
            "startedAt": None,
        }
        self.pods[pod_id] = pod
        return pod

    # -- answers ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and JSON; None is an answer without a body."""
        match method, path.strip("/").split("/"):
            case "GET", ["pods"]:
                return 200, self._page(query)
            case "POST", ["pods"]:
                return self._create_pod(body)
            case "GET", ["pods", pod_id]:
                return self._advanced(pod_id)
            case "POST", ["pods", pod_id, "action"]:
                return self._act(pod_id, body)
            case "DELETE", ["pods", pod_id]:
                return (204, None) if self.pods.pop(pod_id, None) else problem(404, "pod not found")
            case "GET", ["catalog", "gpus"]:
                return self._gpus(query)
            case "GET", ["catalog", "datacenters"]:
                rows = [
                    {"id": key, "name": key, "region": "EUROPE", "networkVolumeTypes": kinds, "compliance": [],
                     "globalNetwork": True}
                    for key, kinds in self.data_centers.items()
                ]  # fmt: skip
                return 200, {"dataCenters": rows}
            case "GET", ["network-volumes"]:
                return 200, {"networkVolumes": list(self.volumes.values())}
            case "POST", ["network-volumes"]:
                return self._create_volume(body)
            case "DELETE", ["network-volumes", volume_id]:
                return self._delete_volume(volume_id)
        return problem(404, "resource not found")

    def _page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        limit = min(int(query.get("limit", ["1000"])[0]), self.page)
        start = int(query.get("cursor", ["0"])[0])
        found = list(self.pods.values())[start : start + limit]
        has_more = start + limit < len(self.pods)
        return {
            "pods": found,
            "pagination": {"nextCursor": str(start + limit) if has_more else None, "hasNextPage": has_more},
        }

    def _create_pod(self, body: Any) -> tuple[int, Any]:
        errors = _violations(body, CREATE_POD)
        if errors:
            return problem(422, "Request validation failed.", errors)
        if ("gpu" in body) == ("cpu" in body):
            return problem(400, "exactly one of gpu or cpu must be set")
        network = body.get("mounts", {}).get("network", [])
        if network and self.volumes.get(network[0]["volumeId"], {}).get("dataCenter") not in body["dataCenterIds"]:
            return problem(400, "the network volume is not in the requested data center")
        if self.is_full:
            return problem(400, "There are no longer any instances available with the requested specifications.")
        return 201, self.add_pod(body)

    def _advanced(self, pod_id: str) -> tuple[int, Any]:
        """Each look finds the pod one state further."""
        if pod_id not in self.pods:
            return problem(404, "pod not found")
        pod = self.pods[pod_id]
        shown = dict(pod)
        pod["status"] = {"PROVISIONING": "STARTING", "STARTING": "RUNNING"}.get(pod["status"], pod["status"])
        return 200, shown

    def _act(self, pod_id: str, body: Any) -> tuple[int, Any]:
        errors = _violations(body, ACTION)
        if errors:
            return problem(422, "Request validation failed.", errors)
        if pod_id not in self.pods:
            return problem(404, "pod not found")
        if body["action"] == "start" and self.is_full:
            return problem(400, "There are not enough free GPUs on the host machine to start this pod.")
        self.pods[pod_id]["status"] = {"start": "STARTING", "stop": "EXITED"}.get(body["action"], "STARTING")
        return 204, None

    def _gpus(self, query: dict[str, list[str]]) -> tuple[int, Any]:
        if ("include" in query) != ("product" in query):
            return problem(400, "include=AVAILABILITY and product go together")
        return 200, {"gpus": self.gpus}

    def _create_volume(self, body: Any) -> tuple[int, Any]:
        errors = _violations(body, CREATE_VOLUME)
        if errors:
            return problem(422, "Request validation failed.", errors)
        if not self.data_centers.get(body["dataCenter"]):
            return problem(400, "this data center has no network volumes")
        volume = {"id": f"vol{len(self.volumes)}", "type": "STANDARD", **body}
        self.volumes[volume["id"]] = volume
        return 201, volume

    def _delete_volume(self, volume_id: str) -> tuple[int, Any]:
        mounts = [m["volumeId"] for pod in self.pods.values() for m in pod["mounts"].get("network", [])]
        if volume_id in mounts:
            return problem(409, "the volume is in use")
        return (204, None) if self.volumes.pop(volume_id, None) else problem(404, "volume not found")


def problem(status: int, detail: str, errors: list[str] | None = None) -> tuple[int, Any]:
    """After RFC 9457."""
    return status, {"title": "Error", "status": status, "detail": detail, **({"errors": errors} if errors else {})}


def _violations(body: Any, schema: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(body)]


class _Handler(BaseHTTPRequestHandler):
    account: FakeRunpod

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/v2")
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.account.requests.append((self.command, path, body))
        for failure in self.account.failures:
            method, part, status, headers = failure
            if method == self.command and part in path:
                self.account.failures.remove(failure)
                return self._send(*problem(status, "made on purpose"), headers)
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return self._send(*problem(401, "missing bearer token"))
        if path.endswith("/logs"):
            return self._stream()
        status, answer = self.account.answer(self.command, path, parse_qs(parts.query), body)
        if self.command == "POST" and self.account.lose_answer_of == path:
            self.account.lose_answer_of = ""
            self.close_connection = True
            return None
        return self._send(status, answer)

    do_GET = do_POST = do_DELETE = _serve

    def _send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        kind = "application/json" if status < 400 else "application/problem+json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number, line in enumerate(self.account.logs):
            at = f"2026-11-21T12:00:{number:02}Z"
            event = {"source": "container", "line": line, "ts": at}
            self.wfile.write(f": ping\n\nid: {at}\ndata: {json.dumps(event)}\n\n".encode())
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are remembered."""


@contextmanager
def serving(account: FakeRunpod) -> Iterator[str]:
    """The origin at which the account is served."""
    handler = type("Handler", (_Handler,), {"account": account})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
