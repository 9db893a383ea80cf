"""What simulated machines measure: a pure function of seed, machine and time.

Nothing is stored and nothing is drawn in order, so any history can be produced at any resolution,
by any process, and a sample taken twice is the same sample.

A machine has a character, drawn from seed and id: an idle floor, a daily rhythm with quieter
weekends, a taste for bursts. From it comes `work`, the share of one machine that its tasks want.
CPU is that work spread over the virtual CPUs, memory follows it with a lag, network goes with
CPU, and the disk fills slowly towards a ceiling while the machine runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

from zentry.compute.simulator.chance import key_of, uniform
from zentry.compute.types import Sample

_DAY_SECONDS: Final = 86_400.0
_WEEKDAY_OF_EPOCH: Final = 3
_SATURDAY: Final = 5
_SLOT_SECONDS: Final = 900.0
_MEMORY_LAG_SECONDS: Final = 300.0
_SYSTEM_MEMORY_MIB: Final = 180.0
_IDLE_BYTES_PER_SECOND: Final = 240.0

# Draws of one key that are about different things lie this far apart, and so never meet.
_LANE: Final = 1 << 40
_SLOW_NOISE, _FAST_NOISE, _BURSTS, _TRAFFIC = (lane * _LANE for lane in range(1, 5))


@dataclass(frozen=True, slots=True)
class Subject:
    """The facts about a machine on which its load depends."""

    vm_id: UUID
    vcpus: int
    memory_mib: int
    disk_gib: int


def measure(
    seed: int,
    subject: Subject,
    *,
    created_at: datetime,
    at: datetime,
    running: bool = True,
    rested: timedelta = timedelta(0),
) -> Sample:
    """Return what the machine measures at an instant: percentages within 0..100, bytes per second.

    `rested` is how long it has stood still since its creation: a disk does not fill meanwhile. A
    machine at rest measures no load and keeps its disk.
    """
    character = _character(seed, subject.vm_id)
    disk_usage = _disk(character, subject, (at - created_at - rested).total_seconds() / _DAY_SECONDS)
    if not running:
        return Sample(subject.vm_id, at, 0.0, 0.0, disk_usage, 0.0, 0.0)
    seconds = at.timestamp()
    # Larger machines are busier in all and idler per virtual CPU.
    relief = subject.vcpus**-0.25
    work = _work(character, seconds) * relief
    earlier = _work(character, seconds - _MEMORY_LAG_SECONDS) * relief
    network_in = _network(character, subject, work, seconds)
    return Sample(
        vm_id=subject.vm_id,
        recorded_at=at,
        cpu_usage=_percent(work),
        memory_usage=_memory(character, subject, 0.35 * work + 0.65 * earlier),
        disk_usage=disk_usage,
        network_in=network_in,
        network_out=float(round(network_in * character.sent_per_received)),
    )


@dataclass(frozen=True, slots=True)
class _Character:
    key: int
    floor: float
    swing: float
    trough_seconds: float
    weekend: float
    burst_chance: float
    burst_height: float
    memory_floor: float
    memory_gain: float
    bytes_per_vcpu: float
    sent_per_received: float
    image_gib: float
    fill_days: float
    disk_ceiling: float


@lru_cache(maxsize=8192)
def _character(seed: int, vm_id: UUID) -> _Character:
    key = key_of("load", seed, vm_id)

    def between(index: int, low: float, high: float) -> float:
        return low + (high - low) * uniform(key, index)

    return _Character(
        key=key,
        floor=between(0, 0.03, 0.18),
        swing=between(1, 0.10, 0.45),
        trough_seconds=between(2, 1.0, 6.0) * 3600,
        weekend=between(3, 0.35, 1.0),
        burst_chance=between(4, 0.04, 0.20),
        burst_height=between(5, 0.25, 0.60),
        memory_floor=between(6, 0.18, 0.38),
        memory_gain=between(7, 0.25, 0.50),
        bytes_per_vcpu=between(8, 0.3e6, 3.0e6),
        sent_per_received=between(9, 0.3, 2.5),
        image_gib=between(10, 1.8, 3.2),
        fill_days=between(11, 120.0, 700.0),
        disk_ceiling=between(12, 0.60, 0.90),
    )


def _work(character: _Character, seconds: float) -> float:
    """Return the share of a one-CPU machine that is wanted; bursts may ask for more than all of it."""
    work = (
        character.floor
        + character.swing * _rhythm(character, seconds)
        + 0.10 * (_noise(character.key, _SLOW_NOISE, seconds / 600.0) - 0.5)
        + 0.05 * (_noise(character.key, _FAST_NOISE, seconds / 45.0) - 0.5)
        + _burst(character, seconds)
    )
    return max(0.004, work)


def _rhythm(character: _Character, seconds: float) -> float:
    """Return 0 at the hour of least work and 1 twelve hours later, less on weekends.

    Days are counted from the quiet hour, so that a weekend begins and ends without a step.
    """
    day, within = divmod(seconds - character.trough_seconds, _DAY_SECONDS)
    height = 0.5 - 0.5 * math.cos(2 * math.pi * within / _DAY_SECONDS)
    return height * (character.weekend if (int(day) + _WEEKDAY_OF_EPOCH) % 7 >= _SATURDAY else 1.0)


def _burst(character: _Character, seconds: float) -> float:
    """Return the extra work of a burst; a slot of time holds one, wholly inside, or none."""
    slot, within = divmod(seconds, _SLOT_SECONDS)
    index = _BURSTS + 4 * int(slot)
    if uniform(character.key, index) >= character.burst_chance:
        return 0.0
    length_seconds = 60.0 + 600.0 * uniform(character.key, index + 1)
    start_seconds = (_SLOT_SECONDS - length_seconds) * uniform(character.key, index + 2)
    elapsed = (within - start_seconds) / length_seconds
    if not 0.0 < elapsed < 1.0:
        return 0.0
    height = character.burst_height * (0.5 + uniform(character.key, index + 3))
    return height * math.sqrt(math.sin(math.pi * elapsed))


def _noise(key: int, lane: int, position: float) -> float:
    """Return smooth noise in [0, 1]: random at whole positions, eased between them."""
    whole = math.floor(position)
    part = position - whole
    left = uniform(key, lane + whole)
    right = uniform(key, lane + whole + 1)
    return left + (right - left) * part * part * (3.0 - 2.0 * part)


def _memory(character: _Character, subject: Subject, work: float) -> float:
    floor = max(character.memory_floor, min(0.6, _SYSTEM_MEMORY_MIB / subject.memory_mib))
    return _percent(floor + character.memory_gain * min(1.0, work))


def _network(character: _Character, subject: Subject, work: float, seconds: float) -> float:
    flow = character.bytes_per_vcpu * subject.vcpus * min(1.0, work)
    return float(round(_IDLE_BYTES_PER_SECOND + flow * (0.7 + 0.6 * _noise(character.key, _TRAFFIC, seconds / 60.0))))


def _disk(character: _Character, subject: Subject, age_days: float) -> float:
    start = min(0.5, character.image_gib / subject.disk_gib)
    ceiling = max(start, character.disk_ceiling)
    return _percent(start + (ceiling - start) * (1.0 - math.exp(-max(0.0, age_days) / character.fill_days)))


def _percent(share: float) -> float:
    return round(100.0 * min(1.0, max(0.0, share)), 2)
