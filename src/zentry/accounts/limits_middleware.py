"""Counts every request before any router, and tells the client where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from zentry.accounts.addresses import Network, client_address, network_of
from zentry.accounts.limits import DECISION_KEY, MemoryLimiter
from zentry.accounts.windows import Decision
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.errors import ZentryError
from zentry.platform.settings import LimitSettings

READ_METHODS: Final = frozenset({"GET", "HEAD"})
WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CONFLICT: Final = 409

RenderError = Callable[[Any, ZentryError], tuple[int, list[tuple[bytes, bytes]], bytes]]


@dataclass(frozen=True, slots=True)
class _Counted:
    decision: Decision
    limiter: MemoryLimiter
    key: object


class RateLimitMiddleware:
    """Limits reads per token, attempts to change something per account, and all others per network.

    It stands inside the authentication middleware and knows one process. A conflict counts for nothing:
    whoever retries until a name is free or a machine has come to rest does no harm.
    """

    def __init__(
        self,
        app: Any,
        *,
        settings: LimitSettings,
        clock: Clock,
        trusted_proxies: Sequence[Network],
        render_error: RenderError,
    ) -> None:
        self._app = app
        self._clock = clock
        self._trusted_proxies = tuple(trusted_proxies)
        self._reads = MemoryLimiter("reads", per_minute=settings.reads_per_minute, clock=clock)
        self._writes = MemoryLimiter("writes", per_minute=settings.writes_per_minute, clock=clock)
        self._anonymous = MemoryLimiter("anonymous", per_minute=settings.anonymous_per_minute, clock=clock)
        self._render_error = render_error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count the request, then pass it on with its figures or refuse it."""
        counted = self._count(scope) if scope["type"] == "http" else None
        if counted is None:
            await self._app(scope, receive, send)
        elif counted.decision.is_admitted:
            await self._app(scope, receive, self._telling(scope, send, counted))
        else:
            refusal = counted.decision.refusal(self._clock.now())
            status, headers, body = self._render_error(scope, refusal)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _count(self, scope: Any) -> _Counted | None:
        limiter, key = self._limit_of(scope)
        decision = None if limiter is None else limiter.admit(key)
        return None if limiter is None or decision is None else _Counted(decision, limiter, key)

    def _limit_of(self, scope: Any) -> tuple[MemoryLimiter | None, object]:
        caller = scope.get("zentry.caller")
        if not isinstance(caller, Caller):
            return self._anonymous, network_of(client_address(scope, self._trusted_proxies))
        if scope["method"] in READ_METHODS:
            return self._reads, caller.session_id
        if scope["method"] in WRITE_METHODS:
            return self._writes, caller.user_id
        return None, None

    def _telling(self, scope: Any, send: Any, counted: _Counted) -> Any:
        async def wrapped(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = message.get("headers", ())
                told: Decision = scope.get(DECISION_KEY, counted.decision)
                if message["status"] == _CONFLICT:
                    counted.limiter.give_back(counted.key)
                    told = replace(told, remaining=told.remaining + 1)
                if not any(name.lower() == b"ratelimit" for name, _ in present):
                    extra = [(name.lower().encode(), text.encode()) for name, text in self._headers(told)]
                    message = {**message, "headers": [*present, *extra]}
            await send(message)

        return wrapped

    def _headers(self, decision: Decision) -> Sequence[tuple[str, str]]:
        return tuple(decision.headers(self._clock.now()).items())
