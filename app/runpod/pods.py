"""One pod by its name: made, found again, started, replaced, ended. Everything that must last is on its network volume.

A name is all that ties this to RunPod: nothing is remembered here, so any machine with the key goes on where another
stopped. RunPod does not keep names apart, so a name that is there twice is refused rather than guessed at.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.errors import AppError, Conflict, InvalidInput, NotFound
from app.runpod.api import AnswerLost, Json, NotPlaced, RunpodApi, RunpodError
from app.runpod.estimate import Order

PORT = 8000
MOUNT = "/workspace"
# RunPod's own image: CUDA 13 with its compiler, which vLLM's kernels need while they run, and Python 3.12.
IMAGE = "runpod/pytorch:1.0.7-cu1300-torch291-ubuntu2404"
CUDA = "13.0"  # what vLLM's wheels are built for since 0.20
GONE = frozenset({"TERMINATED"})
COMING = frozenset({"PROVISIONING", "STARTING", "RUNNING"})
# Fetches the source at its commit and hands over; a pod that fails waits, so that its log can be read.
BOOT = """set -eu
command -v git >/dev/null || { apt-get update && apt-get install -y --no-install-recommends git; }
mkdir -p /opt/herald && cd /opt/herald
[ -d .git ] || git init -q
for pause in 2 5 15 60 0; do
    git fetch -q --depth 1 "$HERALD_SOURCE" "$HERALD_REVISION" && break
    [ "$pause" != 0 ] || { echo "The source cannot be fetched from $HERALD_SOURCE"; sleep 60; exit 1; }
    sleep "$pause"
done
git checkout -q -f FETCH_HEAD
./scripts/runpod-start || { status=$?; echo "Herald ended with status $status"; sleep 60; exit "$status"; }
"""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pod gets Herald: a repository that git reads without asking, and a commit that is there."""

    url: str
    revision: str


class Ambiguous(Conflict):
    """Several pods or volumes have the name."""

    code = "runpod_ambiguous"


def url_of(pod_id: str) -> str:
    """Where RunPod's proxy serves the app. Source: docs.runpod.io/pods/configuration/expose-ports."""
    return f"https://{pod_id}-{PORT}.proxy.runpod.net"


def find_pod(api: RunpodApi, name: str) -> Json | None:
    """The pod of that name that has not ended. Raises: Ambiguous."""
    found = [pod for pod in api.pods() if pod["name"] == name and pod["status"] not in GONE]
    if len(found) > 1:
        ids = ", ".join(f"{pod['id']} ({pod['status']})" for pod in found)
        raise Ambiguous(f"{len(found)} pods are called {name!r}: {ids}.", hint="End all but one in RunPod's console.")
    return found[0] if found else None


def require_pod(api: RunpodApi, name: str) -> Json:
    """As ``find_pod``. Raises: NotFound."""
    pod = find_pod(api, name)
    if pod is None:
        raise NotFound(f"The account has no pod called {name!r}.", hint="herald runpod up makes one.")
    return pod


def find_volume(api: RunpodApi, name: str) -> Json | None:
    """The network volume of that name. Raises: Ambiguous."""
    found = [volume for volume in api.volumes() if volume["name"] == name]
    if len(found) > 1:
        ids = ", ".join(f"{volume['id']} in {volume['dataCenter']}" for volume in found)
        raise Ambiguous(f"{len(found)} network volumes are called {name!r}: {ids}.", hint="Rename all but one.")
    return found[0] if found else None


def choose_data_center(api: RunpodApi, order: Order) -> str:
    """Where the GPU is in stock and volumes can be made, the fullest first. Raises: NotPlaced."""
    rank = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}
    with_volumes = {place["id"] for place in api.data_centers() if place["networkVolumeTypes"]}
    stocked = {place: level for place, level in order.gpu.data_centers.items() if level in rank}
    usable = sorted((rank[level], place) for place, level in stocked.items() if place in with_volumes)
    if not usable:
        where = ", ".join(sorted(stocked)) or "none"
        raise NotPlaced(
            f"No data center has {order.count} x {order.gpu.name} free and network volumes too (GPUs: {where}).",
            hint="Choose another GPU; herald runpod gpus shows what is free.",
        )
    return usable[0][1]


def require_stock(order: Order, data_center: str, volume: str) -> None:
    """A pod must be where its volume is. Raises: NotPlaced."""
    if order.gpu.data_centers.get(data_center, "NONE") == "NONE":
        elsewhere = sorted(place for place, level in order.gpu.data_centers.items() if level != "NONE")
        raise NotPlaced(
            f"{data_center}, where the volume {volume!r} is, has no {order.count} x {order.gpu.name} free now.",
            hint=f"Choose another GPU, wait, or begin anew elsewhere ({', '.join(elsewhere) or 'nowhere now'}) with "
            "another --volume.",
        )


def ensure_volume(api: RunpodApi, name: str, order: Order, say: Say) -> Json:
    """The volume of that name, made when there is none. An answer that is lost makes no second one."""
    volume = find_volume(api, name)
    if volume is not None:
        return volume
    place = choose_data_center(api, order)
    say(f"Making the network volume {name} with {order.volume_gb} GB in {place}")
    try:
        return api.create_volume(name, order.volume_gb, place)
    except AnswerLost as error:
        volume = find_volume(api, name)
        if volume is None:
            raise RunpodError(
                f"The volume was not made: {error.message}", hint="Run the same command again."
            ) from error
        return volume


def create_pod(api: RunpodApi, order: Order, volume: Json, source: Source, hub_token: str, say: Say) -> Json:
    """Make the pod. An answer that is lost makes no second one."""
    require_stock(order, volume["dataCenter"], volume["name"])
    say(f"Asking for {order.count} x {order.gpu.name} in {volume['dataCenter']}")
    try:
        return api.create_pod(pod_body(order, volume, source, hub_token))
    except AnswerLost as error:
        say("RunPod's answer was lost; looking whether the pod was made")
        pod = _appeared(api, order.name)
        if pod is None:
            raise RunpodError(f"The pod was not made: {error.message}", hint="Run the same command again.") from error
        return pod


def _appeared(api: RunpodApi, name: str, looks: int = 5) -> Json | None:
    """A pod that was asked for may take some seconds to be listed."""
    for look in range(looks):
        pod = find_pod(api, name)
        if pod is not None:
            return pod
        if look < looks - 1:
            api.pause(2.0)
    return None


def pod_body(order: Order, volume: Json, source: Source, hub_token: str) -> Json:
    """The body of POST /v2/pods. Source: CreatePodRequest of RunPod's OpenAPI document."""
    environment = {
        "HERALD_SOURCE": source.url,
        "HERALD_REVISION": source.revision,
        "HERALD_MODEL": order.model,
        "HERALD_VOLUME": MOUNT,
    }
    if hub_token:
        environment["HF_TOKEN"] = hub_token
    return {
        "name": order.name,
        "image": IMAGE,
        "entrypoint": ["/bin/bash", "-c"],
        "cmd": [BOOT],
        "cloud": order.cloud,
        "gpu": {"id": order.gpu.id, "count": order.count, "minCudaVersion": CUDA},
        "dataCenterIds": [volume["dataCenter"]],
        "disk": order.disk_gb,
        "mounts": {"network": [{"volumeId": volume["id"], "path": MOUNT}]},
        "ports": [f"{PORT}/http"],
        "env": environment,
    }


def revive(api: RunpodApi, pod: Json, say: Say) -> Json | None:
    """A pod that is there, made to run. None when it had to be given up: its machine is lost or has no GPU free.

    Nothing is lost with it: all that lasts is on the network volume. Raises: Conflict for a pod without one.
    """
    if pod["status"] in COMING:
        return pod
    if pod["status"] == "EXITED":
        say(f"The pod {pod['id']} is stopped; starting it")
        try:
            api.act(pod["id"], "start")
            return api.pod(pod["id"])
        except NotPlaced as error:
            say(f"It cannot start where it was: {error.message}")
        except RunpodError as error:
            if error.status != 404:
                raise
    if not (pod.get("mounts") or {}).get("network"):
        raise Conflict(
            f"The pod {pod['id']} is {pod['status']} and has no network volume: making it anew would lose its data.",
            hint="Look at it in RunPod's console; herald runpod down ends it.",
        )
    say(f"Giving the pod {pod['id']} up; the next one takes over its volume")
    api.delete_pod(pod["id"])
    return None


def wait_until_running(api: RunpodApi, pod_id: str, limit_s: float, say: Say) -> Json:
    """Until its container runs. Raises: RunpodError when it ends, is lost, or takes longer than ``limit_s``."""
    until, seen = time.monotonic() + limit_s, ""
    while True:
        pod = api.pod(pod_id)
        status = pod["status"]
        if status == "RUNNING":
            return pod
        if status not in COMING:
            raise RunpodError(
                f"The pod {pod_id} is {status}: it was lost before it ran.", hint="Run the same command again."
            )
        if status != seen:
            say(f"The pod {pod_id} is {status.lower()}")
            seen = status
        if time.monotonic() > until:
            raise RunpodError(
                f"The pod {pod_id} is still {status} after {limit_s / 60:.0f} minutes.",
                hint="herald runpod down ends it; try another GPU or data center.",
            )
        api.pause(5.0)


def read_source(url: str, revision: str, git: Callable[..., str]) -> Source:
    """Where the pod gets Herald: what was asked for, else this clone's origin at its commit.

    Args:
        git: runs git here and returns what it prints. Raises: AppError when it fails.

    Raises: InvalidInput when a pod could not fetch that.
    """
    source = Source(url or _as_https(git("remote", "get-url", "origin")), revision or git("rev-parse", "HEAD"))
    if not re.fullmatch(r"https://[^\s@]+", source.url):
        raise InvalidInput(
            f"A pod cannot fetch from {source.url!r}: it needs an address with https:// and without a password.",
            hint="Name one with --source, such as https://github.com/you/herald.git; a mirror will do.",
        )
    if not revision and not git("branch", "--remotes", "--contains", source.revision):
        raise InvalidInput(
            f"The commit {source.revision[:12]} is on this machine alone, so a pod cannot fetch it.",
            hint="Push it first, or name another with --revision.",
        )
    return source


def _as_https(url: str) -> str:
    """git@host:path as a web address, which needs no key."""
    found = re.fullmatch(r"(?:ssh://)?git@([\w.-]+)[:/](.+)", url)
    return f"https://{found[1]}/{found[2]}" if found else url


def hub_token() -> str:
    """What the pod's HF_TOKEN is: ours, or the name of a secret of RunPod's."""
    return os.environ.get("HF_TOKEN", "").strip()


def describe(pod: Json) -> dict[str, Any]:
    """What a person or a program wants to know of a pod; never its environment, which holds secrets."""
    gpu = pod.get("gpu") or {}
    mounts = (pod.get("mounts") or {}).get("network") or [{}]
    return {
        "id": pod["id"],
        "name": pod["name"],
        "status": pod["status"],
        "gpu": f"{gpu.get('count', 0)} x {gpu.get('id', 'none')}",
        "data_center": pod["dataCenterId"],
        "volume": mounts[0].get("volumeId"),
        "usd_an_hour": pod["cost"],
        "url": url_of(pod["id"]),
        "created_at": pod["createdAt"],
    }


class GitFailed(AppError):
    """git is missing or refused."""

    code = "git_failed"
