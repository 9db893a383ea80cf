"""What goes wrong by chance: the driver's faults, drawn for each order, and the fates of worker processes."""

from __future__ import annotations

from random import Random
from typing import Final
from uuid import UUID

from zentry.compute.simulator.faults import FaultKind, Faults, Rule, Strike
from zentry.compute.simulator.orders import Action
from zentry.simulation.scenario import FaultTable

_ORDERS: Final = frozenset({Action.CREATE, Action.START, Action.STOP, Action.REBOOT, Action.REMOVE})
# A host that refuses for good to stop or remove a machine would leave it to a person.
_REFUSABLE: Final = frozenset({Action.CREATE, Action.START, Action.REBOOT})


class Chaos:
    """Decides by chance, from one source, until it is told to rest."""

    def __init__(self, table: FaultTable, random: Random) -> None:
        self.table = table
        self.random = random
        self.is_resting = False

    def happens(self, chance: float) -> bool:
        """Decide whether something with this chance happens now; what cannot happen draws nothing."""
        return chance > 0 and not self.is_resting and self.random.random() < chance


class ChanceFaults(Faults):
    """The simulator's faults: besides the rules that were added, each order fails by chance."""

    def __init__(self, chaos: Chaos) -> None:
        super().__init__()
        self._chaos = chaos

    def strike(self, action: Action, vm_id: UUID | None = None) -> Strike:
        """Say what befalls this call, and count it."""
        kind = self._drawn(action)
        if kind is not None:
            self.add(Rule(action, kind, vm_id=vm_id, delay_seconds=self._chaos.table.slow_seconds))
        return super().strike(action, vm_id)

    def _drawn(self, action: Action) -> FaultKind | None:
        table = self._chaos.table
        total = table.unavailable + table.rejected + table.lost_reply + table.slow
        if action not in _ORDERS or not self._chaos.happens(total):
            return None
        draw = self._chaos.random.random() * total
        for kind, chance in (
            (FaultKind.UNAVAILABLE, table.unavailable),
            (FaultKind.LOST_REPLY, table.lost_reply),
            (FaultKind.SLOW, table.slow),
        ):
            draw -= chance
            if draw < 0:
                return kind
        return FaultKind.REJECTED if action in _REFUSABLE else FaultKind.UNAVAILABLE
