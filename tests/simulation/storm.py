"""Bad weather: two hours of five users, the same of a crowd, and the short life of one user's machine.

A skirmish costs a tenth of a storm and has as many deaths for each order; a storm has users, machines and credit that
get into each other's way.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from zentry.platform.db.synchronous import MemoryStore
from zentry.simulation.outcome import Outcome
from zentry.simulation.scenario import parse_scenario
from zentry.simulation.simulation import Simulation, SimulationTools

STORM: Final[dict[str, Any]] = {
    "title": "A storm",
    "days": 2 / 24,
    "users": {"count": 5, "arrive_within_hours": 0.25, "decide_every_hours": 0.5},
    "machines": {"per_user": 1, "lifetime_hours": 2, "fiddle": 0.6, "haste": 0.35},
    "top_ups": {"share": 0.5, "below_credits": 0.1, "amount": 0.5},
    "workers": {"count": 2, "restart_seconds": 20},
    "faults": {
        "unavailable": 0.08,
        "rejected": 0.03,
        "lost_reply": 0.06,
        "slow": 0.05,
        "kill": 0.004,
        "freeze": 0.008,
        "freeze_seconds": 120,
        "jitter": 0.02,
    },
    "host_failures": {"every_hours": 0.5, "back_after_minutes": 8},
    "settings": {
        "reconciler": {"interval_seconds": 300, "orphan_grace_seconds": 300},
        "simulator": {"hosts": 4, "boot_seconds": 12, "action_seconds": 4},
        "operations": {"lease_seconds": 60},
        "billing": {"welcome_credits": 0.3, "meter_interval_seconds": 120},
    },
}
SKIRMISH: Final[dict[str, Any]] = {
    "title": "A skirmish",
    "days": 10 / 1440,
    "users": {"count": 1, "arrive_within_hours": 0.01, "decide_every_hours": 0.025},
    "machines": {"per_user": 1, "lifetime_hours": 0.12, "fiddle": 0.7, "haste": 0.4},
    "faults": {**STORM["faults"], "kill": 0.008, "freeze": 0.012, "freeze_seconds": 60},
    "settings": {
        **STORM["settings"],
        "operations": {"lease_seconds": 30},
        # What is looked for in vain in most of them is looked for less often: a fifth of the work.
        "monitoring": {"alert_seconds": 300},
        "mail": {"poll_seconds": 300},
    },
}
# Workers that stand still in the middle of an order while others go on, and users who change their minds meanwhile.
ZOMBIES: Final[dict[str, Any]] = {
    "host_failures": {},  # A machine that differs from its row is a fault at once.
    "machines": {"per_user": 1, "lifetime_hours": 1, "fiddle": 0.9, "haste": 0.6},
    "faults": {"slow": 0.2, "slow_seconds": 40, "freeze": 0.05, "freeze_seconds": 240},
}

# Two hours of many who make, change and delete machines all the time, and of whom nearly all go on paying: four times
# as many orders for a second of computing as in a storm.
CROWD: Final[dict[str, Any]] = {
    "title": "A crowd",
    "users": {"count": 20, "arrive_within_hours": 0.1, "decide_every_hours": 0.05},
    "machines": {"per_user": 2, "lifetime_hours": 0.5, "fiddle": 0.8, "haste": 0.35},
    "top_ups": {"share": 0.9, "below_credits": 0.1, "amount": 0.5},
    "settings": {
        **STORM["settings"],
        "simulator": {"hosts": 10, "boot_seconds": 12, "action_seconds": 4},
        "monitoring": {"alert_seconds": 300},
        "mail": {"poll_seconds": 300},
    },
}


@cache
def store() -> MemoryStore:
    """Return the memory that every simulation of this process uses, one after another."""
    return MemoryStore()


def simulate(seed: int, *, tools: SimulationTools | None = None, **changes: Any) -> Outcome:
    """Run the storm with one seed."""
    scenario = parse_scenario({**STORM, **changes}, name="storm")
    return Simulation(scenario, seed=seed, store=store(), tools=tools).run()


def broken(outcome: Outcome) -> list[str]:
    """Return what is broken, with the seed that shows it."""
    return [f"seed {outcome.seed}: {sentence}" for sentence in outcome.broken]
