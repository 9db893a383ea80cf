"""What must hold in the database at every instant, recomputed from nothing but its rows."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.ledger import entry_hash
from zentry.platform.db import Database, Transaction
from zentry.platform.money import cumulated_cost
from zentry.schema.accounts import users
from zentry.schema.billing import billing_records, daily_spend, holds, ledger_entries, resource_costs, segments
from zentry.schema.operations import operations
from zentry.schema.projects import projects, quotas
from zentry.schema.vms import ip_leases, snapshots, vm_labels, vms


async def broken_invariants(database: Database) -> list[str]:
    """Return a sentence for each rule that does not hold; an empty list is what we want."""
    async with database.snapshot() as tx:
        return [
            *await _ledger(tx),
            *await _holds(tx),
            *await _segments(tx),
            *await _machines(tx),
            *await _snapshots(tx),
            *await _quotas(tx),
        ]


async def _rows(tx: Transaction, query: sa.Select[Any]) -> list[Any]:
    return list((await tx.execute(query)).all())


async def _ledger(tx: Transaction) -> list[str]:
    broken = []
    balances: dict[UUID, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    heads: dict[UUID, tuple[int, str]] = {}
    for entry in await _rows(
        tx, sa.select(ledger_entries).order_by(ledger_entries.c.user_id, ledger_entries.c.position)
    ):
        balances[entry.user_id][entry.debit] -= entry.amount
        balances[entry.user_id][entry.credit] += entry.amount
        position, head = heads.get(entry.user_id, (0, ""))
        expected = entry_hash(
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
    lines: dict[UUID, list[Any]] = defaultdict(list)
    for line in await _rows(tx, sa.select(billing_records)):
        lines[line.user_id].append(line)
    days = {
        row.user_id: row.spent
        for row in await _rows(
            tx,
            sa.select(daily_spend.c.user_id, sa.func.sum(daily_spend.c.micros).label("spent")).group_by(
                daily_spend.c.user_id
            ),
        )
    }
    for user in await _rows(tx, sa.select(users)):
        accounts = balances[user.id]
        facts = {
            "credits": (user.credits, accounts["available"] + accounts["held"]),
            "held": (user.held, accounts["held"]),
            "total_spent": (user.total_spent, accounts["revenue"]),
            "lines' sum": (user.credits, sum(line.amount for line in lines[user.id])),
            "number of lines": (user.billing_line_count, len(lines[user.id])),
            "days' sum": (user.total_spent, int(days.get(user.id, 0))),
            "head": ((user.ledger_position, user.ledger_head), heads.get(user.id, (0, ""))),
            "sum of the books": (0, sum(accounts.values())),
        }
        broken += [f"{name} of {user.id}: {one} is not {other}" for name, (one, other) in facts.items() if one != other]
    return broken


async def _holds(tx: Transaction) -> list[str]:
    held: defaultdict[UUID, int] = defaultdict(int)
    for hold in await _rows(tx, sa.select(holds)):
        held[hold.user_id] += hold.remaining
    return [
        f"holds of {user.id} sum to {held[user.id]}, held is {user.held}"
        for user in await _rows(tx, sa.select(users))
        if held[user.id] != user.held
    ]


async def _segments(tx: Transaction) -> list[str]:
    broken = []
    costs: defaultdict[UUID, int] = defaultdict(int)
    last_end: dict[UUID, Any] = {}
    rows = await _rows(tx, sa.select(segments).order_by(segments.c.resource_id, segments.c.started_at, segments.c.id))
    charged: defaultdict[UUID, int] = defaultdict(int)
    for line in await _rows(tx, sa.select(billing_records)):
        if line.segment_id is not None:
            charged[line.segment_id] -= line.amount
        if line.vm_id is not None:
            costs[line.vm_id] -= line.amount
    for segment in rows:
        seconds = int((segment.charged_until - segment.started_at).total_seconds())
        cost = cumulated_cost(rate_micros_per_hour=segment.rate_micros_per_hour, elapsed_seconds=seconds)
        if segment.charged_micros != cost or charged[segment.id] != cost:
            broken.append(
                f"segment {segment.id} charged {segment.charged_micros}, lines {charged[segment.id]}, not {cost}"
            )
        if segment.ended_at is not None and segment.charged_until != segment.ended_at:
            broken.append(f"segment {segment.id} ended at {segment.ended_at}, charged until {segment.charged_until}")
        before = last_end.get(segment.resource_id)
        if before is not None and segment.started_at < before:
            broken.append(f"segment {segment.id} overlaps the one before it")
        last_end[segment.resource_id] = segment.ended_at
    wrong = [row for row in await _rows(tx, sa.select(resource_costs)) if row.charged_micros != costs[row.resource_id]]
    return broken + [
        f"costs of {row.resource_id}: {row.charged_micros} is not {costs[row.resource_id]}" for row in wrong
    ]


async def _machines(tx: Transaction) -> list[str]:
    broken = []
    open_segments = {
        row.resource_id for row in await _rows(tx, sa.select(segments).where(segments.c.ended_at.is_(None)))
    }
    leases = {row.vm_id: row.address for row in await _rows(tx, sa.select(ip_leases))}
    busy = {
        row.vm_id
        for row in await _rows(tx, sa.select(operations).where(operations.c.status.in_(("pending", "running"))))
    }
    labels: defaultdict[UUID, dict[str, str]] = defaultdict(dict)
    for label in await _rows(tx, sa.select(vm_labels)):
        labels[label.vm_id][label.key] = label.value
    for vm in await _rows(tx, sa.select(vms)):
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
        if vm.status == "creating":
            broken.append(f"VM {vm.id} is stuck in creating")
    return broken


async def _snapshots(tx: Transaction) -> list[str]:
    busy = sa.select(operations.c.vm_id).where(operations.c.status.in_(("pending", "running")))
    stuck = sa.select(snapshots).where(snapshots.c.status.in_(("creating", "deleting")), snapshots.c.vm_id.not_in(busy))
    return [f"snapshot {snapshot.id} is stuck in {snapshot.status}" for snapshot in await _rows(tx, stuck)]


async def _quotas(tx: Transaction) -> list[str]:
    used: defaultdict[tuple[UUID, str], int] = defaultdict(int)
    for vm in await _rows(tx, sa.select(vms).where(vms.c.status != "terminated")):
        for owner in (vm.user_id, vm.project_id):
            used[owner, "vms"] += 1
            used[owner, "vcpus"] += vm.vcpus + vm.extra_vcpus
            used[owner, "memory_mib"] += vm.memory_mib + vm.extra_memory_mib
            used[owner, "disk_gib"] += vm.disk_gib + vm.extra_disk_gib
    for snapshot in await _rows(tx, sa.select(snapshots).where(snapshots.c.status != "deleted")):
        used[snapshot.user_id, "snapshots"] += 1
        used[snapshot.project_id, "snapshots"] += 1
    for project in await _rows(tx, sa.select(projects).where(projects.c.deleted_at.is_(None))):
        used[project.user_id, "projects"] += 1
    return [
        f"quota {quota.resource} of {quota.owner_id} is {quota.used}, not {used[quota.owner_id, quota.resource]}"
        for quota in await _rows(tx, sa.select(quotas))
        if quota.used != used[quota.owner_id, quota.resource]
    ]
