"""The versions of this API, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final


@dataclass(frozen=True, slots=True)
class Changes:
    """What a version changed."""

    added: Sequence[str] = ()
    changed: Sequence[str] = ()
    deprecated: Sequence[str] = ()
    removed: Sequence[str] = ()
    fixed: Sequence[str] = ()
    security: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One version."""

    number: str
    status: str
    kind: str
    released: date
    description: str
    features: frozenset[str]
    changes: Changes
    breaking_changes: Sequence[str] = ()
    deprecated_features: Sequence[str] = ()
    supported_until: date | None = None
    migration_guide: str | None = None


CURRENT: Final = "1.0.0"
SUPPORT_CONTACT: Final = "support@zentry.example"

_FIRST_FEATURES: Final = (
    "Accounts with sign-up, login, refresh and profile",
    "Projects with statistics and cascade delete",
    "Virtual machines: create, start, stop, restart, delete",
    "Prepaid credits, metered by the second",
    "Metrics, dashboard and system health",
    "Idempotency keys on every write",
)

# Oldest first.
VERSIONS: Final[Mapping[str, Version]] = {
    version.number: version
    for version in (
        Version(
            number="1.0.0",
            status="stable",
            kind="major",
            released=date(2024, 1, 15),
            description="The first stable version.",
            features=frozenset(_FIRST_FEATURES),
            changes=Changes(
                added=_FIRST_FEATURES,
                security=("Passwords are hashed with bcrypt", "Access tokens expire and can be revoked"),
            ),
        ),
    )
}
