"""Charges in the columns of FOCUS 1.0, the FinOps Open Cost and Usage Specification.

One row is one line of the bill, all but those that are payments. So what was paid in less the sum of BilledCost is what
the balance has changed by. A discount lies between ListCost and the other costs, and between ListUnitPrice and
ContractedUnitPrice. What the specification has and a prepaid bill does not, such as commitment
discounts, is empty. The newest line comes first, as in the history.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import ExportTooLarge
from zentry.billing.explanations import refunded_by
from zentry.billing.exports import MOST_LINES, csv_text, instant_text
from zentry.billing.records import PAGE, Record, RecordReader
from zentry.billing.reports import BillingReports, LineFilter
from zentry.billing.statements import month_after, month_of
from zentry.billing.types import ADDRESS, COMPUTE, SNAPSHOT, STORAGE
from zentry.platform.db import Transaction
from zentry.platform.money import MICROS_PER_CREDIT, SECONDS_PER_HOUR, format_credits
from zentry.platform.web import Edge
from zentry.schema.billing import LedgerAccount, PriceUnit, price_lists
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

_CATEGORIES: Final = {LedgerAccount.GRANTS: "Credit", LedgerAccount.ADJUSTMENTS: "Adjustment"}
_OTHER: Final = {"ServiceCategory": "Other", "ServiceName": "Account"}

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


@dataclass(frozen=True, slots=True)
class _Given:
    """What a line is that is no charge: a gift and its end, or a correction; and which charge that corrects."""

    category: str
    refunded: Record | None


async def _rows(edge: Edge, user_id: UUID, wanted: LineFilter, currencies: _Currencies) -> AsyncIterator[str]:
    yield csv_text([COLUMNS])
    last: Record | None = None
    while True:
        async with edge.read() as tx:
            page = await RecordReader(tx, user_id).list(wanted, limit=PAGE, before=last)
            given = await _given(tx, user_id, [record for record in page if record.price_version is None])
            refunded = [one.refunded for one in given.values() if one.refunded is not None]
            names = await _names(tx, [*page, *refunded])
        rows = [
            _row(record, given.get(record.id), names, currencies)
            for record in page
            if record.price_version is not None or record.id in given
        ]
        if rows:
            yield csv_text(rows)
        if len(page) < PAGE:
            return
        last = page[-1]


async def _given(tx: Transaction, user_id: UUID, records: Sequence[Record]) -> dict[UUID, _Given]:
    """Return what those lines are that are neither charges nor payments, by what the books say of them."""
    reader = RecordReader(tx, user_id)
    entries = await reader.entries_behind([record.id for record in records])
    causes = {entry.id: refunded_by(entry.cause) for entry in entries}
    found = await reader.find_all([refunded for refunded in causes.values() if refunded is not None])
    refunded: dict[UUID | None, Record] = {record.id: record for record in found}
    return {
        entry.record_id: _Given(category, refunded.get(causes[entry.id]))
        for entry in entries
        for side, category in _CATEGORIES.items()
        if entry.record_id is not None and side in {entry.debit, entry.credit}
    }


@dataclass(frozen=True, slots=True)
class _Currencies:
    """The currencies of price lists: by version, and by the instant from which they hold."""

    by_version: Mapping[int, str]
    since: Sequence[tuple[datetime, str]]

    def of(self, record: Record) -> str:
        """Return that of the list which a line names, or of the one that held when it was written."""
        if record.price_version is not None:
            return self.by_version[record.price_version]
        held = [currency for effective_at, currency in self.since if effective_at <= record.created_at]
        return held[-1] if held else self.since[0][1]


async def _currencies(tx: Transaction) -> _Currencies:
    lists = price_lists.c
    query = sa.select(lists.version, lists.effective_at, lists.currency).order_by(lists.effective_at)
    rows = (await tx.execute(query)).all()
    return _Currencies({row.version: row.currency for row in rows}, [(row.effective_at, row.currency) for row in rows])


async def _names(tx: Transaction, records: Sequence[Record]) -> dict[UUID | None, Any]:
    wanted = {record.vm_id for record in records if record.vm_id is not None}
    if not wanted:
        return {}
    rows = await tx.execute(_NAMES.where(vms.c.id.in_(sorted(wanted))))
    return {row.id: row for row in rows.all()}


def _row(
    record: Record, given: _Given | None, names: Mapping[UUID | None, Any], currencies: _Currencies
) -> list[object]:
    cost = format_credits(-record.amount)
    month = month_of(record.created_at)
    filled = {
        "BilledCost": cost,
        "BillingAccountId": record.user_id,
        "BillingCurrency": currencies.of(record),
        "BillingPeriodEnd": month_after(month),
        "BillingPeriodStart": month,
        "ChargeDescription": record.description,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": _PROVIDER,
        "ListCost": format_credits(-record.list_amount),
        "ProviderName": _PROVIDER,
        "PublisherName": _PROVIDER,
        "Tags": "{}",
    }
    filled |= _correction(record, given, names) if given is not None else _charge(record, names)
    filled |= {old: filled.get(new) for old, new in _OLD_NAMES.items()}
    return [_cell(filled.get(name)) for name in COLUMNS]


def _charge(record: Record, names: Mapping[UUID | None, Any]) -> dict[str, object]:
    service = _service(record)
    item = record.resource_type if record.meter is None or record.meter == COMPUTE else record.meter
    return {
        **_quantities(record),
        **service,
        **_resource(record, names),
        "PricingCategory": "Standard",
        "SkuId": item,
        "SkuPriceId": f"{item}/{record.action_type}/{record.price_version}",
    }


def _correction(record: Record, given: _Given, names: Mapping[UUID | None, Any]) -> dict[str, object]:
    """Return what is neither used nor bought; a refund belongs to what it is for."""
    filled: dict[str, object] = {"ChargeCategory": given.category, "ChargeFrequency": "One-Time"}
    refunded = given.refunded
    if refunded is None:
        return filled | _OTHER | _period(record)
    if month_of(refunded.created_at) < month_of(record.created_at):
        filled["ChargeClass"] = "Correction"  # So the specification calls it only when that month is over.
    return filled | _service(refunded) | _resource(refunded, names)


def _resource(record: Record, names: Mapping[UUID | None, Any]) -> dict[str, object]:
    resource = names.get(record.vm_id)
    return {
        **_period(record),
        "ResourceId": record.vm_id,
        "ResourceName": None if resource is None else resource.name,
        "SubAccountId": record.project_id,
        "SubAccountName": None if resource is None else resource.project,
        "Tags": json.dumps({} if resource is None else dict(resource.labels), sort_keys=True),
    }


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
    return {"ResourceType": resource, "ServiceCategory": category, "ServiceName": service}


def _period(record: Record) -> dict[str, object]:
    start, end = record.period_start, record.period_end
    if start is None or end is None:
        start = record.created_at.replace(microsecond=0)
        end = start + _INSTANT
    return {"ChargePeriodEnd": end, "ChargePeriodStart": start}


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return instant_text(value)
    return format(value, "f") if isinstance(value, Decimal) else value
