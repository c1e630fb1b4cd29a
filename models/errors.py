"""The error tree of the models package: every message says what failed, actual against allowed, and the next step."""

from __future__ import annotations


class ModelError(Exception):
    """Base of everything that can go wrong with the catalogue or the files of a model."""


class UnknownModel(ModelError):
    """The name is not in the catalogue."""


class CatalogError(ModelError):
    """The catalogue file itself is wrong."""


class DigestUnknown(ModelError):
    """The catalogue has no SHA-256 for the model and no source could vouch for one."""


class DigestMismatch(ModelError):
    """A file's content is not what its SHA-256 promises."""


class SourceUnavailable(ModelError):
    """One source cannot deliver now; the next one is tried."""


class AccessDenied(SourceUnavailable):
    """The hub knows the repository and does not show it to this caller: its licence was not accepted, or no token."""


class NoSourceReachable(ModelError):
    """Every source of the model failed."""


class NotEnoughDisk(ModelError):
    """The files do not fit on the disk."""


class PullInProgress(ModelError):
    """Another process is pulling the same model."""


class ModelMissing(ModelError):
    """The model is known but its files are not here."""
