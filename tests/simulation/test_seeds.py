"""Many short lives of the whole platform in bad weather; every rule must hold in each, and each must repeat itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.planted import ForgottenFences, IdleMeter, StopsNothing
from tests.simulation.storm import SKIRMISH, ZOMBIES, broken, simulate
from zentry.simulation.simulation import SimulationTools

SKIRMISHES = range(200)
STORMS = range(48)
PARTS = 4
SKIRMISHES_IN_A_PART, SKIRMISH_PARTS = 2000, 50
STORMS_IN_A_PART, STORM_PARTS = 500, 10
SEEDS_FOR_A_BUG = 20
ROOT = Path(__file__).parents[2]


def _broken_in(seeds: range, **changes: Any) -> list[str]:
    return [sentence for seed in seeds for sentence in broken(simulate(seed, **changes))]


@pytest.mark.parametrize("part", range(PARTS))
def test_no_skirmish_breaks_a_rule(part: int) -> None:
    assert _broken_in(SKIRMISHES[part::PARTS], **SKIRMISH) == []


@pytest.mark.parametrize("part", range(PARTS))
def test_no_storm_breaks_a_rule(part: int) -> None:
    assert _broken_in(STORMS[part::PARTS]) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(SKIRMISH_PARTS))
def test_no_skirmish_of_a_hundred_thousand_breaks_a_rule(part: int) -> None:
    first = SKIRMISHES.stop + part * SKIRMISHES_IN_A_PART

    assert _broken_in(range(first, first + SKIRMISHES_IN_A_PART), **SKIRMISH) == []


@pytest.mark.long
@pytest.mark.parametrize("part", range(STORM_PARTS))
def test_no_storm_of_five_thousand_breaks_a_rule(part: int) -> None:
    first = STORMS.stop + part * STORMS_IN_A_PART

    assert _broken_in(range(first, first + STORMS_IN_A_PART)) == []


@pytest.mark.parametrize("seed", [3, 4])
def test_a_seed_repeats_itself_in_another_process(seed: int) -> None:
    program = f"from tests.simulation.storm import simulate; print(simulate({seed}).events_hash)"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])}

    here = simulate(seed)
    elsewhere = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )

    assert here.events > 20
    assert here.events_hash == elsewhere.stdout.strip()


def test_another_seed_is_another_life() -> None:
    assert simulate(1).events_hash != simulate(2).events_hash


def test_a_skirmish_is_one() -> None:
    outcomes = [simulate(seed, **SKIRMISH) for seed in range(20)]

    assert sum(outcome.deaths for outcome in outcomes) > 20
    assert sum(kind.failed for outcome in outcomes for kind in outcome.operations) > 0


def test_a_storm_is_one() -> None:
    """What the seeds are worth: workers die, operations fail, requests are refused, credit ends."""
    outcomes = [simulate(seed) for seed in range(8)]

    assert sum(outcome.deaths for outcome in outcomes) > 8
    assert sum(kind.failed for outcome in outcomes for kind in outcome.operations) > 0
    assert {kind.kind for outcome in outcomes for kind in outcome.operations} >= {
        "vms.create",
        "vms.start",
        "vms.stop",
        "vms.restart",
        "vms.delete",
    }
    refusals = {name.partition(": ")[2] for outcome in outcomes for name in outcome.refused}
    assert {"VM_BUSY", "INSUFFICIENT_CREDITS"} <= refusals


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        pytest.param(ForgottenFences(), "and its machine is", id="a-host-forgets-fences"),
        pytest.param(IdleMeter(), "runs on although it is paid until", id="a-meter-does-not-renew"),
        pytest.param(StopsNothing(), "is stopped and its machine is on", id="a-driver-only-says-that-it-stopped"),
    ],
)
def test_a_planted_bug_is_found(tools: SimulationTools, sentence: str) -> None:
    lives = (simulate(seed, tools=tools, **ZOMBIES) for seed in range(SEEDS_FOR_A_BUG))

    found = next((outcome.broken for outcome in lives if outcome.broken), [])

    assert any(sentence in one for one in found)


def test_without_a_bug_the_same_lives_break_no_rule() -> None:
    assert [one for seed in range(SEEDS_FOR_A_BUG) for one in broken(simulate(seed, **ZOMBIES))] == []
