"""Billing's values. Amounts are micro-credits, times whole seconds in UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from zentry.platform.db import Transaction
from zentry.schema.billing import PriceUnit

COMPUTE: Final = "compute"
"""The meter of a running machine."""

STORAGE: Final = "storage"
"""The meter of the disk that a machine at rest keeps."""

BASIS_POINTS: Final = 10_000
"""The whole, in hundredths of a percent."""

ADDRESS: Final = "address"
"""The meter of the address that a machine at rest keeps."""

SNAPSHOT: Final = "snapshot"
"""The meter of a snapshot."""

AT_REST: Final = (STORAGE, ADDRESS)
"""What is metered of a machine that stands still. While it runs, its price contains both."""

KEPT: Final = (*AT_REST, SNAPSHOT)
"""Everything that is metered of what stands still."""

CREDIT_UNIT: Final = "credit"
"""The unit of a line that adds or takes credits."""

CREATE_FEE: Final = "vm_create"
"""The price item that is charged once, when a machine first runs."""


UNITS: Final[Mapping[str, PriceUnit]] = {
    CREATE_FEE: PriceUnit.EACH,
    STORAGE: PriceUnit.GIB_HOUR,
    SNAPSHOT: PriceUnit.GIB_HOUR,
    ADDRESS: PriceUnit.HOUR,
}
"""What has a price beside the instance types, which are charged by the hour."""


class ActionType(StrEnum):
    """What a line in the history is for."""

    VM_CREATE = "vm_create"
    VM_USAGE = "vm_usage"
    CREDIT_ADD = "credit_add"
    CREDIT_DEDUCT = "credit_deduct"


@dataclass(frozen=True, slots=True)
class PriceList:
    """One version of the prices, in micro-credits for an hour, for a GiB and hour, or for a piece."""

    version: int
    currency: str
    micros: Mapping[str, int]
    effective_at: datetime
    following: Sequence[PriceList] = ()
    """Those that are announced after it, the earliest first."""

    def price(self, item: str) -> int:
        """Return the price of one unit; what the list does not name is free."""
        return self.micros.get(item, 0)

    def rate(self, item: str, *, quantity: int, discount_basis_points: int) -> int:
        """Return what a quantity costs per hour, less a discount, rounded down to a micro-credit."""
        return self.price(item) * quantity * (BASIS_POINTS - discount_basis_points) // BASIS_POINTS

    def at(self, instant: datetime) -> PriceList:
        """Return the list that is in force at an instant, of this one and those that follow."""
        found = self
        for place, one in enumerate(self.following, start=1):
            if one.effective_at <= instant:
                found = replace(one, following=self.following[place:])
        return found


@dataclass(frozen=True, slots=True)
class Resource:
    """What is billed: an id, whose it is, and what it is called on the bill."""

    id: UUID
    user_id: UUID
    project_id: UUID
    name: str
    type: str
    storage_gib: int = 0
    """Of its own, while it stands still; or of what is kept."""
    addresses: int = 0
    vm_id: UUID | None = None
    """The machine that it belongs to, where it is none itself."""

    def kept(self) -> Mapping[str, int]:
        """Return what is metered of it while it stands still, by meter."""
        if self.vm_id is not None:
            return {SNAPSHOT: self.storage_gib}
        return {STORAGE: self.storage_gib, ADDRESS: self.addresses}


@dataclass(frozen=True, slots=True)
class Segment:
    """An unbroken stretch of use at one rate."""

    id: UUID
    user_id: UUID
    project_id: UUID
    resource_id: UUID
    resource_type: str
    price_version: int
    rate_micros_per_hour: int
    started_at: datetime
    paid_until: datetime
    charged_until: datetime
    charged_micros: int
    meter: str = COMPUTE
    unit: str = PriceUnit.HOUR
    quantity: int = 1
    price_micros: int | None = None
    """Of one unit, as listed. None in what was metered before units were kept: there it is the rate."""
    discount_basis_points: int = 0
    vm_id: UUID | None = None
    """The machine that the resource belongs to, where it is none itself."""
    exhausted_at: datetime | None = None

    @property
    def item(self) -> str:
        """What of the price list it is charged by."""
        return self.resource_type if self.meter == COMPUTE else self.meter

    def second_of(self, instant: datetime) -> int:
        """Return the whole seconds from the segment's start to the instant, never negative."""
        return max(0, int((instant - self.started_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class Grant:
    """Credit that ends: what is not used or held by then is taken back."""

    id: UUID
    reason: str
    remaining: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money. `credits` contains what is held."""

    credits: int
    held: int
    total_spent: int

    @property
    def available(self) -> int:
        """What can still be spent or held."""
        return self.credits - self.held


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a look at an account has led to that its owner should read of."""

    credit_ends_at: datetime | None
    """Set where a threshold of the warnings was crossed."""
    stopped: int
    """Machines that could not be paid any longer."""


class OnCreditExhausted(Protocol):
    """Asked, in the meter's transaction, to stop what can't be paid for any longer."""

    async def __call__(self, tx: Transaction, resource_ids: list[UUID]) -> None:
        """Stop these resources; their billing must end here."""
        ...
