"""Ten thousand ways to change what was approved, or to use an approval twice: none may come to the irreversible step.

The attacker here writes to the database file itself and knows how digests are made; what he lacks is the signing key.
Each mutation has an action of its own, changed before a worker takes it or between that and the irreversible step.
Every twentieth action is left alone and must go through, or the run would prove nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as sqlite

import scripts.reliability.sites  # noqa: F401 - a platform that needs no browser
from app import clock
from app.accounts.service import NewAccount
from app.actions.records import Claim
from app.actions.rules import canonical_json, digest_of
from app.errors import AppError
from app.services import Services, build_services
from app.settings import Settings
from automation.actions.base import Account, MediaRef, media_of
from automation.errors import ActionError
from scripts.reliability import people

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
"""A PNG of one pixel."""
WORKER = "worker_of_the_mutations"
CONTROL_EVERY = 20


@dataclass(slots=True)
class Mutated:
    """What was tried, by kind, and what got through although it must not."""

    tried: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    executed: list[str] = field(default_factory=list)


Row = dict[str, Any]
Change = Callable[[Row, random.Random], Row]


def _text(row: Row, chance: random.Random) -> Row:
    """One character of the text."""
    params = json.loads(row["params_json"])
    at = chance.randrange(len(params["text"]))
    params["text"] = params["text"][:at] + chance.choice("01ab\u200b\u202e") + params["text"][at + 1 :] + "!"
    return {"params_json": canonical_json(params)}


def _platform(row: Row, chance: random.Random) -> Row:
    return {"params_json": canonical_json(json.loads(row["params_json"]) | {"platform": "bluesky"})}


def _account(row: Row, chance: random.Random) -> Row:
    account = json.loads(row["account"])
    account[chance.choice(["handle", "base_url"])] += chance.choice(["x", ".evil.example", "\u0430"])
    return {"account": json.dumps(account)}


def _target(row: Row, chance: random.Random) -> Row:
    return {"target": chance.choice(["", "evil.example", row["target"] + "0"])}


def _intent(row: Row, chance: random.Random) -> Row:
    return {"intent_id": f"{chance.getrandbits(128):032x}"}


def _type(row: Row, chance: random.Random) -> Row:
    params = {"url": "http://127.0.0.1/", "question": ""}
    return {"type": "scrape_url", "params_json": canonical_json(params)}


def _expiry(row: Row, chance: random.Random) -> Row:
    return {"expires_at": _sql_time(clock.now() + timedelta(days=chance.randint(30, 300)))}


def _due(row: Row, chance: random.Random) -> Row:
    return {"not_before": _sql_time(clock.now() - timedelta(hours=chance.randint(1, 99)))}


def _digest(row: Row, chance: random.Random) -> Row:
    return {"digest": hashlib.sha256(chance.randbytes(8)).hexdigest()}


CHANGES: dict[str, Change] = {
    "text": _text,
    "platform": _platform,
    "account": _account,
    "target": _target,
    "intent": _intent,
    "type": _type,
    "expiry": _expiry,
    "not before": _due,
    "digest": _digest,
}
APPROVAL_CHANGES: dict[str, Callable[[random.Random], Row]] = {
    "signature": lambda chance: {"signature": hashlib.sha256(chance.randbytes(8)).hexdigest()},
    "approver": lambda chance: {"approver_id": f"usr_{chance.getrandbits(64):x}", "approver": "Somebody"},
    "policy": lambda chance: {"policy_id": f"pol_{chance.getrandbits(64):x}"},
    "fewer people": lambda chance: {"people_needed": chance.choice([0, -1])},
    "later expiry": lambda chance: {"expires_at": _sql_time(clock.now() + timedelta(days=chance.randint(30, 300)))},
    "earlier approval": lambda chance: {"created_at": _sql_time(clock.now() - timedelta(days=chance.randint(1, 9)))},
    "approval of another digest": lambda chance: {"digest": hashlib.sha256(chance.randbytes(8)).hexdigest()},
}


def run_mutations(folder: Path, *, count: int, seed: int) -> Mutated:
    """Try ``count`` mutations in this process, against a database of its own."""
    services = build_services(Settings(home=folder / "home", _env_file=None), wake=lambda _id: None)
    try:
        return _Run(services, folder / "home" / "herald.db", random.Random(seed)).run(count)  # noqa: S311
    finally:
        services.close()


class _Run:
    def __init__(self, services: Services, database: Path, chance: random.Random) -> None:
        self._services = services
        self._chance = chance
        self._sql = sqlite.connect(str(database), isolation_level=None, timeout=30)
        self._found = Mutated()
        new = NewAccount("x", "owner", "owner", "https://keyless.example", password="not-checked-here")  # noqa: S106
        services.accounts.create(new, people.owner(services))
        self._picture, _ = services.media.store(io.BytesIO(PICTURE), "shop.png", actor=people.owner(services))

    def run(self, count: int) -> Mutated:
        kinds = [self._change_row, self._change_approval, self._replay, self._revive, self._media, self._race]
        weights = [10, 7, 3, 3, 3, 1]
        self._control()
        while self._found.tried < count:
            self._chance.choices(kinds, weights)[0]()
            if self._found.tried % CONTROL_EVERY == 0:
                self._control()
        return self._found

    # -- kinds

    def _change_row(self) -> None:
        kind = self._chance.choice(list(CHANGES))
        knows_digests = self._chance.random() < 0.5
        self._try(
            kind + (" with its digest" if knows_digests else ""),
            lambda action_id: self._alter(action_id, kind, knows_digests),
        )

    def _alter(self, action_id: str, kind: str, knows_digests: bool) -> None:
        row = self._row(action_id)
        self._write("actions", "id", action_id, CHANGES[kind](row, self._chance))
        if knows_digests and kind != "digest":
            digest = _digest_of(self._row(action_id))
            self._write("actions", "id", action_id, {"digest": digest})
            if self._chance.random() < 0.5:
                self._write("approvals", "action_id", action_id, {"digest": digest})

    def _change_approval(self) -> None:
        kind = self._chance.choice(list(APPROVAL_CHANGES))
        self._try(
            kind,
            lambda action_id: self._write("approvals", "action_id", action_id, APPROVAL_CHANGES[kind](self._chance)),
        )

    def _replay(self) -> None:
        """An approval of one action is put under another, whole or with its digest mended."""
        other = self._approved()
        is_mended = self._chance.random() < 0.5

        def move(action_id: str) -> None:
            self._sql.execute("DELETE FROM approvals WHERE action_id = ?", (action_id,))
            self._write("approvals", "action_id", other, {"action_id": action_id})
            if is_mended:
                self._write("approvals", "action_id", action_id, {"digest": self._row(action_id)["digest"]})

        self._try("another action's approval", move)

    def _revive(self) -> None:
        """What was sent, rejected or cancelled is set back to approved, with its approval as good as new."""
        action_id = self._approved()
        how = self._chance.choice(["sent", "cancelled"])
        if how == "sent":
            claim = self._services.execution.claim(action_id, WORKER)
            assert claim is not None
            self._services.execution.mark_sending(claim)
        else:
            self._services.actions.cancel(action_id, actor=people.owner(self._services))
        fresh = {"status": "approved", "worker_id": None, "lease": None, "irreversible_at": None, "finished_at": None}
        self._write("actions", "id", action_id, fresh)
        self._write("approvals", "action_id", action_id, {"used_at": None, "voided_at": None})
        self._count(f"{how}, then set back", self._reaches_the_step(action_id), action_id)

    def _media(self) -> None:
        """One byte of the approved picture is another one when it is about to be published."""
        ref = MediaRef(sha256=self._picture.sha256, filename="shop.png", media_type="image/png")
        action_id = self._approved(media=[ref.model_dump()])
        claim = self._services.execution.claim(action_id, WORKER)
        assert claim is not None
        _, path = self._services.media.get(ref.sha256)
        content = path.read_bytes()
        at = self._chance.randrange(len(content))
        path.chmod(0o600)
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << self._chance.randrange(8))]) + content[at + 1 :])
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._services.media.place(media_of(claim.params)[0], Path(folder))
                is_executed = self._may_send(claim)
            except ActionError:
                is_executed = False
        path.write_bytes(content)
        self._count("a byte of the picture", is_executed, action_id)

    def _race(self) -> None:
        """Two workers take one action at the same time; and an edit comes while an approval is given."""
        action_id = self._approved()
        claims: list[Claim | None] = []
        workers = [
            threading.Thread(target=lambda name=name: claims.append(self._services.execution.claim(action_id, name)))
            for name in ("worker_one", "worker_two")
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self._count("two workers at once", sum(claim is not None for claim in claims) > 1, action_id)

    # -- pieces

    def _try(self, kind: str, change: Callable[[str], None]) -> None:
        """Apply ``change`` before the claim, or between the claim and the step."""
        action_id = self._approved()
        if self._chance.random() < 0.5:
            change(action_id)
            self._count(kind, self._reaches_the_step(action_id), action_id)
            return
        claim = self._services.execution.claim(action_id, WORKER)
        assert claim is not None
        change(action_id)
        self._count(f"{kind}, while it runs", self._may_send(claim), action_id)

    def _reaches_the_step(self, action_id: str) -> bool:
        try:
            claim = self._services.execution.claim(action_id, WORKER)
        except (AppError, ValueError, KeyError, TypeError):
            return False
        return claim is not None and self._may_send(claim)

    def _may_send(self, claim: Claim) -> bool:
        try:
            self._services.execution.mark_sending(claim)
        except (AppError, ValueError, KeyError, TypeError):
            return False
        return True

    def _control(self) -> None:
        action_id = self._approved()
        if not self._reaches_the_step(action_id):
            raise RuntimeError(f"an action that nobody changed was refused: {self._row(action_id)}")

    def _approved(self, **more: Any) -> str:
        actor = people.owner(self._services)
        params = {"platform": "x", "text": f"Notice {self._chance.getrandbits(64):x}", **more}
        action = people.propose(self._services, "post_social", params)
        return self._services.actions.approve(action.id, action.digest, actor=actor).id

    def _count(self, kind: str, is_executed: bool, action_id: str) -> None:
        self._found.tried += 1
        self._found.kinds[kind] += 1
        if is_executed:
            self._found.executed.append(f"{kind}: {self._row(action_id)}")

    def _row(self, action_id: str) -> Row:
        cursor = self._sql.execute("SELECT * FROM actions WHERE id = ?", (action_id,))
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))

    def _write(self, table: str, key: str, value: str, fields: Row) -> None:
        names = ", ".join(f"{name} = ?" for name in fields)
        self._sql.execute(f"UPDATE {table} SET {names} WHERE {key} = ?", (*fields.values(), value))  # noqa: S608


def _digest_of(row: Row) -> str:
    account = json.loads(row["account"]) if row["account"] else None
    return digest_of(
        row["type"],
        row["params_json"],
        Account(**account) if account else None,
        _moment(row["expires_at"]),
        target=row["target"],
        not_before=_moment(row["not_before"]) if row["not_before"] else None,
        intent_id=row["intent_id"],
    )


def _sql_time(moment: Any) -> str:
    return moment.replace(tzinfo=None).isoformat(" ")


def _moment(text: str) -> Any:
    from datetime import UTC, datetime

    return datetime.fromisoformat(text).replace(tzinfo=UTC)
