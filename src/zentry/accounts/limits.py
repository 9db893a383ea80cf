"""Rate limits: what must hold across processes is counted in the database, what is cheap in memory.

Sign-ups and sign-ins of a network and the changes of an account cost hashes, money and machines, so
their limits hold however many processes there are. A look costs little: there a limit protects the
process itself, and a round trip for each request would cost more than it saves.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from zentry.accounts.windows import WINDOW_SECONDS, Decision, RecentRequests, milliseconds
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.settings import LimitSettings
from zentry.schema.accounts import rate_limits

WINDOW: Final = timedelta(seconds=WINDOW_SECONDS)
DECISION_KEY: Final = "zentry.rate_limit"
"""Where a request carries the decision of a limit that holds across processes, for its answer to tell."""


# Built once: to build them costs more than to run them.
_LOCK: Final = sa.select(rate_limits.c.recent).where(rate_limits.c.key == sa.bindparam("row_key")).with_for_update()
_COUNT: Final = (
    sa.update(rate_limits)
    .where(rate_limits.c.key == sa.bindparam("row_key"))
    .values(recent=sa.bindparam("counted"), expires_at=sa.bindparam("until"))
)


class DatabaseLimiter:
    """Limits requests per key across processes. The row of a key is locked while one request is counted."""

    def __init__(self, name: str, *, per_minute: int) -> None:
        self._name = name
        self._quota = per_minute

    @property
    def is_on(self) -> bool:
        """Whether there is a limit at all."""
        return self._quota > 0

    async def count(self, tx: Transaction, key: str) -> Decision:
        """Count one request inside a transaction; what is refused changes nothing."""
        row_key = f"{self._name}:{key}"
        recent = await self._recent(tx, row_key)
        now_ms = milliseconds(tx.now)
        is_admitted = recent.take(now_ms, self._quota)
        if is_admitted:
            counted = {"row_key": row_key, "counted": recent.to_bytes(), "until": tx.now + WINDOW}
            await tx.execute(_COUNT, counted)
        return recent.decision(self._name, quota=self._quota, now_ms=now_ms, is_admitted=is_admitted)

    async def _recent(self, tx: Transaction, row_key: str) -> RecentRequests:
        raw = (await tx.execute(_LOCK, {"row_key": row_key})).scalar_one_or_none()
        if raw is None:
            fresh = {"key": row_key, "recent": b"", "expires_at": tx.now + WINDOW}
            await tx.insert_unless_there(rate_limits, fresh)
            # Another process may have been faster, and has counted.
            raw = (await tx.execute(_LOCK, {"row_key": row_key})).scalar_one()
        return RecentRequests.from_bytes(raw)


class AttemptLimiter:
    """Limits attempts, whether they succeed or not: each is counted before it is made."""

    def __init__(self, database: Database, name: str, *, per_minute: int) -> None:
        self._database = database
        self._limiter = DatabaseLimiter(name, per_minute=per_minute)

    async def admit(self, key: str) -> None:
        """Count one request and commit the count, or raise `RateLimited`."""
        if not self._limiter.is_on:
            return
        async with self._database.work() as tx:
            decision = await self._limiter.count(tx, key)
        if not decision.is_admitted:
            raise decision.refusal(tx.now)


class SigninLimiter(AttemptLimiter):
    """Limits sign-ups and sign-ins of one network."""

    def __init__(self, database: Database, settings: LimitSettings) -> None:
        super().__init__(database, "signin", per_minute=settings.signin_per_minute)


class VoucherLimiter(AttemptLimiter):
    """Limits how often one account tries the code of a voucher."""

    def __init__(self, database: Database, settings: LimitSettings) -> None:
        super().__init__(database, "vouchers", per_minute=settings.vouchers_per_minute)


class WriteLimiter:
    """Limits the changes of one account that take effect.

    It counts in the transaction of the change: one that is refused, such as a name that is taken,
    counts for nothing, and a repeat of an `Idempotency-Key` has no second effect to count.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._limiter = DatabaseLimiter("writes", per_minute=settings.writes_per_minute)

    async def count(self, scope: Any, caller: Caller, tx: Transaction) -> None:
        """Count one change and leave the figures for its answer, or raise `RateLimited`."""
        if not self._limiter.is_on:
            return
        decision = await self._limiter.count(tx, str(caller.user_id))
        if not decision.is_admitted:
            raise decision.refusal(tx.now)
        scope[DECISION_KEY] = decision


class MemoryLimiter:
    """Limits requests of one process per key; forgets the keys that were quiet longest."""

    def __init__(self, name: str, *, per_minute: int, clock: Clock, capacity: int = 10_000) -> None:
        self._name = name
        self._quota = per_minute
        self._clock = clock
        self._capacity = capacity
        self._recent: OrderedDict[Any, RecentRequests] = OrderedDict()

    def admit(self, key: Any) -> Decision | None:
        """Count one request; None when the limit is off."""
        if self._quota == 0:
            return None
        now_ms = int(self._clock.monotonic() * 1000)
        recent = self._recent.get(key)
        if recent is None:
            recent = self._remember(key)
        else:
            self._recent.move_to_end(key)
        is_admitted = recent.take(now_ms, self._quota)
        return recent.decision(self._name, quota=self._quota, now_ms=now_ms, is_admitted=is_admitted)

    def give_back(self, key: Any) -> None:
        """Count the newest request of a key no longer."""
        if key in self._recent:
            self._recent[key].give_back()

    def _remember(self, key: Any) -> RecentRequests:
        recent = self._recent[key] = RecentRequests()
        if len(self._recent) > self._capacity:
            self._recent.popitem(last=False)
        return recent
