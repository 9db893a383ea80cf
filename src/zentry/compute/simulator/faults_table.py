"""Rules of failure that lie in the world, so that every process that shares it keeps to them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from zentry.compute.simulator.chance import key_of, uniform
from zentry.compute.simulator.faults import FaultKind, Rule
from zentry.compute.simulator.orders import Action

_COLUMNS: Final = "id, hits, action, kind, vm_id, count, skip, delay_seconds, host, probability"


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule in force; its `count` and `skip` are what is left of them."""

    id: int
    hits: int
    """How many calls it has struck."""
    rule: Rule


def list_faults(connection: sqlite3.Connection) -> list[Fault]:
    """Return the rules in force, the oldest first."""
    return [_fault(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM faults ORDER BY id")]  # noqa: S608 - columns from above


def is_any(connection: sqlite3.Connection) -> bool:
    """Tell whether any rule is in force."""
    return connection.execute("SELECT 1 FROM faults LIMIT 1").fetchone() is not None


def add(connection: sqlite3.Connection, rule: Rule) -> Fault:
    """Put a rule in force."""
    [fault_id] = connection.execute(
        """
        INSERT INTO faults (action, kind, vm_id, host, probability, skip, count, delay_seconds)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id
        """,
        (
            rule.action,
            rule.kind,
            None if rule.vm_id is None else str(rule.vm_id),
            rule.host,
            rule.probability,
            rule.skip,
            rule.count,
            rule.delay_seconds,
        ),
    ).fetchone()
    return Fault(fault_id, 0, rule)


def remove(connection: sqlite3.Connection, fault_id: int | None) -> int:
    """Lift a rule, or all of them; return how many there were."""
    return connection.execute("DELETE FROM faults WHERE ? IS NULL OR id = ?", (fault_id, fault_id)).rowcount


def strike(connection: sqlite3.Connection, action: Action, vm_id: UUID | None, *, seed: int) -> Rule | None:
    """Return the first rule that matches a call and is due, and count the call with all before it."""
    matching = connection.execute(
        f"""
        SELECT {_COLUMNS}, draws FROM faults
        WHERE (action IS NULL OR action = :action)
            AND (vm_id IS NULL OR vm_id = :vm_id)
            AND (host IS NULL OR host = (
                SELECT hosts.name FROM machines JOIN hosts ON hosts.number = machines.host WHERE machines.vm_id = :vm_id
            ))
        ORDER BY id
        """,  # noqa: S608 - columns from above
        {"action": action, "vm_id": None if vm_id is None else str(vm_id)},
    ).fetchall()
    for *row, draws in matching:
        fault = _fault(tuple(row))
        connection.execute("UPDATE faults SET draws = draws + 1 WHERE id = ?", (fault.id,))
        if uniform(key_of("fault", seed, fault.id), draws) >= fault.rule.probability:
            continue
        if fault.rule.skip > 0:
            connection.execute("UPDATE faults SET skip = skip - 1 WHERE id = ?", (fault.id,))
            continue
        connection.execute("UPDATE faults SET count = count - 1, hits = hits + 1 WHERE id = ?", (fault.id,))
        connection.execute("DELETE FROM faults WHERE count <= 0")
        return fault.rule
    return None


def _fault(row: tuple[Any, ...]) -> Fault:
    fault_id, hits, action, kind, vm_id, *rest = row
    named = None if action is None else Action(action)
    return Fault(fault_id, hits, Rule(named, FaultKind(kind), None if vm_id is None else UUID(vm_id), *rest))
