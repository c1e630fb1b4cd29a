"""The port between a proposal and its execution: what an action type declares and what its executor is given.

The params class of an action type is the only copy of its schema: the language model is constrained to it, the API
documents it, the approval shows it and the executor validates it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from automation.errors import ActionError
from automation.host_rules import HostRules
from automation.recipes import Kind
from automation.redaction import Secrets

if TYPE_CHECKING:
    from automation.egress import Egress

__all__ = [
    "Account",
    "ActionContext",
    "ActionError",
    "ActionResult",
    "ActionType",
    "Credential",
    "Evidence",
    "MediaRef",
    "Params",
    "PreviewLine",
    "Reconciled",
    "ReconciledOutcome",
    "Risk",
    "media_of",
]


class Params(BaseModel):
    """Base of every action's params: unknown keys are refused, values are immutable once validated."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


P = TypeVar("P", bound=Params)


class MediaRef(BaseModel):
    """A picture or film that belongs to an action, named by the SHA-256 of its bytes, so that a digest covers them.

    Params carry ``media: tuple[MediaRef, ...]``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    filename: Annotated[str, Field(min_length=1, max_length=200)]
    media_type: Annotated[str, Field(pattern=r"^(image/(png|jpeg|gif|webp)|video/mp4)$")]
    alt: Annotated[str, Field(max_length=2_000)] = ""
    size_bytes: Annotated[int, Field(ge=0)] = 0
    """As it was uploaded, for limits on the card; 0: not told. The executor measures the file itself."""


def media_of(params: Params) -> tuple[MediaRef, ...]:
    """The media that these params name, in their order; empty for types without media."""
    return tuple(getattr(params, "media", ()))


class Risk(StrEnum):
    """What an action can change in the world."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One line of the card that a person approves.

    ``problem`` says why the action cannot run as it stands (an over-long text, a missing account); a card with a
    problem cannot be approved, only edited or rejected.
    """

    label: str
    value: str
    note: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of proof: a file in the action's evidence folder (``kind`` screenshot or text) or a final URL."""

    kind: str
    label: str
    filename: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """An account's login, decrypted for one run only. Its repr never shows the secret."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """The platform account that an action acts as. ``base_url`` is the site's origin (its own test site in tests)."""

    platform: str
    handle: str
    base_url: str


def _no_media(ref: MediaRef) -> Path:
    raise ActionError(
        f"The file {ref.filename} was not given to this execution.",
        code="media_missing",
        hint="Upload it again and propose the action anew.",
    )


@dataclass(slots=True)
class ActionContext:
    """Everything that one execution may touch.

    Attributes:
        action_id: the stored action's id; names its evidence folder.
        intent_id: the same in every attempt of this action and in no other one: an idempotency key, a message id, a
            record key for platforms that take one.
        evidence_dir: an existing, empty folder; the executor writes its proof here.
        allow_private_addresses: whether loopback and private addresses may be reached.
        timeout_s: the whole execution's budget in seconds.
        progress: called with a short present-tense phrase ("opening the page") that the user sees.
        before_irreversible: called immediately before the step that cannot be taken back (the submit click).
            It commits that fact; when it raises, the executor must not go on. Retries are allowed only before it.
        account, credential: of a ``post_social`` action, else None.
        load_session, save_session: the browser's storage state of the account (dict or None), kept encrypted.
        secrets: what the run's results, evidence and messages must not show; filled by ``automation.execution``.
        recipe: how an earlier run of the same kind succeeded (JSON-able, see ``automation.recipes``), or None.
        media_path: a private copy of the file, whose bytes were compared with its SHA-256 for this run.
        save_recipe: called with a JSON-able recipe that worked or was healed; it never holds a value or a secret.
        host_rules: where the action's project lets its automation go.
        load_robots, save_robots: a site's robots.txt by its origin, as it was read less than a day ago (or None).
        egress: the execution's one way out; None outside of a worker (``automation.egress.open_egress`` makes one).
    """

    action_id: str
    evidence_dir: Path
    allow_private_addresses: bool
    timeout_s: float
    progress: Callable[[str], None]
    before_irreversible: Callable[[], None]
    account: Account | None = None
    credential: Credential | None = None
    load_session: Callable[[], dict[str, Any] | None] = lambda: None
    save_session: Callable[[dict[str, Any]], None] = lambda _state: None
    secrets: Secrets = field(default_factory=Secrets)
    recipe: dict[str, Any] | None = None
    save_recipe: Callable[[dict[str, Any]], None] = lambda _recipe: None
    intent_id: str = ""
    media_path: Callable[[MediaRef], Path] = _no_media
    host_rules: HostRules = field(default_factory=HostRules)
    load_robots: Callable[[str], str | None] = lambda _origin: None
    save_robots: Callable[[str, str], None] = lambda _origin, _text: None
    egress: Egress | None = None


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What an executed action brought back. ``data`` is JSON-able; web text in it is data, never instructions."""

    summary: str
    data: dict[str, Any]
    evidence: tuple[Evidence, ...] = ()


class ReconciledOutcome(StrEnum):
    """What a look at the platform found out about an action whose end nobody saw."""

    HAPPENED = "happened"
    DID_NOT_HAPPEN = "did_not_happen"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The answer of ``ActionType.reconcile``; ``result`` belongs to ``happened``, ``note`` says what was looked at."""

    outcome: ReconciledOutcome
    result: ActionResult | None = None
    note: str = ""


class ActionType(ABC, Generic[P]):
    """One kind of action. Stateless: one instance serves every execution."""

    name: ClassVar[str]
    """The wire name, ``verb_noun``."""
    title: ClassVar[str]
    """What the card says at its head: "Post on a social network"."""
    description: ClassVar[str]
    """One sentence for the language model: when to propose it."""
    risk: ClassVar[Risk]
    params_class: type[P]

    @abstractmethod
    def preview(self, params: P, accounts: tuple[Account, ...]) -> tuple[PreviewLine, ...]:
        """Say exactly what would run, for the card; ``accounts`` are those the box is connected to."""

    def account_for(self, params: P, accounts: tuple[Account, ...]) -> Account | None:
        """The account that these params act as, or None when the type needs none or there is none."""
        return None

    def target(self, params: P, account: Account | None) -> str:
        """The site that the action goes to, ``host`` or ``host:port``: limits and faults are counted by it.

        Empty when the type goes nowhere.
        """
        address = account.base_url if account is not None else str(getattr(params, "url", ""))
        return urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[2].casefold()

    def amount_minor(self, params: P) -> int | None:
        """What the action spends, in minor units of its currency; None when it spends nothing."""
        return None

    def is_keyed(self, params: P) -> bool:
        """Whether the platform takes a key chosen by us (made from ``intent_id``), so that it acts once however often
        it is asked. Only then may a publish whose end nobody saw be repeated."""
        return False

    def reconcile(self, params: P, context: ActionContext, began_at: datetime) -> Reconciled:
        """Look at the platform, without changing anything, whether what began at ``began_at`` has happened.

        Called for an action whose worker died, or saw no answer, after the irreversible step had begun.
        ``did_not_happen`` only when it cannot happen later either. Raises: ActionError when it could not look.
        """
        return Reconciled(ReconciledOutcome.UNKNOWN, note="This kind of action leaves nothing that could be looked up.")

    def recipe_kind(self, params: P) -> Kind | None:
        """Which runs share a recipe with these params; None when the type keeps none."""
        return None

    @abstractmethod
    def execute(self, params: P, context: ActionContext) -> ActionResult:
        """Run exactly these params.

        Raises: ActionError, with what failed, the actual against the allowed, and the next step; its ``retryable``
            is True only when nothing irreversible had begun.
        """
