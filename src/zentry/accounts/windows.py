"""A limit of so many requests in any minute, kept exactly.

A fixed window admits twice its limit around its edge, and GCRA its burst on top of its rate. Here each
request is remembered until it is a minute old, so that no minute, wherever it begins, holds more than
the limit, and whoever has been quiet may use all of it at once. Requests of one second share a cell,
which ages with the youngest of them: a key costs 61 cells at most, whatever its limit is.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from zentry.accounts.errors import RateLimited

WINDOW_SECONDS: Final = 60
_WINDOW_MS: Final = WINDOW_SECONDS * 1000
_CELL: Final = struct.Struct(">QI")


class RecentRequests:
    """When the requests of one key came, as far as they still count."""

    __slots__ = ("_cells", "_count")

    def __init__(self, cells: Iterable[tuple[int, int]] = ()) -> None:
        self._cells: deque[tuple[int, int]] = deque(cells)
        self._count = sum(count for _, count in self._cells)

    @classmethod
    def from_bytes(cls, raw: bytes) -> RecentRequests:
        """Return what was kept as bytes."""
        return cls(_CELL.iter_unpack(raw))

    def to_bytes(self) -> bytes:
        """Return what a column keeps."""
        return b"".join(_CELL.pack(*cell) for cell in self._cells)

    def take(self, now_ms: int, quota: int) -> bool:
        """Count one request of this instant, if there is room for it."""
        self._forget(now_ms)
        if self._count >= quota:
            return False
        self._count += 1
        if self._cells:
            latest, count = self._cells[-1]
            now_ms = max(now_ms, latest)  # A clock that was set back makes nothing younger.
            if latest // 1000 == now_ms // 1000:
                self._cells[-1] = (now_ms, count + 1)
                return True
        self._cells.append((now_ms, 1))
        return True

    def give_back(self) -> None:
        """Count the newest request no longer."""
        if not self._cells:
            return
        latest, count = self._cells.pop()
        self._count -= 1
        if count > 1:
            self._cells.append((latest, count - 1))

    def decision(self, name: str, *, quota: int, now_ms: int, is_admitted: bool) -> Decision:
        """Return what is to be said about the request that was just looked at."""
        first, last = (self._cells[0][0], self._cells[-1][0]) if self._cells else (now_ms, now_ms)
        return Decision(
            name=name,
            quota=quota,
            is_admitted=is_admitted,
            remaining=max(0, quota - self._count),
            reset_seconds=_seconds(last + _WINDOW_MS - now_ms) if self._cells else 0,
            retry_after_seconds=max(1, _seconds(first + _WINDOW_MS - now_ms)),
        )

    def _forget(self, now_ms: int) -> None:
        while self._cells and self._cells[0][0] <= now_ms - _WINDOW_MS:
            self._count -= self._cells.popleft()[1]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a limiter says about one request."""

    name: str
    quota: int
    is_admitted: bool
    remaining: int
    reset_seconds: int
    """Until the whole quota is there again."""
    retry_after_seconds: int
    """Until the oldest request that counts no longer does."""

    def headers(self, now: datetime) -> dict[str, str]:
        """The fields that tell a client where it stands, in both forms that clients read.

        The structured fields are those of draft-ietf-httpapi-ratelimit-headers; the three older ones
        say when the quota is whole again as a Unix time, as the services that made them common do.
        """
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{self.name}";r={self.remaining};t={self.reset_seconds}',
            "X-RateLimit-Limit": str(self.quota),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(now.timestamp()) + self.reset_seconds),
        }

    def refusal(self, now: datetime) -> RateLimited:
        """Return the error for a request that was not admitted."""
        return RateLimited(
            f"Too many requests: {self.quota} per minute are admitted. Try again in {self.retry_after_seconds} s.",
            retry_after_seconds=self.retry_after_seconds,
            headers=self.headers(now),
        )


def milliseconds(instant: datetime) -> int:
    """Return an instant as the cells count it."""
    return (instant.astimezone(UTC) - _EPOCH) // _MILLISECOND


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC) - _EPOCH


def _seconds(ms: int) -> int:
    return math.ceil(max(0, ms) / 1000)
