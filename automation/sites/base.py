"""The port of a site module: what ``post_social`` needs to know of a platform. Knows no browser and no HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from automation.actions.base import Account, ActionContext, Evidence, MediaRef
from automation.errors import ActionError
from automation.sites.limits import Check


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
class Post:
    """What is published: the exact text and the files that go with it, in their order."""

    text: str
    media: tuple[MediaRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A post as found on the platform."""

    url: str
    text: str
    evidence: tuple[Evidence, ...] = ()


class Site(ABC):
    """One social network. Stateless: one instance serves every execution."""

    platform: ClassVar[str]
    title: ClassVar[str]
    default_base_url: ClassVar[str]
    is_keyed: ClassVar[bool] = False
    """Whether ``publish`` with the same ``context.intent_id`` never makes a second post."""

    @abstractmethod
    def check(self, post: Post) -> Check:
        """Measure the post against the platform's limits, as its composer would; needs nothing but the post."""

    @abstractmethod
    def publish(self, post: Post, context: ActionContext) -> Published:
        """Log in as ``context.account`` if needed, publish, and find the new post.

        Calls ``context.before_irreversible`` right before the step that publishes.

        Raises: ActionError; ``is_refused`` when the platform said no, Unconfirmed when it said nothing.
        """

    @abstractmethod
    def look_up(self, post: Post, context: ActionContext, began_at: datetime) -> Published | None:
        """The post, if the account shows one that was published at ``began_at`` (UTC) or later; changes nothing.

        Raises: ActionError when it could not look.
        """

    def account_of(self, context: ActionContext) -> Account:
        """The account of this execution. Raises: ActionError when there is none."""
        if context.account is None:
            raise ActionError(
                f"No {self.title} account is connected, so nothing was posted.",
                code="account_missing",
                hint=f"Connect an account in Settings, or run: herald accounts add {self.platform}",
            )
        return context.account

    @property
    def reconnect_hint(self) -> str:
        """What to do when the platform does not let the account in."""
        return (
            "Log in yourself: Settings, Log in yourself (herald accounts login prints the address). "
            f"Or connect the account again with its current password: herald accounts add {self.platform}"
        )


def plain_handle(handle: str) -> str:
    """A handle for comparing: without the at sign, in lower case."""
    return handle.strip().removeprefix("@").casefold()
