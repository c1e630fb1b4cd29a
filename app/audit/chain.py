"""The hash chain over the audit log: what a row's hash covers, and how a broken chain shows. Touches no database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What the first row follows."""


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain: a row's id and its hash."""

    id: int
    hash: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the log. ``row_id`` is None when the whole log is meant."""

    row_id: int | None
    message: str


def row_hash(stored: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of a row as it is stored, the hash of the row before it included.

    ``stored`` maps column names to the values that SQLite holds (times and JSON as their text). The hash itself and
    columns that are NULL are left out, so that a column that is added later does not change old rows.
    """
    covered = {name: value for name, value in stored.items() if name != "hash" and value is not None}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def verify(rows: Iterable[Mapping[str, Any]], anchors: Mapping[str, Head]) -> tuple[list[Finding], int]:
    """Every fault of the log, and how many rows it has.

    Args:
        rows: all rows as stored, by ascending id.
        anchors: the heads that were written down outside the table, by where each stands.
    """
    findings: list[Finding] = []
    waiting = dict(anchors)
    last, count = Head(0, GENESIS), 0
    for row in rows:
        count += 1
        findings += _faults(row, last)
        for place, anchor in anchors.items():
            if anchor.id == row["id"] and waiting.pop(place) and anchor.hash != row["hash"]:
                findings.append(_not_anchored(place, anchor, str(row["hash"])))
        last = Head(int(row["id"]), str(row["hash"]))
    for place, anchor in waiting.items():
        findings.append(
            Finding(
                anchor.id,
                f"Row {anchor.id} is missing: {place} names it with hash {anchor.hash[:12]}…, and the newest row is "
                f"{last.id if count else 'none'}. The log was cut off, or an older copy of the database was put back.",
            )
        )
    return findings, count


def _faults(row: Mapping[str, Any], last: Head) -> list[Finding]:
    found = []
    row_id = int(row["id"])
    follows = f"Row {row_id} follows a row with hash {str(row['previous_hash'])[:12]}…, but "
    if row["previous_hash"] != last.hash:
        before = f"row {last.id}, which stands before it, has {last.hash[:12]}…" if last.id else "it is the first row"
        gap = f" {_numbered(last.id + 1, row_id - 1)} missing." if row_id > last.id + 1 else ""
        found.append(Finding(row_id, f"{follows}{before}: rows were removed, inserted or swapped.{gap}"))
    expected = row_hash(row)
    if row["hash"] != expected:
        found.append(
            Finding(
                row_id,
                f"Row {row_id} was altered: its content has the hash {expected[:12]}…, but it says "
                f"{str(row['hash'])[:12]}….",
            )
        )
    return found


def _numbered(first: int, last: int) -> str:
    return f"Row {first} is" if first == last else f"Rows {first} to {last} are"


def _not_anchored(place: str, anchor: Head, actual: str) -> Finding:
    return Finding(
        anchor.id,
        f"Row {anchor.id} is not the one that was anchored: {place} has the hash {anchor.hash[:12]}…, the row has "
        f"{actual[:12]}…. The log was rewritten, or went on from an older copy of the database.",
    )
