"""The port of a site module: what ``post_social`` needs to know of a platform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from automation.actions.base import Account, ActionContext
from automation.errors import ActionError

if TYPE_CHECKING:
    from automation.session import BrowserSession


class LoginExpired(ActionError):
    """The site no longer accepts the stored session or the credential."""

    code = "login_expired"


class HumanNeeded(ActionError):
    """The site asks for something that only a person may answer: a captcha, a code sent by mail or telephone."""

    code = "human_needed"


class Unconfirmed(ActionError):
    """The irreversible step was begun and its outcome could not be seen."""

    code = "unconfirmed"


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """A text against the platform's rules. ``problem`` is empty when the platform would take it."""

    length: int
    limit: int
    problem: str


@dataclass(frozen=True, slots=True)
class Published:
    """A post as found on the platform after publishing."""

    url: str
    text: str


class Site(ABC):
    """One social network."""

    platform: ClassVar[str]
    title: ClassVar[str]
    default_base_url: ClassVar[str]

    @abstractmethod
    def measure(self, text: str) -> TextMeasure:
        """Measure ``text`` as the platform's composer would."""

    @abstractmethod
    def publish(self, session: BrowserSession, text: str, account: Account, context: ActionContext) -> Published:
        """Log in if needed, publish ``text``, and find the new post.

        Calls ``context.before_irreversible`` right before the click that publishes.

        Raises: ActionError.
        """
