"""When an alert fires: a pure function from one judgement to the next.

    ok ──breach──▶ pending ──breach for long enough──▶ firing ──clear for long enough──▶ resolved
     ▲                │                                                                    │
     └─no breach──────┘                          pending ◀──────────────────breach─────────┘

A value breaches beyond the threshold and is clear on the other side of the clear threshold; in between,
and where nothing was measured, it is neither. What is pending needs an unbroken run of breaches, what
is firing an unbroken run of clear values: a gap ends either run and by itself changes nothing that fires.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class AlertState(StrEnum):
    """Where an alert stands; `resolved` is `ok` after it has fired."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Comparison(StrEnum):
    """On which side of its threshold a value breaches."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is judged; `fire_after` and `resolve_after` are how long a run must last."""

    comparison: Comparison
    threshold: float
    clear_threshold: float
    fire_after: timedelta = timedelta(0)
    resolve_after: timedelta = timedelta(0)

    def breaches(self, value: float | None) -> bool:
        """Tell whether a value lies beyond the threshold."""
        if value is None:
            return False
        return value > self.threshold if self.comparison is Comparison.ABOVE else value < self.threshold

    def is_clear(self, value: float | None) -> bool:
        """Tell whether a value lies safely on the good side."""
        if value is None:
            return False
        above = self.comparison is Comparison.ABOVE
        return value <= self.clear_threshold if above else value >= self.clear_threshold


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands, since when, and the run that may change that."""

    state: AlertState
    since: datetime
    run_since: datetime | None = None
    """When the present run of breaches (while pending) or of clear values (while firing) began."""


def judge(standing: Standing, rule: Rule, value: float | None, *, now: datetime) -> Standing:
    """Return where the alert stands after a value; the same object where nothing has changed."""
    if standing.state is AlertState.FIRING:
        return _while_firing(standing, rule, value, now)
    return _before_firing(standing, rule, value, now)


def _before_firing(standing: Standing, rule: Rule, value: float | None, now: datetime) -> Standing:
    pending = standing.state is AlertState.PENDING
    if not rule.breaches(value):
        return Standing(AlertState.OK, now) if pending else standing
    began = standing.run_since if pending and standing.run_since else now
    if now - began >= rule.fire_after:
        return Standing(AlertState.FIRING, now)
    return standing if pending else Standing(AlertState.PENDING, now, began)


def _while_firing(standing: Standing, rule: Rule, value: float | None, now: datetime) -> Standing:
    if not rule.is_clear(value):
        return replace(standing, run_since=None) if standing.run_since else standing
    began = standing.run_since or now
    if now - began >= rule.resolve_after:
        return Standing(AlertState.RESOLVED, now)
    return replace(standing, run_since=began) if standing.run_since is None else standing
