"""What is to be expected of an account's money while nothing changes. Calculates, and asks nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from zentry.billing.types import Segment
from zentry.platform import money

_ORDERS: Final[Mapping[str, Callable[[Segment], Any]]] = {
    "oldest": lambda segment: (segment.started_at, segment.id),
    "newest": lambda segment: (-segment.started_at.timestamp(), segment.id),
    "cheapest": lambda segment: (segment.rate_micros_per_hour, segment.started_at, segment.id),
    "dearest": lambda segment: (-segment.rate_micros_per_hour, segment.started_at, segment.id),
}


def in_order_of_renewal(running: Sequence[Segment], *, first: str) -> list[Segment]:
    """Return what runs in the order in which it is renewed; what comes last is stopped first."""
    return sorted(running, key=_ORDERS[first])


def credit_ends_at(now: datetime, running: Sequence[Segment], *, available: int) -> datetime | None:
    """Return until when everything that runs is paid for, None where nothing runs or nothing costs.

    What is held for each is used first; what is available then lasts for as long as all of it can be
    paid. The first machine stops then; others may go on with what is left.
    """
    costly = [segment for segment in running if segment.rate_micros_per_hour > 0]
    if not costly:
        return None
    latest = min(segment.paid_until for segment in costly) + timedelta(
        seconds=available * money.SECONDS_PER_HOUR // min(segment.rate_micros_per_hour for segment in costly)
    )
    low, high = 0, max(0, int((latest - now).total_seconds())) + 1
    while low + 1 < high:
        middle = (low + high) // 2
        if _needed(costly, until=now + timedelta(seconds=middle)) <= available:
            low = middle
        else:
            high = middle
    return now + timedelta(seconds=low)


def _needed(running: Sequence[Segment], *, until: datetime) -> int:
    """Return what has to be held beyond what is, so that everything is paid until an instant."""
    return sum(
        money.charge(
            rate_micros_per_hour=segment.rate_micros_per_hour,
            from_second=segment.second_of(segment.paid_until),
            to_second=max(segment.second_of(segment.paid_until), segment.second_of(until)),
        )
        for segment in running
    )
