"""Money: integers of micro-credits (10⁻⁶ credit) inside, JSON numbers outside.

There is one rounding rule and it lives here. A charge is the difference of two values of the
cumulated cost F(t) = floor(rate × elapsed_seconds / 3600), so that pieces of an interval always
add up to the charge of the whole, however often it is cut.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

MICROS_PER_CREDIT: Final = 1_000_000
SECONDS_PER_HOUR: Final = 3600
MAX_MICROS: Final = 10**15
"""The largest amount: a JSON number holds 15 significant digits exactly."""

_MAX_EXPONENT: Final = 20
"""Numbers with more digits before the point are refused before anything is computed with them."""


class InvalidAmount(ValueError):
    """The number cannot be held exactly as micro-credits."""


def cumulated_cost(*, rate_micros_per_hour: int, elapsed_seconds: int) -> int:
    """Return F(t) in micro-credits for `elapsed_seconds` from the start of a segment."""
    return rate_micros_per_hour * elapsed_seconds // SECONDS_PER_HOUR


def charge(*, rate_micros_per_hour: int, from_second: int, to_second: int) -> int:
    """Return what the seconds [from_second, to_second) of a segment cost, in micro-credits."""
    assert 0 <= from_second <= to_second, "an interval runs forward"
    return cumulated_cost(rate_micros_per_hour=rate_micros_per_hour, elapsed_seconds=to_second) - cumulated_cost(
        rate_micros_per_hour=rate_micros_per_hour, elapsed_seconds=from_second
    )


def affordable_seconds(*, rate_micros_per_hour: int, from_second: int, budget_micros: int) -> int:
    """Return the most seconds after `from_second` whose charge stays within the budget.

    The rate must be positive: a free resource has no such bound.
    """
    assert rate_micros_per_hour > 0, "a free resource is affordable for ever"
    start = cumulated_cost(rate_micros_per_hour=rate_micros_per_hour, elapsed_seconds=from_second)
    # The largest t with floor(rate × t / 3600) <= start + budget.
    last = ((start + budget_micros + 1) * SECONDS_PER_HOUR - 1) // rate_micros_per_hour
    return max(0, last - from_second)


def to_credits(micros: int) -> float:
    """Return micro-credits as the JSON number that clients see."""
    return micros / MICROS_PER_CREDIT


def from_credits(amount: float | Decimal) -> int:
    """Return a client's number as exact micro-credits, or raise `InvalidAmount`.

    Goes through the shortest decimal text of the float, which is what the client wrote.
    """
    try:
        exact = Decimal(str(amount))
    except InvalidOperation as error:
        raise InvalidAmount("This is not a number.") from error
    if not exact.is_finite() or exact.adjusted() > _MAX_EXPONENT:
        raise InvalidAmount("The amount must be a finite number within the limit.")
    micros = exact * MICROS_PER_CREDIT
    if micros != micros.to_integral_value():
        raise InvalidAmount("The amount has more than six decimal places.")
    if abs(micros) > MAX_MICROS:
        raise InvalidAmount("The amount is beyond the limit.")
    return int(micros)


def format_credits(micros: int) -> str:
    """Return an amount as people read it: at least two decimal places, never a rounded one."""
    whole, part = divmod(abs(micros), MICROS_PER_CREDIT)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{decimals}"
