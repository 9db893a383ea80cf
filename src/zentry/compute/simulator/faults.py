"""Failures on purpose, written down as rules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from zentry.compute.driver import DriverError, DriverRejected, DriverUnavailable
from zentry.compute.simulator.orders import Action


class FaultKind(StrEnum):
    """How a call goes wrong."""

    UNAVAILABLE = "unavailable"
    """`DriverUnavailable` (`HOST_UNAVAILABLE`), and nothing happened."""
    REJECTED = "rejected"
    """`DriverRejected` (`HOST_REJECTED`), and nothing happened."""
    LOST_REPLY = "lost_reply"
    """`DriverUnavailable` (`LOST_REPLY`), although everything happened."""
    SLOW = "slow"
    """It works, late."""
    DUPLICATE = "duplicate"
    """It works, and the same order reaches the host once more, after a while."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Makes the calls that match it fail, after letting `skip` of them pass, `count` times."""

    action: Action | None
    """None matches every call."""
    kind: FaultKind
    vm_id: UUID | None = None
    """None matches every machine, and calls that are about none."""
    count: int | None = 1
    """None lifts it never."""
    skip: int = 0
    delay_seconds: float = 30.0
    """Of SLOW what it adds to the latency; of DUPLICATE how long the second one is under way."""
    host: str | None = None
    """None matches every host. Of the world's rules only, as the next one."""
    probability: float = 1.0
    """How likely a call that matches is struck; others pass and are not counted."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What befalls one call."""

    before: DriverError | None = None
    delay_seconds: float = 0.0
    after: DriverError | None = None
    again_after_seconds: float | None = None


UNHARMED: Final = Strike()


class Faults:
    """A script for one driver: the rules still in force. A call uses up at most one, the first that is due.

    The rules of the world, which every process keeps to, are in `faults_table`.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._scripts: list[_Script] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Put a rule in force, behind those that are."""
        self._scripts.append(_Script(rule, skip=rule.skip, count=math.inf if rule.count is None else rule.count))

    def strike(self, action: Action, vm_id: UUID | None = None) -> Strike:
        """Say what befalls this call, and count it."""
        if not self._scripts:
            return UNHARMED
        due = next((script for script in self._scripts if script.is_due(action, vm_id)), None)
        self._scripts = [script for script in self._scripts if script.count > 0]
        return UNHARMED if due is None else strike_of(due.rule, action)


@dataclass(slots=True)
class _Script:
    rule: Rule
    skip: int
    count: float

    def is_due(self, action: Action, vm_id: UUID | None) -> bool:
        """Count a call that matches; say whether it is one to strike."""
        if self.rule.action not in (None, action) or self.rule.vm_id not in (None, vm_id):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= 1
        return True


def strike_of(rule: Rule, action: Action) -> Strike:
    """Return what a rule does to a call."""
    what = f"The simulated {action} failed on purpose"
    match rule.kind:
        case FaultKind.UNAVAILABLE:
            return Strike(before=DriverUnavailable(f"{what}: the host is away.", code="HOST_UNAVAILABLE"))
        case FaultKind.REJECTED:
            return Strike(before=DriverRejected(f"{what}: the host refuses.", code="HOST_REJECTED"))
        case FaultKind.LOST_REPLY:
            return Strike(after=DriverUnavailable(f"{what}: the reply was lost.", code="LOST_REPLY"))
        case FaultKind.SLOW:
            return Strike(delay_seconds=rule.delay_seconds)
        case FaultKind.DUPLICATE:
            return Strike(again_after_seconds=rule.delay_seconds)
