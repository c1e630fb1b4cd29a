"""``herald runpod``: Herald on a rented GPU, from the first estimate to the last goodbye."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from app.errors import InvalidInput
from app.runpod import pods
from app.runpod.api import Json, RunpodApi, RunpodError, read_key
from app.runpod.cards import GIB, find_gpu, read_gpu
from app.runpod.estimate import Estimate, Order, estimate, find_model, fit
from app.terminal import render
from app.terminal.connection import EXIT_ERROR, err, out, plain, reported, show_error

RUNNING_LIMIT_S = 1_800.0
READY_LIMIT_S = 5_400.0
LOG_SILENCE_S = 5.0
PROBE_S = 10.0
_LINK = re.compile(r"https://\S+/signin\?token=\S+")
_ROOT = Path(__file__).resolve().parents[2]

app = typer.Typer(help="Herald on a rented GPU of RunPod's.", no_args_is_help=True)

NameOption = Annotated[str, typer.Option("--name", help="The pod's name, by which it is found again.")]
GpuOption = Annotated[str, typer.Option("--gpu", help='GPU type, such as "RTX 4090"; herald runpod gpus lists them.')]
CountOption = Annotated[int, typer.Option("--count", min=1, max=16, help="GPUs in the pod.")]
ModelOption = Annotated[str, typer.Option("--model", help="A model of herald models list that has safetensors.")]
CommunityOption = Annotated[
    bool, typer.Option("--community", help="RunPod's community cloud instead of the secure one.")
]
DiskOption = Annotated[int, typer.Option("--disk", min=20, help="GB of disk for the environments, lost with the pod.")]
VolumeSizeOption = Annotated[int, typer.Option("--volume-size", min=0, help="GB of the volume; 0 is what suits.")]
SpeedOption = Annotated[float, typer.Option("--tokens-per-s", min=0, help="A measured speed for the estimate.")]
VolumeOption = Annotated[str, typer.Option("--volume", help="Name of the network volume; the pod's own if empty.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]


@contextmanager
def _api() -> Iterator[RunpodApi]:
    with reported(), RunpodApi(read_key()) as api:
        yield api


def _order(
    api: RunpodApi, name: str, gpu: str, count: int, model: str, cloud: str, disk: int, volume: int, speed: float
) -> tuple[Order, Estimate]:
    """What is asked for, checked against the catalogues, with its price."""
    entry, weights = find_model(model)
    with err.status(plain("Asking RunPod for prices and stock…", "dim")):
        card = find_gpu(gpu, api.gpus(cloud, count), cloud)
        if count > card.most_in_a_pod:
            raise InvalidInput(
                f"{count} x {card.name} are more than a pod can have: at most {card.most_in_a_pod}.",
                hint="Ask for fewer with --count, or a larger GPU.",
            )
        plan = fit(card, count, weights)
    # The weights once, the built packages and the data beside them.
    suits = max(40, 10 * -(-int(weights.weights_bytes / GIB + 30) // 10))
    order = Order(name, entry.name, card, count, cloud, disk, volume or suits)
    return order, estimate(order, weights, plan, speed)


@app.command("gpus")
def list_gpus(community: CommunityOption = False, count: CountOption = 1, as_json: JsonOption = False) -> None:
    """Show RunPod's GPUs with price and stock, the cheapest first."""
    cloud = _cloud(community)
    with _api() as api:
        found = [read_gpu(entry, cloud) for entry in api.gpus(cloud, count) if entry.get(cloud.lower())]
        found.sort(key=lambda gpu: gpu.price)
        if as_json:
            out.print_json(json.dumps([{"id": g.id, "usd_an_hour": g.price, "stock": g.availability} for g in found]))
            return
        rows = (
            (gpu.name, f"{gpu.memory_bytes / GIB:.0f} GiB", f"${gpu.price:.2f}", gpu.availability.lower(), gpu.id)
            for gpu in found
        )
        out.print(render.table(("GPU", "memory", "an hour", "stock", "id"), rows))


@app.command("estimate")
def show_estimate(
    gpu: GpuOption,
    model: ModelOption,
    count: CountOption = 1,
    community: CommunityOption = False,
    disk: DiskOption = 60,
    volume_size: VolumeSizeOption = 0,
    tokens_per_s: SpeedOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Say what a pod would cost an hour and a thousand posts; makes nothing."""
    with _api() as api:
        cloud = _cloud(community)
        _, cost = _order(api, "herald", gpu, count, model, cloud, disk, volume_size, tokens_per_s)
        if as_json:
            facts = {"usd_an_hour": cost.hour, "usd_an_hour_without_pod": cost.idle_hour}
            out.print_json(json.dumps(facts | {"usd_a_thousand_posts": cost.thousand_posts}))
            return
        _show(cost)


@app.command("up")
def up(
    gpu: GpuOption,
    model: ModelOption,
    name: NameOption = "herald",
    count: CountOption = 1,
    community: CommunityOption = False,
    disk: DiskOption = 60,
    volume: VolumeOption = "",
    volume_size: VolumeSizeOption = 0,
    source: Annotated[
        str, typer.Option("--source", help="Repository the pod clones; this clone's origin if empty.")
    ] = "",
    revision: Annotated[str, typer.Option("--revision", help="Commit or tag of it; this clone's if empty.")] = "",
    hub_secret: Annotated[
        str, typer.Option("--hub-secret", help="RunPod secret that holds HF_TOKEN, instead of sending yours.")
    ] = "",
    tokens_per_s: SpeedOption = 0.0,
    yes: YesOption = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it until there is a sign-in link.")] = True,
) -> None:
    """Make the pod, or find the one of that name and make it run; says the price first and asks."""
    with _api() as api:
        order, cost = _order(api, name, gpu, count, model, _cloud(community), disk, volume_size, tokens_per_s)
        pod = pods.find_pod(api, name)
        if pod is None or pod["status"] not in pods.COMING:
            _show(cost)
            if not yes and not typer.confirm("Rent it?", err=True):
                raise typer.Exit(EXIT_ERROR)
        if pod is not None:
            pod = pods.revive(api, pod, _say)
        if pod is None:
            # Checked only here: a pod that is there has its source already.
            code = pods.read_source(source, revision, _git)
            secret = f"{{{{ RUNPOD_SECRET_{hub_secret} }}}}" if hub_secret else pods.hub_token()
            place = pods.ensure_volume(api, volume or name, order, _say)
            pod = pods.create_pod(api, order, place, code, secret, _say)
        out.print(plain(f"{pod['id']}  {pods.url_of(pod['id'])}"), soft_wrap=True)
        if wait:
            _follow(api, pod["id"])


@app.command("status")
def status(name: NameOption = "herald", as_json: JsonOption = False) -> None:
    """Show the pod, its price and whether Herald answers. Exit status 0 when it does, else 1."""
    with _api() as api:
        pod = pods.require_pod(api, name)
        facts = pods.describe(pod)
        facts["herald"] = _probe(pod["id"]) if pod["status"] == "RUNNING" else "not running"
        if as_json:
            out.print_json(json.dumps(facts))
        else:
            for key, value in facts.items():
                out.print(plain(f"{key.replace('_', ' '):14} {value}"), soft_wrap=True)
    if facts["herald"] != "ready":
        raise typer.Exit(EXIT_ERROR)


@app.command("logs")
def logs(
    name: NameOption = "herald",
    tail: Annotated[int, typer.Option("--tail", min=0, max=5000, help="Lines of the past.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
) -> None:
    """Print what the pod says."""
    with _api() as api:
        pod = pods.require_pod(api, name)
        for event in api.logs(pod["id"], tail, 3_600.0 if follow else LOG_SILENCE_S):
            out.print(plain(event["line"]), soft_wrap=True)


@app.command("down")
def down(
    name: NameOption = "herald",
    stop: Annotated[bool, typer.Option("--stop", help="Keep the pod, without its GPU, instead of ending it.")] = False,
    delete_volume: Annotated[
        bool, typer.Option("--delete-volume", help="Destroy the volume too: models, data, everything.")
    ] = False,
    volume: VolumeOption = "",
    yes: YesOption = False,
) -> None:
    """Give the GPU back. The network volume stays, and costs, unless --delete-volume says otherwise."""
    with _api() as api:
        pod = pods.find_pod(api, name)
        kept = pods.find_volume(api, volume or name)
        if pod is None and not (delete_volume and kept):
            err.print(plain(f"The account has no pod called {name!r}.", "dim"))
        elif not yes and not typer.confirm(_farewell(pod, kept, stop=stop, is_lost=delete_volume), err=True):
            raise typer.Exit(EXIT_ERROR)
        if pod is not None:
            if stop and pod["status"] in pods.COMING:
                api.act(pod["id"], "stop")
            elif not stop:
                api.delete_pod(pod["id"])
            out.print(plain(f"{pod['id']} {'is stopped' if stop else 'has ended'}."))
        if delete_volume and kept is not None and not stop:
            _delete_volume(api, kept)
        elif kept is not None:
            price = kept["size"] * 0.07
            err.print(plain(f"The volume {kept['name']} stays ({kept['size']} GB, about ${price:.2f} a month).", "dim"))


def _farewell(pod: Json | None, kept: Json | None, *, stop: bool, is_lost: bool) -> str:
    what = f"{'Stop' if stop else 'End'} the pod {pod['id']}" if pod is not None else "There is no pod; go on"
    return (
        f"{what} and DESTROY the volume {kept['name']} with all data?" if is_lost and kept and not stop else f"{what}?"
    )


def _delete_volume(api: RunpodApi, volume: Json) -> None:
    """A pod that has just ended holds its volume for a moment."""
    for attempt in range(6):
        try:
            api.delete_volume(volume["id"])
            break
        except RunpodError as error:
            if attempt == 5 or error.status not in (400, 409):
                raise
            api.pause(5.0)
    out.print(plain(f"The volume {volume['name']} is destroyed."))


def _cloud(community: bool) -> str:
    return "COMMUNITY" if community else "SECURE"


def _show(cost: Estimate) -> None:
    for key, value in cost.lines:
        err.print(plain(f"{key:12} {value}"), soft_wrap=True)


def _say(text: str) -> None:
    err.print(plain(f"{time.strftime('%H:%M:%S')} {text}", "dim"), soft_wrap=True)


def _git(*arguments: str) -> str:
    """What git prints in this clone. Raises: GitFailed."""
    try:
        command = ["git", *arguments]
        done = subprocess.run(  # noqa: S603
            command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise pods.GitFailed(
            f"git cannot be run: {error}.", hint="Install git, or use --source and --revision."
        ) from None
    if done.returncode != 0:
        raise pods.GitFailed(
            f"git {' '.join(arguments)} failed: {done.stderr.strip()}.", hint="Use --source and --revision."
        )
    return done.stdout.strip()


def _follow(api: RunpodApi, pod_id: str) -> None:
    """Show what the pod says until Herald answers, then its sign-in link."""
    pods.wait_until_running(api, pod_id, RUNNING_LIMIT_S, _say)
    _say("The container runs; the first start installs everything, which takes some minutes")
    until, shown, link = time.monotonic() + READY_LIMIT_S, "", ""
    while time.monotonic() < until:
        shown, link = _tail(api, pod_id, shown, link)
        state = _probe(pod_id)
        if state == "ready":
            _, link = _tail(api, pod_id, shown, link)
            out.print(plain(f"Herald is ready: {link or pods.url_of(pod_id)}"), soft_wrap=True)
            if not link:
                err.print(plain("The sign-in link is in the pod's log: herald runpod logs", "dim"))
            return
        pod = api.pod(pod_id)
        if pod["status"] not in pods.COMING:
            raise RunpodError(f"The pod was lost: it is {pod['status']}.", hint="Run the same command again.")
    show_error(f"Herald does not answer after {READY_LIMIT_S / 60:.0f} minutes.", "herald runpod logs says why.")
    raise typer.Exit(EXIT_ERROR)


def _tail(api: RunpodApi, pod_id: str, shown: str, link: str) -> tuple[str, str]:
    """Print the lines that are newer than ``shown`` (a timestamp); returns the newest one's, and a link among them."""
    try:
        for event in api.logs(pod_id, 50, LOG_SILENCE_S):
            at, line = str(event.get("ts", "")), str(event["line"]).rstrip()
            if at > shown:
                shown = at
                found = _LINK.search(line)
                link = found.group(0) if found else link
                _say(line if found is None else "Herald has made a sign-in link")
    except RunpodError as error:
        # Without the log the pod still comes up; readiness is what counts.
        _say(f"No log: {error.message}")
        api.pause(PROBE_S)
    return shown, link


def _probe(pod_id: str) -> str:
    """What the app behind RunPod's proxy says of itself."""
    try:
        answer = httpx.get(f"{pods.url_of(pod_id)}/readyz", timeout=PROBE_S)
    except httpx.HTTPError as error:
        return f"no answer ({type(error).__name__})"
    if answer.status_code == 200:
        return "ready"
    state: Any = "starting" if answer.status_code == 503 else f"answers {answer.status_code}"
    return str(state)
