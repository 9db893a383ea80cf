"""Hosts of the simulated world: what they offer, which of them takes a machine, and how they fail.

A host that is down has lost power: its machines are off, and start on another host, since disks lie
in storage that all hosts share. One that is unreachable runs on behind a broken network: nothing can
be asked of its machines and nothing ordered, and nobody knows whether they run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from zentry.compute.driver import DriverRejected, DriverUnavailable
from zentry.compute.types import HostState, Power, VMSpec


class Placement(StrEnum):
    """Which of the hosts with room takes a machine."""

    SPREAD = "spread"
    """The one with the most free memory, which keeps the largest hole for last."""
    PACK = "pack"
    """The one with the least free memory, which keeps hosts empty."""
    FIRST = "first"
    """The one with the lowest number."""


class Condition(StrEnum):
    """How a host is."""

    UP = "up"
    DOWN = "down"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many hosts there are, what each offers, and how machines are placed."""

    hosts: int
    vcpus: int
    memory_mib: int
    disk_gib: int = 32_768
    placement: Placement = Placement.SPREAD


class HostUnreachable(DriverUnavailable):
    """The machine's host cannot be reached; it may come back."""

    def __init__(self, host: str) -> None:
        super().__init__(f"The host {host} cannot be reached.", code="HOST_UNREACHABLE")


_ORDERS: Final[Mapping[Placement, str]] = {
    Placement.SPREAD: "memory_mib - memory_mib_used DESC, number",
    Placement.PACK: "memory_mib - memory_mib_used, number",
    Placement.FIRST: "number",
}
# What is offered is what the fleet says, less what was lost.
_LEFT: Final = "max(0, {0} * (100 - lost_percent) / 100)"


def place(connection: sqlite3.Connection, spec: VMSpec, placement: Placement) -> int:
    """Take room on a host and return its number; raises `DriverRejected` (`NO_CAPACITY`)."""
    row = connection.execute(
        f"""
        UPDATE hosts SET
            vcpus_used = vcpus_used + :vcpus,
            memory_mib_used = memory_mib_used + :memory_mib,
            disk_gib_used = disk_gib_used + :disk_gib,
            machines = machines + 1
        WHERE number = (
            SELECT number FROM hosts
            WHERE online AND NOT retired
                AND memory_mib - memory_mib_used >= :memory_mib AND vcpus - vcpus_used >= :vcpus
                AND disk_gib - disk_gib_used >= :disk_gib
            ORDER BY {_ORDERS[placement]} LIMIT 1
        )
        RETURNING number
        """,  # noqa: S608 - one of three orders, all of them above
        {"vcpus": spec.vcpus, "memory_mib": spec.memory_mib, "disk_gib": spec.disk_gib},
    ).fetchone()
    if row is None:
        message = (
            f"No host has room for {spec.vcpus} vCPUs, {spec.memory_mib} MiB of memory and {spec.disk_gib} GiB of disk."
        )
        raise DriverRejected(message, code="NO_CAPACITY")
    return int(row[0])


def leave(connection: sqlite3.Connection, host: int, size: tuple[int, int, int]) -> None:
    """Give back what a machine of so many vCPUs, MiB and GiB took of a host."""
    connection.execute(
        """
        UPDATE hosts SET
            vcpus_used = vcpus_used - ?,
            memory_mib_used = memory_mib_used - ?,
            disk_gib_used = disk_gib_used - ?,
            machines = machines - 1
        WHERE number = ?
        """,
        (*size, host),
    )


def move(connection: sqlite3.Connection, spec: VMSpec, placement: Placement) -> None:
    """Give a machine the size of a specification: on its own host if that has room and power, else on another."""
    vm_id = str(spec.vm_id)
    host, *size = connection.execute(
        "SELECT host, vcpus, memory_mib, disk_gib FROM machines WHERE vm_id = ?", (vm_id,)
    ).fetchone()
    vcpus, memory_mib, disk_gib = size
    more = {
        "host": host,
        "vcpus": spec.vcpus - vcpus,
        "memory_mib": spec.memory_mib - memory_mib,
        "disk_gib": spec.disk_gib - disk_gib,
    }
    fits = connection.execute(
        """
        UPDATE hosts SET
            vcpus_used = vcpus_used + :vcpus,
            memory_mib_used = memory_mib_used + :memory_mib,
            disk_gib_used = disk_gib_used + :disk_gib
        WHERE number = :host AND online
            AND (:vcpus <= 0 OR vcpus - vcpus_used >= :vcpus)
            AND (:memory_mib <= 0 OR memory_mib - memory_mib_used >= :memory_mib)
            AND (:disk_gib <= 0 OR disk_gib - disk_gib_used >= :disk_gib)
        RETURNING number
        """,
        more,
    ).fetchone()
    if fits is None:
        roomy = place(connection, spec, placement)
        leave(connection, host, (vcpus, memory_mib, disk_gib))
        host = roomy
    connection.execute(
        "UPDATE machines SET host = ?, vcpus = ?, memory_mib = ?, disk_gib = ?, instance_type = ? WHERE vm_id = ?",
        (host, spec.vcpus, spec.memory_mib, spec.disk_gib, spec.instance_type, vm_id),
    )


def rescue(connection: sqlite3.Connection, vm_id: UUID, placement: Placement) -> None:
    """Move a machine that is about to start away from a host that is down."""
    row = connection.execute(
        """
        SELECT machines.name, machines.vcpus, machines.memory_mib, machines.disk_gib, image, instance_type, ip_address
        FROM machines JOIN hosts ON hosts.number = machines.host WHERE vm_id = ? AND NOT hosts.online
        """,
        (str(vm_id),),
    ).fetchone()
    if row is not None:
        name, vcpus, memory_mib, disk_gib, image, type_, address = row
        move(connection, VMSpec(vm_id, name, vcpus, memory_mib, disk_gib, image, type_, address), placement)


def ensure_reachable(connection: sqlite3.Connection, vm_id: UUID) -> None:
    """Raise `HostUnreachable` for a machine whose host cannot be asked."""
    row = connection.execute(
        "SELECT hosts.name FROM machines JOIN hosts ON hosts.number = machines.host WHERE vm_id = ? AND hosts.cut_off",
        (str(vm_id),),
    ).fetchone()
    if row is not None:
        raise HostUnreachable(row[0])


def list_hosts(connection: sqlite3.Connection) -> list[HostState]:
    """Return every host, by number."""
    rows = connection.execute(
        """
        SELECT name, online, vcpus, vcpus_used, memory_mib, memory_mib_used, machines, disk_gib, disk_gib_used
        FROM hosts ORDER BY number
        """
    ).fetchall()
    return [HostState(row[0], bool(row[1]), *row[2:]) for row in rows]


def conditions(connection: sqlite3.Connection) -> dict[str, tuple[Condition, int]]:
    """Return each host's condition, and how many percent of what it offers are lost."""
    rows = connection.execute("SELECT name, online, cut_off, lost_percent FROM hosts ORDER BY number").fetchall()
    return {name: (_condition(online, cut_off), lost) for name, online, cut_off, lost in rows}


def change(
    connection: sqlite3.Connection, name: str, *, condition: Condition | None, lost_percent: int | None
) -> list[UUID] | None:
    """Change a host; return its machines that ran, where it has lost power, or None for an unknown host."""
    row = connection.execute("SELECT number FROM hosts WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    [number] = row
    if lost_percent is not None:
        connection.execute("UPDATE hosts SET lost_percent = ? WHERE number = ?", (lost_percent, number))
        _lose(connection, number)
    if condition is None:
        return []
    connection.execute(
        "UPDATE hosts SET online = ?, cut_off = ? WHERE number = ?",
        (condition is Condition.UP, condition is Condition.UNREACHABLE, number),
    )
    if condition is not Condition.DOWN:
        return []
    ran = connection.execute("SELECT vm_id FROM machines WHERE host = ? AND power = ?", (number, Power.ON)).fetchall()
    return [UUID(vm_id) for (vm_id,) in ran]


def settle(connection: sqlite3.Connection, fleet: Fleet) -> None:
    """Bring the hosts in line with the fleet: new ones come, surplus ones take no more and go when they are empty."""
    connection.execute("DELETE FROM hosts WHERE number > ? AND machines = 0", (fleet.hosts,))
    connection.execute("UPDATE hosts SET retired = number > ?", (fleet.hosts,))
    connection.executemany(
        """
        INSERT INTO hosts (number, name, full_vcpus, full_memory_mib, full_disk_gib, vcpus, memory_mib)
        VALUES (?, ?, ?, ?, ?, 0, 0)
        ON CONFLICT (number) DO UPDATE SET
            full_vcpus = excluded.full_vcpus,
            full_memory_mib = excluded.full_memory_mib,
            full_disk_gib = excluded.full_disk_gib
        """,
        (
            (number, f"host-{number}", fleet.vcpus, fleet.memory_mib, fleet.disk_gib)
            for number in range(1, fleet.hosts + 1)
        ),
    )
    _lose(connection)


def _lose(connection: sqlite3.Connection, number: int | None = None) -> None:
    offered: dict[str, Any] = {name: _LEFT.format(f"full_{name}") for name in ("vcpus", "memory_mib", "disk_gib")}
    changes = ", ".join(f"{name} = {value}" for name, value in offered.items())
    connection.execute(
        f"UPDATE hosts SET {changes} WHERE full_vcpus > 0 AND (? IS NULL OR number = ?)",  # noqa: S608 - names from here
        (number, number),
    )


def _condition(online: int, cut_off: int) -> Condition:
    if cut_off:
        return Condition.UNREACHABLE
    return Condition.UP if online else Condition.DOWN
