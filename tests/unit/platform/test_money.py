"""The one rounding rule, and the way between micro-credits and what clients write."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zentry.platform.money import (
    MAX_MICROS,
    InvalidAmount,
    affordable_seconds,
    charge,
    cumulated_cost,
    format_credits,
    from_credits,
    to_credits,
)

rates = st.integers(min_value=1, max_value=10**12)
seconds = st.integers(min_value=0, max_value=10**9)


@given(rates, st.lists(seconds, min_size=2, max_size=20))
def test_pieces_of_an_interval_add_up_to_the_charge_of_the_whole(rate: int, cuts: list[int]) -> None:
    cuts = sorted(cuts)

    pieces = [charge(rate_micros_per_hour=rate, from_second=start, to_second=end) for start, end in pairwise(cuts)]

    assert sum(pieces) == charge(rate_micros_per_hour=rate, from_second=cuts[0], to_second=cuts[-1])


@given(rates, seconds, st.integers(min_value=0, max_value=10**12))
def test_affordable_seconds_is_the_last_second_that_the_budget_pays(rate: int, start: int, budget: int) -> None:
    extra = affordable_seconds(rate_micros_per_hour=rate, from_second=start, budget_micros=budget)

    assert charge(rate_micros_per_hour=rate, from_second=start, to_second=start + extra) <= budget
    assert charge(rate_micros_per_hour=rate, from_second=start, to_second=start + extra + 1) > budget


def test_an_hour_costs_the_hourly_rate_exactly() -> None:
    assert cumulated_cost(rate_micros_per_hour=50_000, elapsed_seconds=3600) == 50_000
    assert cumulated_cost(rate_micros_per_hour=50_000, elapsed_seconds=1) == 13
    assert cumulated_cost(rate_micros_per_hour=50_000, elapsed_seconds=0) == 0


@given(st.integers(min_value=-MAX_MICROS, max_value=MAX_MICROS))
def test_an_amount_survives_the_way_over_the_wire(micros: int) -> None:
    assert from_credits(json.loads(json.dumps(to_credits(micros)))) == micros


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 1e400, 0.0000001, 1e16, 10**30])
def test_a_number_that_is_no_exact_amount_is_refused(amount: float) -> None:
    with pytest.raises(InvalidAmount):
        from_credits(amount)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.00"), (50_000, "0.05"), (-1_500_000, "-1.50"), (1, "0.000001"), (123_456_789, "123.456789")],
)
def test_an_amount_is_written_without_rounding(micros: int, text: str) -> None:
    assert format_credits(micros) == text
