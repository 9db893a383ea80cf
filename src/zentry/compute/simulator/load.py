"""What simulated machines measure: a pure function of seed, machine and time.

Nothing is stored and nothing is drawn in order, so any history can be produced at any resolution,
by any process, and a sample taken twice is the same sample.

A machine has a character, drawn from seed and id: an idle floor, a daily rhythm with quieter
weekends, a taste for bursts. From it comes `work`, the share of one machine that its tasks want.
CPU is that work spread over the virtual CPUs, memory follows it with a lag, network and disk
throughput go with CPU, and the disk fills slowly towards a ceiling while the machine runs.

The formulas are written once, for one machine and for arrays of a million: what they calculate with
is a `Numbers`. They use nothing but what IEEE 754 rounds exactly (no cosine, no exponential), so
both give the same sample to the last bit, and so does every machine that we run on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol
from uuid import UUID

from zentry.compute.simulator.chance import key_of, mix, uniform
from zentry.compute.types import Sample

_DAY_SECONDS: Final = 86_400.0
_WEEKDAY_OF_EPOCH: Final = 3
_SATURDAY: Final = 5
_SLOT_SECONDS: Final = 900.0
_MEMORY_LAG_SECONDS: Final = 300.0
_SYSTEM_MEMORY_MIB: Final = 180.0
_IDLE_BYTES_PER_SECOND: Final = 240.0
_LOW_64_BITS: Final = (1 << 64) - 1

# Draws of one key that are about different things lie this far apart, and so never meet.
_LANE: Final = 1 << 40
_SLOW_NOISE, _FAST_NOISE, _BURSTS, _TRAFFIC = (lane * _LANE for lane in range(1, 5))

Number = Any
"""A float, or an array of them; whole numbers and truth values likewise."""


class Numbers(Protocol):
    """What the formulas calculate with, besides the four operators and comparisons."""

    def floor(self, number: Number) -> Number:
        """Return the whole number below, as a float."""
        ...

    def sqrt(self, number: Number) -> Number:
        """Return the square root."""
        ...

    def rint(self, number: Number) -> Number:
        """Return the nearest whole number, as a float; of two the even one."""
        ...

    def least(self, one: Number, other: Number) -> Number:
        """Return the lesser of two."""
        ...

    def most(self, one: Number, other: Number) -> Number:
        """Return the greater of two."""
        ...

    def choose(self, condition: Number, one: Number, other: Number) -> Number:
        """Return one where the condition holds, else the other; both have been calculated."""
        ...

    def uniform(self, key: Number, lane: int, index: Number) -> Number:
        """Return a key's draw number `lane + index` in [0, 1); the index is a whole number held as a float."""
        ...


class Scalars:
    """Calculates with one machine at a time."""

    sqrt = staticmethod(math.sqrt)
    least = staticmethod(min)
    most = staticmethod(max)

    @staticmethod
    def floor(number: float) -> float:
        """Return the whole number below."""
        return float(math.floor(number))

    @staticmethod
    def rint(number: float) -> float:
        """Return the nearest whole number."""
        return float(round(number))

    @staticmethod
    def choose(condition: bool, one: float, other: float) -> float:  # noqa: FBT001 - a condition is what it takes
        """Return one or the other."""
        return one if condition else other

    @staticmethod
    def uniform(key: int, lane: int, index: float) -> float:
        """Return a draw."""
        return uniform(key, lane + int(index))


@dataclass(frozen=True, slots=True)
class Subject:
    """The facts about a machine on which its load depends."""

    vm_id: UUID
    vcpus: int
    memory_mib: int
    disk_gib: int


@dataclass(frozen=True, slots=True)
class Character:
    """What a machine is like, or many are; drawn from seed and id."""

    key: Number
    floor: Number
    swing: Number
    trough_seconds: Number
    weekend: Number
    burst_chance: Number
    burst_height: Number
    memory_floor: Number
    memory_gain: Number
    bytes_per_vcpu: Number
    sent_per_received: Number
    image_gib: Number
    fill_days: Number
    disk_ceiling: Number
    read_per_vcpu: Number
    written_per_read: Number


@dataclass(frozen=True, slots=True)
class Facts:
    """What the formulas need of one machine or of many."""

    character: Character
    vcpus: Number
    memory_mib: Number
    disk_gib: Number
    age_days: Number
    """Days since the creation, without those in which it stood still."""
    running: Number


@dataclass(frozen=True, slots=True)
class Load:
    """Percentages within 0..100 and bytes per second."""

    cpu_usage: Number
    memory_usage: Number
    disk_usage: Number
    network_in: Number
    network_out: Number
    disk_read: Number
    disk_write: Number


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
    facts = Facts(
        character=_character_of(key_of_machine(seed_key(seed), subject.vm_id)),
        vcpus=subject.vcpus,
        memory_mib=subject.memory_mib,
        disk_gib=subject.disk_gib,
        age_days=days(at - created_at - rested),
        running=running,
    )
    load = loads(SCALARS, facts, at.timestamp())
    return Sample(
        subject.vm_id,
        at,
        load.cpu_usage,
        load.memory_usage,
        load.disk_usage,
        load.network_in,
        load.network_out,
        load.disk_read,
        load.disk_write,
    )


def seed_key(seed: int) -> int:
    """Return the key from which the keys of all machines grow."""
    return key_of("load", seed)


def key_of_machine(base: int, vm_id: UUID) -> int:
    """Return a machine's own key: its id's two halves stirred into the key of the seed."""
    return mix(mix(base ^ (vm_id.int >> 64)) ^ (vm_id.int & _LOW_64_BITS))


def days(duration: timedelta) -> float:
    """Return a duration in days."""
    return duration.total_seconds() / _DAY_SECONDS


def loads(numbers: Numbers, facts: Facts, seconds: float) -> Load:
    """Return what one machine, or each of many, measures at an instant, in seconds since 1970."""
    character = facts.character
    # Larger machines are busier in all and idler per virtual CPU.
    relief = 1.0 / numbers.sqrt(numbers.sqrt(facts.vcpus))
    work = _work(numbers, character, seconds) * relief
    earlier = _work(numbers, character, seconds - _MEMORY_LAG_SECONDS) * relief
    network_in = _network(numbers, facts, work, seconds)
    network_out = numbers.rint(network_in * character.sent_per_received)
    memory_usage = _memory(numbers, facts, 0.35 * work + 0.65 * earlier)
    disk_read = numbers.rint(character.read_per_vcpu * facts.vcpus * numbers.least(1.0, work))
    disk_write = numbers.rint(disk_read * character.written_per_read)
    running = facts.running
    return Load(
        cpu_usage=numbers.choose(running, _percent(numbers, work), 0.0),
        memory_usage=numbers.choose(running, memory_usage, 0.0),
        disk_usage=_disk(numbers, facts),
        network_in=numbers.choose(running, network_in, 0.0),
        network_out=numbers.choose(running, network_out, 0.0),
        disk_read=numbers.choose(running, disk_read, 0.0),
        disk_write=numbers.choose(running, disk_write, 0.0),
    )


def character_of(numbers: Numbers, key: Number) -> Character:
    """Draw what the machine of a key is like, or the machines of many keys."""

    def between(index: int, low: float, high: float) -> Number:
        return low + (high - low) * numbers.uniform(key, 0, index)

    return Character(
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
        read_per_vcpu=between(13, 0.05e6, 1.5e6),
        written_per_read=between(14, 0.4, 2.5),
    )


SCALARS: Final = Scalars()


@lru_cache(maxsize=8192)
def _character_of(key: int) -> Character:
    return character_of(SCALARS, key)


def _work(numbers: Numbers, character: Character, seconds: float) -> Number:
    """Return the share of a one-CPU machine that is wanted; bursts may ask for more than all of it."""
    work = (
        character.floor
        + character.swing * _rhythm(numbers, character, seconds)
        + 0.10 * (_noise(numbers, character.key, _SLOW_NOISE, seconds / 600.0) - 0.5)
        + 0.05 * (_noise(numbers, character.key, _FAST_NOISE, seconds / 45.0) - 0.5)
        + _burst(numbers, character, seconds)
    )
    return numbers.most(0.004, work)


def _rhythm(numbers: Numbers, character: Character, seconds: float) -> Number:
    """Return 0 at the hour of least work and 1 twelve hours later, less on weekends.

    Days are counted from the quiet hour, so that a weekend begins and ends without a step.
    """
    since = seconds - character.trough_seconds
    day = numbers.floor(since / _DAY_SECONDS)
    share = since / _DAY_SECONDS - day
    weekday = day + _WEEKDAY_OF_EPOCH - 7.0 * numbers.floor((day + _WEEKDAY_OF_EPOCH) / 7.0)
    half = numbers.least(share, 1.0 - share) * 2.0
    height = _eased(half)
    return height * numbers.choose(weekday >= _SATURDAY, character.weekend, 1.0)


def _burst(numbers: Numbers, character: Character, seconds: float) -> Number:
    """Return the extra work of a burst; a slot of time holds one, wholly inside, or none."""
    slot = numbers.floor(seconds / _SLOT_SECONDS)
    within = seconds - slot * _SLOT_SECONDS
    key, index = character.key, 4.0 * slot
    length_seconds = 60.0 + 600.0 * numbers.uniform(key, _BURSTS, index + 1)
    start_seconds = (_SLOT_SECONDS - length_seconds) * numbers.uniform(key, _BURSTS, index + 2)
    elapsed = (within - start_seconds) / length_seconds
    height = character.burst_height * (0.5 + numbers.uniform(key, _BURSTS, index + 3))
    # A parabola under a root: it rises fast, lasts, and falls fast; nothing outside of the burst.
    arc = numbers.most(0.0, 4.0 * elapsed * (1.0 - elapsed))
    happens = numbers.uniform(key, _BURSTS, index) < character.burst_chance
    return numbers.choose(happens, height * numbers.sqrt(arc), 0.0)


def _noise(numbers: Numbers, key: Number, lane: int, position: float) -> Number:
    """Return smooth noise in [0, 1]: random at whole positions, eased between them."""
    whole = float(math.floor(position))
    left = numbers.uniform(key, lane, whole)
    right = numbers.uniform(key, lane, whole + 1.0)
    return left + (right - left) * _eased(position - whole)


def _eased(share: Number) -> Number:
    """Return a share of a way that begins and ends gently."""
    return share * share * (3.0 - 2.0 * share)


def _memory(numbers: Numbers, facts: Facts, work: Number) -> Number:
    character = facts.character
    floor = numbers.most(character.memory_floor, numbers.least(0.6, _SYSTEM_MEMORY_MIB / facts.memory_mib))
    return _percent(numbers, floor + character.memory_gain * numbers.least(1.0, work))


def _network(numbers: Numbers, facts: Facts, work: Number, seconds: float) -> Number:
    character = facts.character
    flow = character.bytes_per_vcpu * facts.vcpus * numbers.least(1.0, work)
    wave = 0.7 + 0.6 * _noise(numbers, character.key, _TRAFFIC, seconds / 60.0)
    return numbers.rint(_IDLE_BYTES_PER_SECOND + flow * wave)


def _disk(numbers: Numbers, facts: Facts) -> Number:
    character = facts.character
    start = numbers.least(0.5, character.image_gib / facts.disk_gib)
    ceiling = numbers.most(start, character.disk_ceiling)
    aged = numbers.most(0.0, facts.age_days) / character.fill_days
    return _percent(numbers, start + (ceiling - start) * (aged / (1.0 + aged)))


def _percent(numbers: Numbers, share: Number) -> Number:
    """Return percent with two digits. Not `round`: it is exact in decimal, which arrays are not."""
    return numbers.rint(10_000.0 * numbers.least(1.0, numbers.most(0.0, share))) / 100.0
