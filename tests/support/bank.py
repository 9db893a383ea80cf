"""R10: somebody who reads the whole bank again and again while it is used, and while processes are killed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from zentry.platform.db import Database
from zentry.schema.accounts import users
from zentry.schema.billing import holds, ledger_entries

_BETWEEN_SECONDS: Final = 0.05
_BALANCES: Final = sa.select(
    sa.func.coalesce(sa.func.sum(users.c.credits), 0).label("credits"),
    sa.func.coalesce(sa.func.sum(users.c.held), 0).label("held"),
    sa.func.coalesce(sa.func.sum(users.c.total_spent), 0).label("spent"),
    sa.func.coalesce(sa.func.min(users.c.credits - users.c.held), 0).label("least"),
)
_MOVES: Final = sa.select(
    ledger_entries.c.debit, ledger_entries.c.credit, sa.func.sum(ledger_entries.c.amount).label("amount")
).group_by(ledger_entries.c.debit, ledger_entries.c.credit)
_HOLDS: Final = sa.select(sa.func.coalesce(sa.func.sum(holds.c.remaining), 0))


@dataclass
class BankReader:
    """Adds up every account, every entry and every hold of one instant."""

    database: Database
    reads: int = 0
    unbalanced: list[str] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until told to stop, and once more."""
        while not stop.is_set():
            await self.read()
            await asyncio.sleep(_BETWEEN_SECONDS)
        await self.read()

    async def read(self) -> None:
        """Read once, and note what does not balance."""
        books: defaultdict[str, int] = defaultdict(int)
        async with self.database.snapshot() as tx:
            row = (await tx.execute(_BALANCES)).one()
            for move in (await tx.execute(_MOVES)).all():
                books[move.debit] -= int(move.amount)
                books[move.credit] += int(move.amount)
            held = int((await tx.execute(_HOLDS)).scalar_one())
        told = (int(row.credits), int(row.held), int(row.spent), int(row.held))
        made = (books["available"] + books["held"], books["held"], books["revenue"], held)
        self.reads += 1
        if told != made or row.least < 0:
            self.unbalanced.append(f"read {self.reads}: accounts say {told}, entries and holds {made}, {row.least}")
