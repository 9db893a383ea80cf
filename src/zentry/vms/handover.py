"""What a project holds, in the hands of another account.

Rows are locked in the order of everything else: accounts, operations, machines, counters. While an
operation is under way nothing changes hands: whoever drives it has read who pays.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from zentry.billing.handover import Handover
from zentry.operations.errors import VMBusy
from zentry.operations.queue import OperationQueue
from zentry.platform.db import Transaction
from zentry.platform.settings import Settings
from zentry.projects.quotas import Quotas
from zentry.schema.vms import snapshots, vm_labels, vms


async def hand_over(tx: Transaction, settings: Settings, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
    """Give everything of a project to another account; return how many machines go on at the taker's expense.

    Raises `VMBusy`, `InsufficientCredits` or `QuotaExceeded`; the caller's transaction is void then.
    """
    queue = OperationQueue(tx)
    await queue.hand_over(project_id, to=taker_id)
    of_project = vms.c.project_id == project_id
    await tx.execute(sa.update(vms).where(of_project).values(user_id=taker_id, updated_at=tx.now))
    busy = await queue.find_active_in_project(project_id)
    if busy is not None:
        raise VMBusy(busy)
    labelled = sa.select(vms.c.id).where(of_project)
    await tx.execute(sa.update(vm_labels).where(vm_labels.c.vm_id.in_(labelled)).values(user_id=taker_id))
    await tx.execute(sa.update(snapshots).where(snapshots.c.project_id == project_id).values(user_id=taker_id))
    moved = await Handover(tx, settings.billing).move(project_id, giver_id=giver_id, taker_id=taker_id)
    quotas = Quotas(tx)
    used = {quota.resource: quota.used for quota in await quotas.list(project_id)}
    await quotas.take_all((taker_id,), {**used, "projects": 1})
    await quotas.give_back_all((giver_id,), {**used, "projects": 1})
    return moved


async def get_required(tx: Transaction, settings: Settings, *, project_id: UUID, giver_id: UUID, taker_id: UUID) -> int:
    """Return the credit that whoever takes the project must have, in micro-credits."""
    return await Handover(tx, settings.billing).get_required(project_id, giver_id=giver_id, taker_id=taker_id)
