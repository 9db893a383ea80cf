"""What administrators do with credits, on the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.platform.wire import ReadModel, WriteModel


class CreditKind(StrEnum):
    """Why an administrator changes a balance."""

    GRANT = "grant"
    ADJUSTMENT = "adjustment"
    DEDUCTION = "deduction"


class CreditChange(WriteModel):
    """A change of somebody's balance."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "grant", "amount": 25, "reason": "Spring course"}]}
    )

    kind: Annotated[CreditKind, Field(strict=False)] = Field(
        description="A `grant` is a gift, an `adjustment` gives what was missing, a `deduction` takes no more than "
        "is available.",
    )
    amount: float = Field(
        ge=0.000001,
        le=1_000_000,
        description="Credits that are given or taken, with at most six decimal places.",
        examples=[25],
        json_schema_extra={"multipleOf": 0.000001},
    )
    reason: str = Field(min_length=1, max_length=200, description="Shown in the history of the account.")


class CreditChanged(ReadModel):
    """A change of a balance, as it stands in the books."""

    record_id: UUID = Field(description="The line of the history.")
    user_id: UUID
    kind: CreditKind
    amount: float = Field(description="By how much the balance changed: negative where credits were taken.")
    reason: str
    balance: float = Field(description="The balance of the account now.")
    created_at: datetime
