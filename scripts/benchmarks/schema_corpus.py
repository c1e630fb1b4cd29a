"""Real-world JSON schemas for the coverage benchmark: fetched as pinned packages, never part of this repository.

Each package ships the schemas of one kind of document as its users write them by hand, generate them from an interface
description, or have Pydantic make them. pip checks every package against its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Source:
    """A wheel and the folder in it that holds schemas. ``shared`` is a file there with definitions that others use."""

    name: str
    requirement: str
    sha256: str
    licence: str
    folder: str
    shared: str = ""


SOURCES = (
    Source(
        "schemastore",
        "check-jsonschema==0.39.0",
        "14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b",
        "Apache-2.0 and the schemas' own",
        "check_jsonschema/builtin_schemas/vendor",
    ),
    Source(
        "cyclonedx",
        "cyclonedx-python-lib==11.12.0",
        "0e807521a921a5c3cb8ce1153f8a61d29eedfe76a46aac2796b7c6b573391a54",
        "Apache-2.0",
        "cyclonedx/schema/_res",
    ),
    Source(
        "kubernetes",
        "kubernetes-validate==1.37.0",
        "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
        "Apache-2.0",
        "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict",
        shared="_definitions.json",
    ),
    Source(
        "cloudformation",
        "cfn-lint==1.58.0",
        "9d9f06043160756a6158f5c3f92a44ce38254b1c578127461608305bc8262987",
        "MIT-0",
        "cfnlint/data/schemas/resources",
    ),
    Source(
        "jupyterlab",
        "jupyterlab==4.6.6",
        "4261910ccf1ecad6e0b3ca0debe96d4fde9735bfc9707509c125aab850e06b81",
        "BSD-3-Clause",
        "jupyterlab/schemas",
    ),
    Source(
        "great_expectations",
        "great-expectations==1.24.1",
        "a6d57e0904e3aaf51839fcec7352b652881d20e5dbdf4aa731ffb8ee8f93ae13",
        "Apache-2.0",
        "great_expectations",
    ),
)
ASSERTIONS = {"properties", "items", "$ref", "oneOf", "anyOf", "allOf", "patternProperties", "additionalProperties"}


@dataclass(frozen=True, slots=True)
class RealSchema:
    """One schema as a caller would send it: a single document, with what it refers to inside of it where there is."""

    source: str
    file: str
    text: str


def corpus(limit: int) -> list[RealSchema]:
    """The same ``limit`` schemas at every run: the sources in turn, each in the order of its schemas' SHA-256."""
    per_source = [sorted(_schemas(source), key=_digest) for source in SOURCES]
    in_turn = [schema for row in zip_longest(*per_source) for schema in row if schema is not None]
    return in_turn[:limit]


def _digest(schema: RealSchema) -> str:
    return hashlib.sha256(schema.text.encode()).hexdigest()


def _schemas(source: Source) -> Iterator[RealSchema]:
    """The source's schemas, each text once; files that are something else, such as data, are left out."""
    seen: set[str] = set()
    with zipfile.ZipFile(_wheel(source)) as wheel:
        shared = json.loads(wheel.read(f"{source.folder}/{source.shared}")) if source.shared else {}
        for file in wheel.namelist():
            if (
                not file.startswith(f"{source.folder}/")
                or not file.endswith(".json")
                or file.endswith(source.shared or "//")
            ):
                continue
            schema = json.loads(wheel.read(file))
            if not isinstance(schema, dict) or not ASSERTIONS & schema.keys():
                continue
            text = json.dumps(_bundled(schema, shared), ensure_ascii=False)
            if text not in seen:
                seen.add(text)
                yield RealSchema(source.name, file, text)


def _bundled(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """The schema with those shared definitions that it reaches, referred to inside of the document."""
    if not shared:
        return schema
    definitions = shared["$defs"]
    reached: dict[str, Any] = {}

    def inside(value: Any) -> Any:
        if isinstance(value, list):
            return [inside(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: inside(item) for key, item in value.items()}
        reference = found.get("$ref")
        if isinstance(reference, str) and "#/$defs/" in reference:
            key = reference.rpartition("/")[2]
            found["$ref"] = f"#/$defs/{key}"
            if key not in reached:
                reached[key] = True  # a definition may refer to itself
                reached[key] = inside(definitions[key])
        return found

    bundled: dict[str, Any] = inside(schema)
    return {**bundled, "$defs": reached} if reached else bundled


def _wheel(source: Source) -> Path:
    """The package's wheel under the cache folder, fetched at first use. Raises: CalledProcessError, SystemExit."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "herald" / "bench" / "schemas"
    cache.mkdir(parents=True, exist_ok=True)
    name, _, version = source.requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(cache.glob(pattern)):
        print(f"fetching {source.requirement} …", file=sys.stderr)
        pinned = cache / f"{source.name}.txt"
        pinned.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", "utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--require-hashes", "-r", str(pinned), "-d", str(cache)], check=True)
    wheel = next(iter(cache.glob(pattern)))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{wheel} has SHA-256 {found}, expected {source.sha256}. Delete it and run this again.")
    return wheel
