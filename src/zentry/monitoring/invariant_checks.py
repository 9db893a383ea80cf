"""The last recomputation of what must always hold, and who makes the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from zentry.monitoring.types import InvariantCheck
from zentry.platform.db import Transaction
from zentry.schema.monitoring import invariant_checks

_LAST: Final = sa.select(invariant_checks).where(invariant_checks.c.checked_at.is_not(None))
_MOST_EXAMPLES: Final = 20
_LONGEST_EXAMPLE: Final = 300


async def find_last_check(tx: Transaction) -> InvariantCheck | None:
    """Return what the last check found; None before the first one."""
    row = (await tx.execute(_LAST)).first()
    return None if row is None else InvariantCheck(row.checked_at, row.violations, row.examples, row.looked_at)


async def begin_check(tx: Transaction, *, lease: timedelta) -> bool:
    """Take the check that is due; False when none is, or another process has it. Should we die, it is due again."""
    taken = await tx.execute(
        sa.update(invariant_checks).where(invariant_checks.c.due_at <= tx.now).values(due_at=tx.now + lease)
    )
    return taken.rowcount == 1


async def record_check(tx: Transaction, violations: Sequence[str], *, looked_at: str, next_in: timedelta) -> None:
    """Keep what a check found."""
    await tx.execute(
        sa.update(invariant_checks).values(
            checked_at=tx.now,
            due_at=tx.now + next_in,
            violations=len(violations),
            examples=[text[:_LONGEST_EXAMPLE] for text in violations[:_MOST_EXAMPLES]],
            looked_at=looked_at,
        )
    )
