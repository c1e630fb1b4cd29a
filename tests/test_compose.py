"""docker-compose.yml: valid by the specification's schema, and every profile whole. Nothing here needs Docker."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from scripts.docs.settings import sections

_ROOT = Path(__file__).resolve().parents[1]
_WHOLE = ("cpu", "gpu", "scale")
_TEXT = (_ROOT / "docker-compose.yml").read_text("utf-8")


def _interpolated(text: str) -> dict[str, Any]:
    """As Compose reads it where no variable is set."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    assert not re.search(r"(?<!\$)\$\{", text)
    return yaml.safe_load(text.replace("$$", "$"))


_FILE = _interpolated(_TEXT)
_SERVICES: dict[str, dict[str, Any]] = _FILE["services"]
_OURS = {name: service for name, service in _SERVICES.items() if service["image"].startswith("herald:")}


def _of(profile: str) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in _SERVICES.items() if profile in service["profiles"]}


def _validate(document: dict[str, Any]) -> None:
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8"))
    jsonschema.validators.validator_for(schema)(schema).validate(document)


@pytest.mark.parametrize(
    "change",
    [
        {"services": {"app": {"imagee": "x"}}},
        {"services": {"app": {"image": "x", "healthcheck": {"interval": []}}}},
        {"volumess": {}},
    ],
)
def test_the_schema_refuses_what_compose_would(change: dict[str, Any]) -> None:
    """A check that lets everything pass proves nothing."""
    with pytest.raises(jsonschema.ValidationError):
        _validate(change)


def test_the_file_follows_the_specification() -> None:
    """Anchors resolved, variables replaced by their defaults."""
    _validate(_FILE)


@pytest.mark.parametrize(
    "profiles", [*[(name,) for name in _WHOLE], *[(name, "observe") for name in _WHOLE]], ids="+".join
)
def test_a_profile_has_all_that_its_services_need(profiles: tuple[str, ...]) -> None:
    """What they depend on, and whose network they share."""
    services = {name: service for profile in profiles for name, service in _of(profile).items()}
    for name, service in services.items():
        needed = set(service.get("depends_on", {}))
        mode = service.get("network_mode", "")
        assert not (mode and "networks" in service), name
        needed |= {mode.removeprefix("service:")} if mode else set()
        assert needed <= set(services), name
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"], other


@pytest.mark.parametrize("profile", _WHOLE)
def test_a_profile_runs_all_three_processes_once(profile: str) -> None:
    """With one app, and ports that do not collide."""
    commands = [tuple(service["command"][:3]) for service in _of(profile).values() if "command" in service]
    for module in ("inference", "app", "automation.worker"):
        assert commands.count(("python", "-m", module)) == 1
        path = _ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
    ports = [port for service in _of(profile).values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len(ports) == len(set(ports)) == 1


def test_everything_that_is_named_is_declared_and_used() -> None:
    """Volumes, secrets and networks."""
    for kind in ("volumes", "secrets", "networks"):
        named = {entry for service in _SERVICES.values() for entry in service.get(kind, [])}
        if kind == "volumes":
            mounts = {entry.partition(":")[0] for entry in named}
            named = {mount for mount in mounts if not mount.startswith(".")}
            for path in mounts - named:
                assert (_ROOT / path).is_file()
        assert named == set(_FILE[kind])


def test_every_secret_is_made_by_the_script(tmp_path: Path) -> None:
    """And every one that it makes is used."""
    subprocess.run([_ROOT / "scripts" / "install-secrets", tmp_path], check=True, capture_output=True)
    assert {Path(secret["file"]).name for secret in _FILE["secrets"].values()} == {p.name for p in tmp_path.iterdir()}
    assert all(name == Path(secret["file"]).name for name, secret in _FILE["secrets"].items())
    url = urlsplit((tmp_path / "herald_queue_url").read_text().strip())
    assert url.hostname in _of("scale")
    settings = {setting.name for group in sections().values() for setting in group}
    assert {name.upper() for name in _FILE["secrets"] if name.startswith("herald_")} <= settings


@pytest.mark.parametrize("name", list(_SERVICES))
def test_a_service_is_confined(name: str) -> None:
    """No capabilities, no writable root, limits of memory, processor and processes, and somebody who looks after it."""
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "pid"} & set(service)
    limits = service["deploy"]["resources"]["limits"]
    assert re.fullmatch(r"\d+[gm]", limits["memory"])
    assert float(limits["cpus"]) >= 0
    assert limits["pids"] >= 16
    check = service["healthcheck"]
    assert check.get("disable") is True or check["test"][0] in {"CMD", "CMD-SHELL"}
    assert check.get("disable") is not True or name in {"network", "models"}


def test_the_health_checks_of_ours_exist() -> None:
    """Each asks the process that its container runs."""
    for name, service in _OURS.items():
        if service["healthcheck"].get("disable"):
            continue
        assert service["healthcheck"]["test"][:4] == ["CMD", "python", "-m", "scripts.container_health"]
        kind = service["healthcheck"]["test"][4]
        module = {"app": "app", "inference": "inference", "worker": "automation.worker", "vllm": "inference.replica"}
        assert service["command"] == ["python", "-m", module[kind]], name


def test_the_images_are_pinned_or_built_here() -> None:
    """By digest; the build arguments are those of the Dockerfile, which has the stage that is chosen."""
    text = (_ROOT / "Dockerfile.gpu").read_text("utf-8")
    for name, service in _SERVICES.items():
        if name not in _OURS:
            assert re.search(r":v?[\d.]+[\w-]*@sha256:[0-9a-f]{64}$", service["image"]), name
            assert "build" not in service
            continue
        arguments = service["build"].get("args", {})
        assert all(re.search(rf"^ARG {argument}=", text, re.MULTILINE) for argument in arguments)
        assert f"AS {arguments.get('ENVIRONMENTS', 'with-vllm')}\n" in text
        assert ("args" in service["build"]) == (service["image"] == "herald:cpu")
        for base in ("BUILD_IMAGE", "RUN_IMAGE"):
            assert "@sha256:" in arguments.get(base, "@sha256:")


def test_the_gateway_knows_its_replicas() -> None:
    """Those of its profile, by name and port, with one key and a card each."""
    scale = _of("scale")
    urls = scale["inference-scale"]["environment"]["HERALD_VLLM_URLS"].split(",")
    replicas = {name for name, service in scale.items() if service["command"][-1] == "inference.replica"}
    assert {urlsplit(url).hostname for url in urls} == replicas
    assert {urlsplit(url).port for url in urls} == {8000}
    cards = [scale[name]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] for name in replicas]
    assert all(a != b for a, b in itertools.combinations(cards, 2))
    for name in (*replicas, "inference-scale"):
        assert "herald_vllm_key" in scale[name]["secrets"]
        assert scale[name]["environment"]["HERALD_VLLM_MODEL"] == scale["vllm-0"]["environment"]["HERALD_VLLM_MODEL"]
    assert "backend" in scale["network"]["networks"]
    assert _FILE["networks"]["backend"]["internal"] is True


def test_the_queue_s_server_is_told_to_those_who_use_it() -> None:
    """App and workers of the profile scale, and nobody else."""
    users = {name for name, service in _OURS.items() if "herald_queue_url" in service["secrets"]}
    assert users == {"app-scale", "worker-scale"}


def test_prometheus_asks_where_inference_and_the_app_listen() -> None:
    """The default ports, with the key from the secret that all have."""
    config = yaml.safe_load((_ROOT / "scripts/observe/prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    defaults = {setting.name: setting.default for group in sections().values() for setting in group}
    for name, port in (("herald_inference", "HERALD_INFERENCE_PORT"), ("herald_app", "HERALD_PORT")):
        job = jobs.pop(name)
        assert job["metrics_path"] == "/metrics"
        assert job["static_configs"] == [{"targets": [f"127.0.0.1:{defaults[port]}"]}]
        assert job["authorization"]["credentials_file"] == "/run/secrets/herald_inference_key"
    assert jobs == {}
    assert "herald_inference_key" in _SERVICES["prometheus"]["secrets"]
    assert _SERVICES["prometheus"]["network_mode"] == "service:network"
    assert all("herald_inference_key" in service["secrets"] for service in _of("cpu").values())


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    """By the identifiers, hosts and folders that stand in three files."""
    folder = _ROOT / "scripts" / "observe" / "grafana"
    (source,) = yaml.safe_load((folder / "datasources.yml").read_text("utf-8"))["datasources"]
    assert urlsplit(source["url"]).hostname == "network"
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text("utf-8"))["providers"]
    mounts = [mount.split(":")[1] for mount in _SERVICES["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/herald.json" in mounts
    for panel in json.loads((folder / "herald.json").read_text("utf-8"))["panels"]:
        assert panel["datasource"]["uid"] == source["uid"]
        assert panel["targets"]
