"""What the simulator takes to measure a million machines at one instant.

python -m benchmarks.metrics [MACHINES] [ROUNDS]
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from benchmarks.harness import Figure, show
from zentry.compute.simulator.arrays import Population, measure_all

_NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


def main(machines: int = 1_000_000, rounds: int = 9) -> None:
    random = np.random.default_rng(1)
    population = Population(
        ids=random.integers(0, 1 << 63, (machines, 2), dtype=np.uint64),
        vcpus=random.choice([1.0, 2.0, 4.0, 8.0], machines),
        memory_mib=random.choice([1024.0, 4096.0, 8192.0, 16_384.0], machines),
        disk_gib=random.choice([20.0, 40.0, 80.0, 160.0], machines),
        age_days=random.uniform(0, 365, machines),
        running=random.random(machines) < 0.9,
    )
    times = []
    for number in range(rounds):
        started = time.perf_counter()
        load = measure_all(1, population, at=_NOON + timedelta(hours=number))
        times.append(time.perf_counter() - started)
        assert len(load.cpu_usage) == machines
        assert load.cpu_usage[~population.running].max() == 0
    show(
        f"Measuring {machines:,} simulated machines at one instant",
        [Figure("CPU, memory, disk, network in and out", times, "s", goal="< 1 s")],
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
