from __future__ import annotations

from dataclasses import replace
from statistics import median
from uuid import UUID

import pytest

from zentry.compute.simulator.chance import key_of, uniform
from zentry.compute.simulator.latency import LONGEST, Latency
from zentry.compute.simulator.orders import Action, Order

LATENCY = Latency(seed=1, boot_seconds=2.0, action_seconds=0.5)
ORDER = Order(Action.START, UUID(int=1), 1)


def test_the_same_order_takes_the_same_time() -> None:
    assert LATENCY.seconds_of(ORDER) == LATENCY.seconds_of(replace(ORDER))


@pytest.mark.parametrize(
    "other", [replace(ORDER, vm_id=UUID(int=2)), replace(ORDER, fence=2), replace(ORDER, action=Action.REBOOT)]
)
def test_another_order_takes_another_time(other: Order) -> None:
    assert LATENCY.seconds_of(ORDER) != LATENCY.seconds_of(other)


def test_another_seed_is_another_time() -> None:
    assert LATENCY.seconds_of(ORDER) != replace(LATENCY, seed=2).seconds_of(ORDER)


@pytest.mark.parametrize(
    ("action", "median_seconds"),
    [
        (Action.START, 2.0),
        (Action.REBOOT, 2.0),
        (Action.CREATE, 0.5),
        (Action.STOP, 0.5),
        (Action.REMOVE, 0.5),
    ],
)
def test_times_lie_around_the_median_of_the_action(action: Action, median_seconds: float) -> None:
    times = [LATENCY.seconds_of(Order(action, UUID(int=number), 1)) for number in range(2000)]

    assert median(times) == pytest.approx(median_seconds, rel=0.05)
    assert 0 < min(times) < 0.5 * median_seconds
    assert 1.8 * median_seconds < max(times) <= LONGEST * median_seconds


def test_a_median_of_zero_takes_no_time() -> None:
    assert Latency(seed=1, boot_seconds=0, action_seconds=0).seconds_of(ORDER) == 0


def test_draws_are_even_and_apart() -> None:
    draws = [uniform(key_of("test", 1), index) for index in range(-5000, 5000)]

    tenths = [sum(1 for draw in draws if int(draw * 10) == tenth) for tenth in range(10)]
    assert len(set(draws)) == len(draws)
    assert all(900 < count < 1100 for count in tenths)


def test_keys_do_not_run_into_each_other() -> None:
    assert key_of("a", 11, 1) != key_of("a", 1, 11)
    assert key_of("ab", "c") != key_of("a", "bc")
