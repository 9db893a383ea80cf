"""The load of many machines at once: the formulas of `load`, on arrays.

Importing this costs some 20 MiB and a tenth of a second, so only those import it who ask for many
machines at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from zentry.compute.simulator.chance import GOLDEN, MIXERS
from zentry.compute.simulator.load import Facts, Load, Subject, character_of, loads, seed_key

Floats = NDArray[np.float64]
Words = NDArray[np.uint64]

_BLOCK: Final = 32_768
"""Machines calculated at a time: what is in between then stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Population:
    """The facts about many machines; all arrays have one length."""

    ids: Words
    """Two columns: the upper and the lower half of each id."""
    vcpus: Floats
    memory_mib: Floats
    disk_gib: Floats
    age_days: Floats
    """Days since the creation, without those in which the machine stood still."""
    running: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.vcpus)

    @classmethod
    def of(cls, subjects: Sequence[Subject], *, age_days: Sequence[float], running: Sequence[bool]) -> Self:
        """Put the facts about machines into arrays."""
        ids = np.frombuffer(b"".join(subject.vm_id.bytes for subject in subjects), dtype=">u8")
        sizes = [(subject.vcpus, subject.memory_mib, subject.disk_gib) for subject in subjects]
        vcpus, memory_mib, disk_gib = np.array(sizes, dtype=np.float64).reshape(-1, 3).T
        return cls(
            ids.astype(np.uint64).reshape(-1, 2),
            vcpus,
            memory_mib,
            disk_gib,
            np.array(age_days, dtype=np.float64),
            np.array(running, dtype=np.bool_),
        )


def measure_all(seed: int, population: Population, *, at: datetime) -> Load:
    """Return what each machine measures at an instant: arrays of percentages and of bytes per second."""
    blocks = list(_blocks(seed, population, at.timestamp()))
    return Load(*(np.concatenate([getattr(block, name) for block in blocks]) for name in Load.__slots__))


def _blocks(seed: int, population: Population, seconds: float) -> Iterator[Load]:
    base = np.uint64(seed_key(seed))
    for first in range(0, max(1, len(population)), _BLOCK):
        part = slice(first, first + _BLOCK)
        ids = population.ids[part]
        keys = _mix(_mix(base ^ ids[:, 0]) ^ ids[:, 1])
        facts = Facts(
            character=character_of(_ARRAYS, keys),
            vcpus=population.vcpus[part],
            memory_mib=population.memory_mib[part],
            disk_gib=population.disk_gib[part],
            age_days=population.age_days[part],
            running=population.running[part],
        )
        yield loads(_ARRAYS, facts, seconds)


def _mix(words: Words) -> Words:
    for shift, factor in MIXERS:
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))


class _Arrays:
    """Calculates with many machines at a time; see `load.Numbers`."""

    floor = staticmethod(np.floor)
    sqrt = staticmethod(np.sqrt)
    rint = staticmethod(np.rint)
    least = staticmethod(np.minimum)
    most = staticmethod(np.maximum)
    choose = staticmethod(np.where)

    @staticmethod
    def uniform(key: Words, lane: int, index: Any) -> Floats:
        """Return the draws of the keys; whole numbers below zero wrap around as they do for one machine."""
        number = np.asarray(lane + np.asarray(index).astype(np.int64)).astype(np.uint64)
        mixed = _mix(key + number * np.uint64(GOLDEN))
        return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


_ARRAYS: Final = _Arrays()
