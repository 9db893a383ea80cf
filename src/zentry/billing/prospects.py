"""What is to be expected of an account's money while nothing changes. Calculates, and asks nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from zentry.billing.rating import FREE_WINDOW, Account

_MOST_STEPS: Final = 2_000
"""Beyond them it is not looked further; where there is plenty one step renews many windows."""


def credit_ends_at(account: Account, now: datetime, *, within: timedelta) -> datetime | None:
    """Return when the first thing can't be paid any longer, None where that is not within a time.

    It is the meter's own code that is run ahead, so it is the very second.
    """
    limit = now + within
    if _has_plenty(account, now, limit):
        return None
    ahead = account.copy()
    for _ in range(_MOST_STEPS):
        if ahead.due_at is None or ahead.due_at > limit:
            break
        at = ahead.due_at
        ahead.step(limit)
        ends = [end for course in ahead.courses if (end := course.unpaid_from(at)) is not None]
        if ends:
            return min(ends)
        ahead.journal.clear()
    return None


def _has_plenty(account: Account, now: datetime, limit: datetime) -> bool:
    """Tell whether what does not end by itself pays everything, so that nobody has to look step by step."""
    settings = account.settings
    beyond = limit + FREE_WINDOW + timedelta(seconds=settings.window_seconds + settings.renew_before_seconds)
    if any(course.unpaid_from(now) is not None for course in account.courses):
        return False
    # A change of the price begins a segment, whose remainder of a micro-credit is nobody's.
    need = sum(course.cost(course.segment.paid_until, beyond) + 1 + len(course.lists) for course in account.courses)
    return account.available - sum(grant.remaining for grant in account.grants) >= need
