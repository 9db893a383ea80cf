"""Rate limits by GCRA: one instant per key says how far its requests have run ahead.

A request moves the key's theoretical arrival time on by 60 s / limit, and is refused when that
would put it more than a minute ahead of now. Sign-in is counted in the database, because the limit
must hold across processes and restarts. Ordinary reads and writes are counted in memory: there a
limit protects the process itself, and a round trip for each request would cost more than it saves.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from zentry.accounts.errors import RateLimited
from zentry.accounts.upserts import insert_into
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.db.types import Instant
from zentry.platform.errors import ZentryError
from zentry.platform.settings import LimitSettings
from zentry.schema.accounts import rate_limits

WINDOW: Final = timedelta(seconds=60)
_WINDOW_MS: Final = 60_000
READ_METHODS: Final = frozenset({"GET", "HEAD"})
WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

RenderError = Callable[[Any, ZentryError], tuple[int, list[tuple[bytes, bytes]], bytes]]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a limiter says about one request."""

    name: str
    quota: int
    is_admitted: bool
    remaining: int
    reset_seconds: int
    retry_after_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The fields that tell a client where it stands (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota};w={int(WINDOW.total_seconds())}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset_seconds}',
        }

    def refusal(self) -> RateLimited:
        """Return the error for a request that was not admitted."""
        return RateLimited(
            f"Too many requests. Try again in {self.retry_after_seconds} s.",
            retry_after_seconds=self.retry_after_seconds,
            headers=self.headers,
        )


class SigninLimiter:
    """Limits sign-ups and logins of one network, across processes."""

    def __init__(self, database: Database, settings: LimitSettings) -> None:
        self._database = database
        self._quota = settings.signin_per_minute

    async def admit(self, network: str) -> None:
        """Count one request and commit the count, or raise `RateLimited`."""
        if self._quota == 0:
            return
        async with self._database.work() as tx:
            decision = await self._decide(tx, f"signin:{network}")
        if not decision.is_admitted:
            raise decision.refusal()

    async def _decide(self, tx: Transaction, key: str) -> Decision:
        # Whole milliseconds, the finest that both databases compute alike; rounded so that a full quota fits.
        step = timedelta(milliseconds=max(1, _WINDOW_MS // self._quota))
        now = tx.now.replace(microsecond=tx.now.microsecond // 1000 * 1000)
        arrival = rate_limits.c.arrival_at
        from_now = sa.literal(now + step, Instant())
        statement = (
            insert_into(rate_limits, tx)
            .values(key=key, arrival_at=now + step)
            .on_conflict_do_update(
                index_elements=["key"],
                set_={"arrival_at": sa.case((arrival <= now, from_now), else_=_later(tx, arrival, step))},
                where=arrival <= now + WINDOW - step,
            )
        )
        counted = await tx.execute(statement)
        stands_at: datetime = (await tx.execute(sa.select(arrival).where(rate_limits.c.key == key))).scalar_one()
        return _decision("signin", self._quota, (stands_at - now).total_seconds(), is_admitted=counted.rowcount == 1)


class MemoryLimiter:
    """Limits requests of one process per key; forgets the keys that were quiet longest."""

    def __init__(self, name: str, *, per_minute: int, clock: Clock, capacity: int = 10_000) -> None:
        self._name = name
        self._quota = per_minute
        self._clock = clock
        self._capacity = capacity
        self._arrivals: OrderedDict[Any, float] = OrderedDict()

    def admit(self, key: Any) -> Decision | None:
        """Count one request; None when the limit is off."""
        if self._quota == 0:
            return None
        now = self._clock.monotonic()
        step = WINDOW.total_seconds() / self._quota
        arrival = max(self._arrivals.get(key, now), now) + step
        # Sums of fractions are not exact; a millionth of a second decides nothing.
        is_admitted = arrival - now <= WINDOW.total_seconds() + 1e-6
        if is_admitted:
            self._remember(key, arrival)
        else:
            arrival -= step
        return _decision(self._name, self._quota, arrival - now, is_admitted=is_admitted)

    def _remember(self, key: Any, arrival: float) -> None:
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self._capacity:
            self._arrivals.popitem(last=False)


class RateLimitMiddleware:
    """Limits reads per session and writes per account; stands inside the authentication middleware.

    Requests without a caller pass: sign-in has its own limit, and what else is public is cheap.
    """

    def __init__(self, app: Any, *, settings: LimitSettings, clock: Clock, render_error: RenderError) -> None:
        self._app = app
        self._reads = MemoryLimiter("reads", per_minute=settings.reads_per_minute, clock=clock)
        self._writes = MemoryLimiter("writes", per_minute=settings.writes_per_minute, clock=clock)
        self._render_error = render_error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count the request, then pass it on with its figures or refuse it."""
        decision = self._decide(scope)
        if decision is None:
            await self._app(scope, receive, send)
        elif decision.is_admitted:
            await self._app(scope, receive, _with_headers(send, decision))
        else:
            status, headers, body = self._render_error(scope, decision.refusal())
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _decide(self, scope: Any) -> Decision | None:
        caller = scope.get("zentry.caller")
        if scope["type"] != "http" or not isinstance(caller, Caller):
            return None
        if scope["method"] in READ_METHODS:
            return self._reads.admit(caller.session_id)
        if scope["method"] in WRITE_METHODS:
            return self._writes.admit(caller.user_id)
        return None


def _with_headers(send: Any, decision: Decision) -> Any:
    extra = [(name.lower().encode(), value.encode()) for name, value in decision.headers.items()]

    async def wrapped(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return wrapped


def _decision(name: str, quota: int, ahead_seconds: float, *, is_admitted: bool) -> Decision:
    """Return the decision for a key whose arrival time is so far ahead of now."""
    window = WINDOW.total_seconds()
    step = window / quota
    return Decision(
        name=name,
        quota=quota,
        is_admitted=is_admitted,
        remaining=max(0, int((window - ahead_seconds) / step + 1e-6)),
        reset_seconds=max(0, math.ceil(ahead_seconds)),
        retry_after_seconds=max(1, math.ceil(ahead_seconds + step - window)),
    )


def _later(tx: Transaction, instant: sa.ColumnElement[datetime], by: timedelta) -> sa.ColumnElement[Any]:
    """Return the instant moved on, computed by the database; SQLite does it in milliseconds."""
    if tx.dialect == "postgresql":
        return instant + sa.literal(by, sa.Interval)
    return sa.func.strftime("%Y-%m-%d %H:%M:%f", instant, f"+{by.total_seconds():.3f} seconds").concat("000")
