"""Randomness without state: every number is a function of what it is about.

A generator object would make each draw depend on the draws before it, so two workers, or one
worker before and after a restart, would see different worlds. Here a key names the subject and an
index names the draw, and anybody can ask for any of them in any order.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15
MIXERS: Final = ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB))
"""The constants of splitmix64."""


def key_of(*subject: object) -> int:
    """Return 64 bits that belong to the subject, the same in every process and on every machine."""
    text = "\x1f".join(str(part) for part in subject)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def mix(number: int) -> int:
    """Return 64 bits in which every bit depends on every bit of the number: the last steps of splitmix64."""
    mixed = number & _MASK
    for shift, factor in MIXERS:
        mixed = ((mixed ^ (mixed >> shift)) * factor) & _MASK
    return mixed ^ (mixed >> 31)


def uniform(key: int, index: int) -> float:
    """Return the draw number `index` of the key, even in [0, 1). Splitmix64, so indexes may be neighbours."""
    return (mix(key + index * GOLDEN) >> 11) / (1 << 53)
