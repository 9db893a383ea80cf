"""Webhooks as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import ConfigDict, Field, JsonValue

from zentry.platform.wire import ReadModel, WriteModel
from zentry.schema.webhooks import DeliveryStatus, EndpointStatus
from zentry.webhooks.targets import MOST_CHARACTERS
from zentry.webhooks.types import Attempt, Delivery

_URL: Final = "https://hooks.example.com/zentry"
_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "01890a5d-ac96-774b-bcce-b302099a8057",
    "url": _URL,
    "kinds": ["vm.", "credit.low"],
    "description": "paging",
    "project_id": None,
    "status": "enabled",
    "disabled_reason": None,
    "failing_since": None,
    "old_secret_until": None,
    "created_at": "2026-01-15T10:30:00Z",
    "updated_at": "2026-01-15T10:30:00Z",
}

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="Where to post to: `https`, a public address, no user name and no fragment.",
        examples=[_URL],
        json_schema_extra={"format": "webhook-url"},
    ),
]
Kind = Annotated[str, Field(pattern=r"^[a-z_.]{1,100}$")]
Kinds = Annotated[
    list[Kind], Field(max_length=50, description="Beginnings of the kinds that are wanted; an empty list is all.")
]
Description = Annotated[str, Field(max_length=200, description="For you alone.", examples=["paging"])]


class WebhookCreate(WriteModel):
    """Where events are to be posted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"url": _URL, "kinds": ["vm.", "credit.low"]}]})

    url: Url
    kinds: Kinds = Field(default_factory=list)
    description: Description = ""
    project_id: str | None = Field(
        None, max_length=64, description="Only events of this project; else those of the account."
    )


class WebhookUpdate(WriteModel):
    """What may change of a webhook; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "paging, at night"}]})

    url: Url | None = Field(None, description="Where to post to.")
    kinds: Kinds | None = Field(None, description="Beginnings of the kinds that are wanted; an empty list is all.")
    description: Description | None = Field(None, description="For you alone.")
    status: Annotated[EndpointStatus | None, Field(strict=False)] = Field(
        None, description="`disabled` posts nothing more; `enabled` begins again, with what has waited."
    )


class WebhookResponse(ReadModel):
    """A webhook of yours."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    url: str
    kinds: Sequence[str]
    description: str
    project_id: UUID | None = Field(description="Null where events of the whole account are posted.")
    status: EndpointStatus
    disabled_reason: str | None = Field(description="`owner`, `failing`, or `gone` where the receiver answered 410.")
    failing_since: datetime | None = Field(description="When the failures in a row began.")
    old_secret_until: datetime | None = Field(description="Until then the secret before signs as well.")
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(WebhookResponse):
    """A webhook and the secret that its messages are signed with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_EXAMPLE, "secret": "whsec_ZXhhbXBsZSBvZiBhIHNlY3JldCB0aGF0IHNpZ25z"}]}
    )

    secret: str = Field(description="Keep it: it is shown with the creation and with a rotation only.")


class AttemptResponse(ReadModel):
    """One try of a delivery."""

    number: int
    at: datetime
    took_ms: int
    response_status: int | None
    error: str | None

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptResponse:
        """Return an attempt for the wire."""
        return cls.model_validate(attempt)


class DeliveryResponse(ReadModel):
    """One event on its way to a webhook."""

    id: UUID = Field(description="The `webhook-id` of its messages, the same in every attempt.")
    webhook_id: UUID
    position: int | None = Field(description="Of the event; null for a ping.")
    kind: str = Field(examples=["vm.running"])
    resource_id: UUID
    status: DeliveryStatus = Field(description="`dead` has used up its attempts.")
    attempts: int = Field(description="Of all times.")
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryResponse:
        """Return a delivery for the wire."""
        is_pending = delivery.status is DeliveryStatus.PENDING
        return cls(
            id=delivery.id,
            webhook_id=delivery.endpoint_id,
            position=delivery.position,
            kind=delivery.kind,
            resource_id=delivery.resource_id,
            status=delivery.status,
            attempts=delivery.attempts_ever,
            next_attempt_at=delivery.due_at if is_pending else None,
            last_status=delivery.last_status,
            last_error=delivery.last_error,
            created_at=delivery.created_at,
            ended_at=delivery.ended_at,
        )


class DeliveryDetails(DeliveryResponse):
    """A delivery with its attempts."""

    log: list[AttemptResponse] = Field(description="Its attempts, the first one first.")


class DeliveryList(ReadModel):
    """A page of deliveries, the newest first."""

    deliveries: list[DeliveryResponse]
    next_cursor: UUID | None = Field(description="Send as `cursor` for the page after this one; null on the last.")
