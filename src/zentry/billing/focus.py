"""Charges in the columns of FOCUS 1.0, the FinOps Open Cost and Usage Specification.

One row is one line of the bill. A discount lies between ListCost and the other costs, and between ListUnitPrice and
ContractedUnitPrice. What the specification has and a prepaid bill does not, such as commitment
discounts, is empty. The newest line comes first, as in the history.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import ExportTooLarge
from zentry.billing.exports import MOST_LINES, csv_text, instant_text
from zentry.billing.records import PAGE, Record, RecordReader
from zentry.billing.reports import BillingReports, LineFilter
from zentry.billing.statements import month_after, month_of
from zentry.billing.types import ADDRESS, COMPUTE, SNAPSHOT, STORAGE
from zentry.platform.db import Transaction
from zentry.platform.money import MICROS_PER_CREDIT, SECONDS_PER_HOUR, format_credits
from zentry.platform.web import Edge
from zentry.schema.billing import PriceUnit, price_lists
from zentry.schema.projects import projects
from zentry.schema.vms import vms

_PROVIDER: Final = "Zentry Cloud"
_HOURS: Final = Decimal("0.000000000001")
_INSTANT: Final = timedelta(seconds=1)
_SERVICES: Final = {
    COMPUTE: ("Virtual Machine", "Compute", "Virtual Machines"),
    STORAGE: ("Disk", "Storage", "Disks"),
    SNAPSHOT: ("Snapshot", "Storage", "Snapshots"),
    ADDRESS: ("IP Address", "Networking", "Addresses"),
}
_NAMES: Final = sa.select(vms.c.id, vms.c.name, vms.c.labels, projects.c.name.label("project")).outerjoin(
    projects, projects.c.id == vms.c.project_id
)

# Release 1.0.0 of focus-validator looks for these under the names that they had in a draft.
_OLD_NAMES: Final = {
    "ChargeType": "ChargeCategory",
    "InvoiceIssuer": "InvoiceIssuerName",
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "ResourceID": "ResourceId",
}
COLUMNS: Final = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    *_OLD_NAMES,
)


async def focus_csv(edge: Edge, user_id: UUID, wanted: LineFilter) -> AsyncIterator[str]:
    """Return the text of the charges that a filter finds, or raise `ExportTooLarge` before the first byte."""
    async with edge.read() as tx:
        if await BillingReports(tx, user_id).has_more_than(MOST_LINES, wanted):
            raise ExportTooLarge(MOST_LINES)
        currencies = await _currencies(tx)
    return _rows(edge, user_id, wanted, currencies)


async def _rows(edge: Edge, user_id: UUID, wanted: LineFilter, currencies: Mapping[int, str]) -> AsyncIterator[str]:
    yield csv_text([COLUMNS])
    last: Record | None = None
    while True:
        async with edge.read() as tx:
            page = await RecordReader(tx, user_id).list(wanted, limit=PAGE, before=last)
            charges = [record for record in page if record.price_version is not None]
            names = await _names(tx, charges)
        if charges:
            yield csv_text(_row(record, names.get(record.vm_id), currencies) for record in charges)
        if len(page) < PAGE:
            return
        last = page[-1]


async def _currencies(tx: Transaction) -> dict[int, str]:
    rows = await tx.execute(sa.select(price_lists.c.version, price_lists.c.currency))
    return {row.version: row.currency for row in rows.all()}


async def _names(tx: Transaction, records: Sequence[Record]) -> dict[UUID | None, Any]:
    wanted = {record.vm_id for record in records if record.vm_id is not None}
    if not wanted:
        return {}
    rows = await tx.execute(_NAMES.where(vms.c.id.in_(sorted(wanted))))
    return {row.id: row for row in rows.all()}


def _row(record: Record, resource: Any, currencies: Mapping[int, str]) -> list[object]:
    assert record.price_version is not None, "a charge names its price"
    cost = format_credits(-record.amount)
    month = month_of(record.created_at)
    start, end = _period(record)
    filled = {
        **_quantities(record),
        "BilledCost": cost,
        "BillingAccountId": record.user_id,
        "BillingCurrency": currencies[record.price_version],
        "BillingPeriodEnd": month_after(month),
        "BillingPeriodStart": month,
        "ChargeDescription": record.description,
        "ChargePeriodEnd": end,
        "ChargePeriodStart": start,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": _PROVIDER,
        "ListCost": format_credits(-record.list_amount),
        "PricingCategory": "Standard",
        "ProviderName": _PROVIDER,
        "PublisherName": _PROVIDER,
        "ResourceId": record.vm_id,
        "ResourceName": None if resource is None else resource.name,
        **_service(record),
        "SubAccountId": record.project_id,
        "SubAccountName": None if resource is None else resource.project,
        "Tags": json.dumps({} if resource is None else dict(resource.labels), sort_keys=True),
    }
    filled |= {old: filled[new] for old, new in _OLD_NAMES.items()}
    return [_cell(filled.get(name)) for name in COLUMNS]


def _quantities(record: Record) -> dict[str, object]:
    """Return what the price is multiplied with: hours, or one piece."""
    if record.rate_micros_per_hour is None:
        price = format_credits(-record.amount)
        return {
            "ChargeCategory": "Purchase",
            "ChargeFrequency": "One-Time",
            "ContractedUnitPrice": price,
            "ListUnitPrice": price,
            "PricingQuantity": 1,
            "PricingUnit": "Units",
        }
    many = record.quantity or 1
    used = (Decimal(record.seconds) * many / SECONDS_PER_HOUR).quantize(_HOURS)
    listed = Decimal(record.list_rate_micros_per_hour or 0) / many / MICROS_PER_CREDIT
    unit = "GiB-Hours" if record.unit == PriceUnit.GIB_HOUR else "Hours"
    return {
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": used,
        "ConsumedUnit": unit,
        "ContractedUnitPrice": (Decimal(record.rate_micros_per_hour) / many / MICROS_PER_CREDIT).quantize(_HOURS),
        "ListUnitPrice": listed,
        "PricingQuantity": used,
        "PricingUnit": unit,
    }


def _service(record: Record) -> dict[str, object]:
    """Return what kind of thing is charged for."""
    resource, category, service = _SERVICES.get(record.meter or COMPUTE, _SERVICES[COMPUTE])
    item = record.resource_type if record.meter is None or record.meter == COMPUTE else record.meter
    return {
        "ResourceType": resource,
        "ServiceCategory": category,
        "ServiceName": service,
        "SkuId": item,
        "SkuPriceId": f"{item}/{record.action_type}/{record.price_version}",
    }


def _period(record: Record) -> tuple[datetime, datetime]:
    if record.period_start is not None and record.period_end is not None:
        return record.period_start, record.period_end
    start = record.created_at.replace(microsecond=0)
    return start, start + _INSTANT


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return instant_text(value)
    return format(value, "f") if isinstance(value, Decimal) else value
