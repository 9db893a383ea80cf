"""Values of webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from zentry.schema.webhooks import DeliveryStatus, EndpointStatus


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events are posted to; the secrets are sealed."""

    id: UUID
    user_id: UUID
    project_id: UUID | None
    url: str
    description: str
    kinds: Sequence[str]
    secret: bytes
    old_secret: bytes | None
    old_secret_until: datetime | None
    status: EndpointStatus
    disabled_reason: str | None
    failures: int
    failing_since: datetime | None
    retry_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def secrets_at(self, now: datetime) -> Sequence[bytes]:
        """Return the secrets that sign now."""
        if self.old_secret is None or self.old_secret_until is None or now >= self.old_secret_until:
            return [self.secret]
        return [self.secret, self.old_secret]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint."""

    id: UUID
    endpoint_id: UUID
    position: int | None
    kind: str
    resource_id: UUID
    status: DeliveryStatus
    attempts: int
    attempts_ever: int
    due_at: datetime
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery."""

    number: int
    at: datetime
    took_ms: int
    response_status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to change of an endpoint; None leaves it as it is."""

    url: str | None = None
    description: str | None = None
    kinds: Sequence[str] | None = None
    status: EndpointStatus | None = None


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a post: a status of HTTP, or why there is none."""

    status: int | None
    error: str | None
    took_ms: int

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has taken it: any 2xx."""
        return self.status is not None and self.status // 100 == _SUCCESS


_SUCCESS = 2
