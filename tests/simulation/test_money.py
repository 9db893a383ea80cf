"""Random operations with kills: no balance below zero, no unbalanced read, no overlap, whatever dies when.

After every unit of work the account and the machine that it was about are checked, and everything at the end.
"""

from __future__ import annotations

from itertools import count
from typing import Final

import pytest

from tests.simulation.storm import CROWD, broken, simulate

FIRST_SEED: Final = 10_000_000
SEEDS_APART: Final = 100_000
PARTS: Final = 100
OPERATIONS_IN_A_PART: Final = 10_000


def live(part: int, *, wanted: int) -> tuple[int, int, list[str]]:
    """Let crowds of a part live until so many operations have ended; return them, the kills and what broke."""
    operations = kills = 0
    found: list[str] = []
    for seed in count(FIRST_SEED + part * SEEDS_APART):
        outcome = simulate(seed, **CROWD)
        operations += sum(kind.succeeded + kind.failed for kind in outcome.operations)
        kills += outcome.deaths
        found += broken(outcome)
        if operations >= wanted:
            return operations, kills, found
    raise AssertionError("there is always a next seed")


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_no_operation_of_a_million_breaks_the_books(part: int) -> None:
    operations, kills, found = live(part, wanted=OPERATIONS_IN_A_PART)

    print(f"part {part}: {operations} operations, {kills} kills")
    assert found == []
