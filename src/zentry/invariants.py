"""What must hold in the database at every instant, recomputed from nothing but its rows.

Tests ask after everything they do, simulations once per simulated day.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.ledger import entry_hash as ledger_hash
from zentry.events.chain import HASHED, entry_hash
from zentry.platform.db import Database, Transaction
from zentry.platform.money import cumulated_cost
from zentry.schema.accounts import users
from zentry.schema.billing import (
    billing_records,
    budgets,
    daily_spend,
    holds,
    ledger_entries,
    resource_costs,
    segments,
    statements,
)
from zentry.schema.events import event_head, event_log, event_queue, events
from zentry.schema.operations import operations
from zentry.schema.projects import projects, quotas
from zentry.schema.vms import ip_leases, snapshots, vm_labels, vms

_ENTRIES: Final = sa.select(ledger_entries).order_by(ledger_entries.c.user_id, ledger_entries.c.position)
_MOVED: Final = {
    side.name: sa.select(ledger_entries.c.user_id, side, sa.func.sum(ledger_entries.c.amount)).group_by(
        ledger_entries.c.user_id, side
    )
    for side in (ledger_entries.c.debit, ledger_entries.c.credit)
}
_HELD: Final = sa.select(users.c.id, users.c.held)
_METERED: Final = sa.select(segments).where(segments.c.ended_at.is_(None))
_UNDER_WAY: Final = sa.select(operations).where(operations.c.status.in_(("pending", "running")))
_STUCK_SNAPSHOTS: Final = sa.select(snapshots).where(
    snapshots.c.status.in_(("creating", "deleting")),
    snapshots.c.vm_id.not_in(_UNDER_WAY.with_only_columns(operations.c.vm_id)),
)
_COUNTED_VMS: Final = sa.select(vms).where(vms.c.status != "terminated")
_COUNTED_SNAPSHOTS: Final = sa.select(snapshots).where(snapshots.c.status != "deleted")
_COUNTED_PROJECTS: Final = sa.select(projects).where(projects.c.deleted_at.is_(None))
_STATEMENTS: Final = sa.select(statements).order_by(statements.c.user_id, statements.c.number)
_LOG: Final = (
    sa.select(event_log.c.position, event_log.c.hash, *HASHED)
    .join(events, events.c.id == event_log.c.event_id)
    .where(event_log.c.position > sa.bindparam("followed"))
    .order_by(event_log.c.position)
)
_BUDGETS: Final = sa.select(budgets).where(budgets.c.label_key.is_(None))
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Checkpoint:
    """How far the chains of the ledgers have been followed, so that the next check follows the rest only.

    For one process on virtual time: there no entry comes to light that is older than the last check.
    """

    at: datetime | None = None
    heads: dict[UUID, tuple[int, str]] = field(default_factory=dict)
    log: tuple[int, str] | None = None
    """How far the event log was followed: a position and its hash."""


async def broken_invariants(database: Database, checkpoint: Checkpoint | None = None) -> list[str]:
    """Return a sentence for each rule that does not hold; an empty list is what we want.

    With a checkpoint, hashes that were followed before are not computed again, and it is moved on.
    """
    async with database.snapshot() as tx:
        return [
            *await _ledger(tx, checkpoint or Checkpoint()),
            *await _holds(tx),
            *await _segments(tx),
            *await _machines(tx),
            *await _snapshots(tx),
            *await _quotas(tx),
            *await _statements(tx),
            *await _log(tx, checkpoint or Checkpoint()),
            *await _budgets(tx),
        ]


async def _rows(tx: Transaction, query: sa.Select[Any]) -> list[Any]:
    return list((await tx.execute(query)).all())


async def _sums(tx: Transaction, key: sa.Column[Any], amount: sa.Column[int]) -> dict[Any, tuple[int, int]]:
    """Return the sum of an amount and the number of rows, by a key."""
    return {row[0]: (int(row[1]), row[2]) for row in await _rows(tx, _summing(key, amount))}


# Built once: a simulation checks small books so often that to build them would cost more than to run them.
@cache
def _summing(key: sa.Column[Any], amount: sa.Column[int]) -> sa.Select[Any]:
    return sa.select(key, sa.func.sum(amount), sa.func.count()).where(key.is_not(None)).group_by(key)


@cache
def _whole(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table)


@cache
def _counting(table: sa.Table) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(table)


async def _balances(tx: Transaction) -> dict[UUID, defaultdict[str, int]]:
    balances: dict[UUID, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    entries = ledger_entries.c
    for side, sign in ((entries.debit, -1), (entries.credit, 1)):
        for user_id, account, amount in await _rows(tx, _MOVED[side.name]):
            balances[user_id][account] += sign * int(amount)
    return balances


async def _chains(tx: Transaction, checkpoint: Checkpoint) -> list[str]:
    """Follow each ledger from the checkpoint on: positions without a gap, each hash over the one before."""
    broken = []
    heads = checkpoint.heads
    since, checkpoint.at = checkpoint.at, tx.now
    for entry in await _rows(tx, _ENTRIES if since is None else _ENTRIES.where(ledger_entries.c.created_at >= since)):
        position, head = heads.get(entry.user_id, (0, ""))
        if entry.created_at == since and entry.position <= position:
            continue  # Of the checkpoint's own instant, and followed by then.
        expected = ledger_hash(
            previous=head,
            user_id=entry.user_id,
            position=position + 1,
            debit=entry.debit,
            credit=entry.credit,
            amount=entry.amount,
            cause=entry.cause,
            created_at=entry.created_at,
        )
        if (entry.position, entry.hash) != (position + 1, expected):
            broken.append(f"entry {entry.position} of {entry.user_id} does not follow from the one before it")
        heads[entry.user_id] = (entry.position, entry.hash)
    return broken


async def _ledger(tx: Transaction, checkpoint: Checkpoint) -> list[str]:
    broken = await _chains(tx, checkpoint)
    balances = await _balances(tx)
    lines = await _sums(tx, billing_records.c.user_id, billing_records.c.amount)
    days = await _sums(tx, daily_spend.c.user_id, daily_spend.c.micros)
    nothing = (0, 0)
    for user in await _rows(tx, _whole(users)):
        accounts = balances[user.id]
        facts = {
            "credits": (user.credits, accounts["available"] + accounts["held"]),
            "held": (user.held, accounts["held"]),
            "total_spent": (user.total_spent, accounts["revenue"]),
            "lines' sum": (user.credits, lines.get(user.id, nothing)[0]),
            "number of lines": (user.billing_line_count, lines.get(user.id, nothing)[1]),
            "days' sum": (user.total_spent, days.get(user.id, nothing)[0]),
            "head": ((user.ledger_position, user.ledger_head), checkpoint.heads.get(user.id, (0, ""))),
            "sum of the books": (0, sum(accounts.values())),
        }
        broken += [f"{name} of {user.id}: {one} is not {other}" for name, (one, other) in facts.items() if one != other]
    return broken


async def _holds(tx: Transaction) -> list[str]:
    held = await _sums(tx, holds.c.user_id, holds.c.remaining)
    return [
        f"holds of {user.id} sum to {held.get(user.id, (0, 0))[0]}, held is {user.held}"
        for user in await _rows(tx, _HELD)
        if held.get(user.id, (0, 0))[0] != user.held
    ]


def _interval(segment: Any) -> tuple[UUID, str, datetime, datetime]:
    # Several may begin in one second; all but the last of them end in it as well.
    return segment.resource_id, segment.meter, segment.started_at, segment.ended_at or _FOREVER


async def _segments(tx: Transaction) -> list[str]:
    broken = []
    last_end: dict[tuple[UUID, str], Any] = {}
    rows = await _rows(tx, _whole(segments))
    charged = await _sums(tx, billing_records.c.segment_id, billing_records.c.amount)
    costs = await _sums(tx, billing_records.c.vm_id, billing_records.c.amount)
    for segment in sorted(rows, key=_interval):
        seconds = int((segment.charged_until - segment.started_at).total_seconds())
        cost = cumulated_cost(rate_micros_per_hour=segment.rate_micros_per_hour, elapsed_seconds=seconds)
        in_lines = -charged.get(segment.id, (0, 0))[0]
        if segment.charged_micros != cost or in_lines != cost:
            broken.append(f"segment {segment.id} charged {segment.charged_micros}, lines {in_lines}, not {cost}")
        if segment.ended_at is not None and segment.charged_until != segment.ended_at:
            broken.append(f"segment {segment.id} ended at {segment.ended_at}, charged until {segment.charged_until}")
        place = (segment.resource_id, segment.meter)
        before = last_end.get(place)
        if before is not None and segment.started_at < before:
            broken.append(f"segment {segment.id} overlaps the one before it")
        last_end[place] = segment.ended_at
    for row in await _rows(tx, _whole(resource_costs)):
        in_lines = -costs.get(row.resource_id, (0, 0))[0]
        if row.charged_micros != in_lines:
            broken.append(f"costs of {row.resource_id}: {row.charged_micros} is not {in_lines}")
    return broken


async def _machines(tx: Transaction) -> list[str]:
    broken = []
    metered = await _rows(tx, _METERED)
    open_segments = {row.resource_id for row in metered if row.meter == "compute"}
    kept = {row.resource_id for row in metered if row.meter in {"storage", "address"}}
    leases = {row.vm_id: row.address for row in await _rows(tx, _whole(ip_leases))}
    busy = {row.vm_id for row in await _rows(tx, _UNDER_WAY)}
    labels: defaultdict[UUID, dict[str, str]] = defaultdict(dict)
    for label in await _rows(tx, _whole(vm_labels)):
        labels[label.vm_id][label.key] = label.value
    for vm in await _rows(tx, _whole(vms)):
        if vm.labels != labels[vm.id]:
            broken.append(f"VM {vm.id} shows {vm.labels} and is found by {labels[vm.id]}")
        if leases.get(vm.id) != vm.ip_address:
            broken.append(f"VM {vm.id} shows {vm.ip_address} and leases {leases.get(vm.id)}")
        if vm.id in busy:
            continue
        if vm.extra_vcpus or vm.extra_memory_mib or vm.extra_disk_gib:
            broken.append(f"VM {vm.id} counts beyond its size and nothing is under way")
        if (vm.status == "running") != (vm.id in open_segments):
            broken.append(f"VM {vm.id} is {vm.status} and {'is' if vm.id in open_segments else 'is not'} metered")
        if vm.id in kept and vm.status in {"running", "terminated"}:
            broken.append(f"VM {vm.id} is {vm.status} and is metered as if it stood still")
        if vm.status == "creating":
            broken.append(f"VM {vm.id} is stuck in creating")
    return broken


async def _snapshots(tx: Transaction) -> list[str]:
    return [f"snapshot {snapshot.id} is stuck in {snapshot.status}" for snapshot in await _rows(tx, _STUCK_SNAPSHOTS)]


async def _quotas(tx: Transaction) -> list[str]:
    used: defaultdict[tuple[UUID, str], int] = defaultdict(int)
    for vm in await _rows(tx, _COUNTED_VMS):
        for owner in (vm.user_id, vm.project_id):
            used[owner, "vms"] += 1
            used[owner, "vcpus"] += vm.vcpus + vm.extra_vcpus
            used[owner, "memory_mib"] += vm.memory_mib + vm.extra_memory_mib
            used[owner, "disk_gib"] += vm.disk_gib + vm.extra_disk_gib
    for snapshot in await _rows(tx, _COUNTED_SNAPSHOTS):
        used[snapshot.user_id, "snapshots"] += 1
        used[snapshot.project_id, "snapshots"] += 1
    for project in await _rows(tx, _COUNTED_PROJECTS):
        used[project.user_id, "projects"] += 1
    return [
        f"quota {quota.resource} of {quota.owner_id} is {quota.used}, not {used[quota.owner_id, quota.resource]}"
        for quota in await _rows(tx, _whole(quotas))
        if quota.used != used[quota.owner_id, quota.resource]
    ]


async def _statements(tx: Transaction) -> list[str]:
    """Follow each account's statements: numbers and entries without a gap, figures that the entries make."""
    broken = []
    before: dict[UUID, Any] = {}
    for one in await _rows(tx, _STATEMENTS):
        last = before.get(one.user_id)
        follows = (1, 1, 0) if last is None else (last.number + 1, last.last_position + 1, last.closing_micros)
        if (one.number, one.first_position, one.opening_micros) != follows:
            broken.append(f"statement {one.number} of {one.user_id} does not follow from the one before it")
        stretch = (
            ledger_entries.c.user_id == one.user_id,
            ledger_entries.c.position.between(one.first_position, one.last_position),
        )
        lines = sa.select(ledger_entries.c.record_id).where(*stretch, ledger_entries.c.record_id.is_not(None))
        query = sa.select(sa.func.coalesce(sa.func.sum(billing_records.c.amount), 0), sa.func.count()).where(
            billing_records.c.id.in_(lines)
        )
        change, count = next(iter(await _rows(tx, query)))
        if (one.closing_micros - one.opening_micros, one.line_count) != (int(change), count):
            broken.append(f"statement {one.number} of {one.user_id} is not the sum of its lines, {change}")
        before[one.user_id] = one
    return broken


async def _log(tx: Transaction, checkpoint: Checkpoint) -> list[str]:
    """Follow the event log: positions without a gap, each hash over the one before, and no event outside of it."""
    head = (await tx.execute(_whole(event_head))).one()
    position, previous = checkpoint.log or (head.kept_from - 1, head.anchor)
    broken = []
    for entry in (await tx.execute(_LOG, {"followed": position})).all():
        position += 1
        if entry.position != position or entry.hash != entry_hash(previous, position, entry):
            broken.append(f"position {entry.position} of the event log does not follow from the one before it")
            position = entry.position
        previous = entry.hash
    if (position, previous) != (head.position, head.hash):
        broken.append(f"the event log ends at {position}, not at {head.position}")
    checkpoint.log = (position, previous)
    counts = {}
    for table in (events, event_log, event_queue):
        counts[table.name] = (await tx.execute(_counting(table))).scalar_one()
    if counts["events"] != counts["event_log"] + counts["event_queue"]:
        broken.append(
            f"of {counts['events']} events {counts['event_log']} have a position and {counts['event_queue']} wait"
        )
    return broken


async def _budgets(tx: Transaction) -> list[str]:
    """Add up what each budget counts; labels come and go, so that only those without one can be compared."""
    broken = []
    for budget in await _rows(tx, _BUDGETS):
        query = sa.select(sa.func.coalesce(sa.func.sum(billing_records.c.amount), 0)).where(
            billing_records.c.user_id == budget.user_id,
            billing_records.c.created_at >= budget.period_start,
            billing_records.c.price_version.is_not(None),
        )
        if budget.project_id is not None:
            query = query.where(billing_records.c.project_id == budget.project_id)
        lines = -int(next(iter(await _rows(tx, query)))[0])
        if budget.spent_micros != lines:
            broken.append(f"budget {budget.id} counts {budget.spent_micros}, and its lines make {lines}")
    return broken
