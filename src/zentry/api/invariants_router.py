"""The route that recomputes what must always hold."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import ConfigDict, Field

from zentry.invariants import broken_invariants
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.errors import NotAllowed
from zentry.platform.web import AdminDep, raises
from zentry.platform.wire import ReadModel
from zentry.schema.billing import ledger_entries


class InvariantReport(ReadModel):
    """What was recomputed from the rows, and what does not hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"violations": [], "ledger_entries": 1042, "checked_at": "2026-01-31T12:00:00Z", "seconds": 0.031}
            ]
        }
    )

    violations: list[str] = Field(description="A sentence for each rule that is broken; empty is what we want.")
    ledger_entries: int = Field(description="Entries of the books that were looked at, at least.")
    checked_at: datetime
    seconds: float = Field(description="How long it took.")


def invariants_router(database: Database, clock: Clock) -> APIRouter:
    """Return the route on a database."""
    router = APIRouter(prefix="/admin", tags=["Administration"])

    @router.get("/invariants", summary="Recompute the books", responses=raises(NotAllowed))
    async def get_invariants(_admin: AdminDep) -> InvariantReport:
        """Recompute balances, holds, segments, quotas and states from the rows of one instant.

        It reads everything, so ask at quiet times where there is much. `zentry ledger verify` goes account
        by account instead, and says which entry was changed. Administrators only.
        """
        started = clock.monotonic()
        async with database.read() as tx:
            count = int((await tx.execute(sa.select(sa.func.count()).select_from(ledger_entries))).scalar_one())
        violations = await broken_invariants(database)
        return InvariantReport(
            violations=violations,
            ledger_entries=count,
            checked_at=clock.now(),
            seconds=round(clock.monotonic() - started, 3),
        )

    return router
