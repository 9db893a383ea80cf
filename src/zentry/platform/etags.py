"""Versions of single resources: the ETag that names one, and the `If-Match` that asks for it.

A version is the instant of the last change, or of the creation. The tag is weak, since figures that
grow by the second (cost, uptime) stand in the same answer and do not make another version; it is
compared after its `W/` is taken off, because a version is all that a writer wants to be sure of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.platform.errors import PreconditionFailed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TAG: Final = re.compile(r'(?:W/)?"([0-9a-f]{12})-([0-9a-f]{1,14})"')
_MOVED_ON: Final = "It has changed since you looked at it. Look again, then decide."


def etag(id_: UUID, *, created_at: datetime, updated_at: datetime | None) -> str:
    """Return the tag of a resource's version."""
    return f'W/"{_name(id_)}-{((updated_at or created_at) - _EPOCH) // _MICROSECOND:x}"'


@dataclass(frozen=True, slots=True)
class Precondition:
    """The versions of a resource for which a change is meant."""

    versions: frozenset[tuple[str, datetime]] | None = None
    """By the name of their resource. None allows any version."""

    @property
    def is_given(self) -> bool:
        """Tell whether not every version will do."""
        return self.versions is not None

    def ensure(self, id_: UUID, version: datetime | None) -> None:
        """Raise `PreconditionFailed` when the resource is not in a version that is meant; None: it is not there."""
        if self.is_given and version is not None and version not in self._meant(id_):
            raise PreconditionFailed(_MOVED_ON)

    def holds(self, id_: UUID, version: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """Return the condition with which an UPDATE decides."""
        return version.in_(self._meant(id_)) if self.is_given else sa.true()

    def failed(self) -> PreconditionFailed:
        """Return the error of an UPDATE that found another version."""
        return PreconditionFailed(_MOVED_ON)

    def _meant(self, id_: UUID) -> list[datetime]:
        return [version for name, version in self.versions or () if name == _name(id_)]


ANY_VERSION: Final = Precondition()


def parse_if_match(header: str | None) -> Precondition:
    """Return what an If-Match header asks for; tags that are none of ours match nothing."""
    if header is None or header.strip() == "*":
        return ANY_VERSION
    tags = (_TAG.fullmatch(part.strip()) for part in header.split(","))
    return Precondition(frozenset((tag[1], _EPOCH + int(tag[2], 16) * _MICROSECOND) for tag in tags if tag))


def version_of(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the version of a table's rows."""
    return sa.func.coalesce(table.c.updated_at, table.c.created_at)


def _name(id_: UUID) -> str:
    return id_.hex[-12:]
