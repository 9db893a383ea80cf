"""How long simulated actions take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from zentry.compute.simulator.chance import key_of, uniform
from zentry.compute.simulator.orders import Action, Order

SPREAD: Final = 0.35
"""Standard deviation of the logarithm: nine of ten draws lie within 0.56 and 1.78 of the median."""
LONGEST: Final = 5.0
"""No draw is longer than this many medians."""

_BOOTS: Final = frozenset({Action.START, Action.REBOOT})
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Latency:
    """Lognormal times around two medians in seconds; a median of 0 takes no time at all."""

    seed: int
    boot_seconds: float
    action_seconds: float

    def seconds_of(self, order: Order) -> float:
        """Return how long the order takes: the same for the same seed, machine, fence and action."""
        median_seconds = self.boot_seconds if order.action in _BOOTS else self.action_seconds
        if median_seconds <= 0:
            return 0.0
        draw = uniform(key_of("latency", self.seed, order.vm_id, order.fence, order.action), 0)
        # The normal distribution has no value at 0, which the draw may be.
        deviation = _NORMAL.inv_cdf(max(draw, 1e-12))
        return median_seconds * min(LONGEST, math.exp(SPREAD * deviation))
