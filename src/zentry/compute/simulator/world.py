"""The simulated hosts and machines, in a SQLite file of their own.

The world outlives the process, as a hypervisor's does, and several workers share it. Each order is
one `BEGIN IMMEDIATE` transaction, so orders of different processes follow one another and what one
of them read still holds when it writes. `synchronous=OFF` loses nothing when a process is killed;
only a power cut could, and a simulated machine need not outlive that.

Statements take microseconds and no transaction waits for anything, so callers run them right on
the event loop: a thread would cost more than the work, and would let virtual time jump.

`hosts` places machines and lets hosts fail, `disks` keeps snapshots, `faults_table` the rules of failure.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from zentry.compute.driver import DriverRejected, DriverUnavailable, StaleFence
from zentry.compute.simulator import disks, faults_table, hosts
from zentry.compute.simulator.console import Booted
from zentry.compute.simulator.faults import Rule
from zentry.compute.simulator.faults_table import Fault
from zentry.compute.simulator.hosts import Condition, Fleet
from zentry.compute.simulator.load import Subject
from zentry.compute.simulator.orders import Action, Order
from zentry.compute.simulator.tables import LATER, SCHEMA, VERSION
from zentry.compute.types import HostState, Observation, Power, VMSpec

BUSY_SECONDS: Final = 10.0
"""How long to wait for another process that writes; it takes well under a millisecond."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_id: Final = lru_cache(maxsize=16_384)(UUID)
"""The id that a text says; the same machines are asked for again and again."""
_MAY_PASS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL})


@dataclass(frozen=True, slots=True)
class Past:
    """A machine as it was at some instant."""

    subject: Subject
    created_at: datetime
    running: bool
    rested: timedelta
    """How long it had stood still until then."""


class World:
    """The state behind the simulator. Every method is one transaction.

    They raise `DriverUnavailable` (`WORLD_BUSY`) when the file cannot be had for now.
    """

    def __init__(self, path: Path | str, *, fleet: Fleet, busy_seconds: float = BUSY_SECONDS) -> None:
        """Open the world, make it where there is none, and bring its hosts in line with the fleet.

        Hosts beyond the fleet's number take no more machines, and go once they are empty and the
        world is opened again. Raises `DriverRejected` (`WORLD_UNUSABLE`) when the file cannot be
        opened, is no database, or was made by another version.
        """
        self.placement = fleet.placement
        try:
            # The thread that builds the driver need not be the one whose event loop uses it.
            with _one_opens(path):
                self._connection = sqlite3.connect(
                    path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
                )
                try:
                    self._prepare(fleet)
                except BaseException:
                    self._connection.close()
                    raise
        except (OSError, sqlite3.Error) as error:
            message = f"The simulator's world {path} cannot be opened: is it a file that may be read and written?"
            raise DriverRejected(message, code="WORLD_UNUSABLE") from error

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._connection.close()

    def admit(self, order: Order) -> bool:
        """Remember the order's fence and say whether anything is left to do for it.

        Raises `StaleFence` for a fence below the highest seen, and `DriverRejected`
        (`UNKNOWN_MACHINE`) for an order that needs a machine where there is none.
        """
        with self._transaction():
            return self._is_due(order)

    def carry_out(self, order: Order, *, at: datetime) -> bool:
        """Do what the order wants, and say whether that was anything; raises as `admit` does.

        Raises `DriverRejected` (`NO_CAPACITY`) when no host has room for a new machine.
        """
        with self._transaction():
            if not self._is_due(order):
                return False
            self._apply(order, at)
            self._connection.execute(
                "INSERT INTO effects VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                (str(order.vm_id), order.action),
            )
            return True

    def observe(self, vm_ids: Sequence[UUID]) -> dict[UUID, Observation]:
        """Return what is known of these machines."""
        rows = self._read(
            "SELECT * FROM observations WHERE vm_id IN (SELECT value FROM json_each(?))", (_json(vm_ids),)
        )
        return {observation.vm_id: observation for observation in map(_observation, rows)}

    def inventory(self, *, after: UUID | None = None, limit: int | None = None) -> list[Observation]:
        """Return machines by id: those behind `after`, at most `limit` of them."""
        rows = self._read(
            "SELECT * FROM observations WHERE vm_id > ? ORDER BY vm_id LIMIT ?",
            ("" if after is None else str(after), -1 if limit is None else limit),
        )
        return [_observation(row) for row in rows]

    def hosts(self) -> list[HostState]:
        """Return every host, by number."""
        with _translated():
            return hosts.list_hosts(self._connection)

    def conditions(self) -> dict[str, tuple[Condition, int]]:
        """Return how each host is, and how many percent of what it offers are lost."""
        with _translated():
            return hosts.conditions(self._connection)

    def change_host(
        self, name: str, *, condition: Condition | None = None, lost_percent: int | None = None, at: datetime
    ) -> list[UUID] | None:
        """Let a host fail or come back; return its machines that have lost power, or None for an unknown host."""
        with self._transaction():
            ran = hosts.change(self._connection, name, condition=condition, lost_percent=lost_percent)
            for vm_id in ran or ():
                self._turn(vm_id, Power.OFF, _microseconds(at))
        return ran

    def list_faults(self) -> list[Fault]:
        """Return the rules in force, the oldest first."""
        with _translated():
            return faults_table.list_faults(self._connection)

    def add_fault(self, rule: Rule) -> Fault:
        """Put a rule in force for every process that shares the world."""
        with self._transaction():
            return faults_table.add(self._connection, rule)

    def remove_faults(self, fault_id: int | None = None) -> int:
        """Lift a rule, or all of them; return how many there were."""
        with self._transaction():
            return faults_table.remove(self._connection, fault_id)

    def strike(self, action: Action, vm_id: UUID | None, *, seed: int) -> Rule | None:
        """Return the rule that befalls a call, and count it; the first that matches and is due."""
        with _translated():
            if not faults_table.is_any(self._connection):
                return None
        with self._transaction():
            return faults_table.strike(self._connection, action, vm_id, seed=seed)

    def reachable(self, vm_ids: Sequence[UUID]) -> list[UUID]:
        """Return those of these machines whose hosts can be asked, in the given order."""
        rows = self._read(
            """
            SELECT vm_id FROM json_each(?) AS wanted
            CROSS JOIN machines ON machines.vm_id = wanted.value JOIN hosts ON hosts.number = machines.host
            WHERE NOT hosts.cut_off ORDER BY wanted.key
            """,
            (_json(vm_ids),),
        )
        return [_id(row[0]) for row in rows]

    def past(self, vm_ids: Sequence[UUID], *, at: datetime) -> list[Past]:
        """Return these machines as they were at an instant, without those that did not exist then."""
        at_us = _microseconds(at)
        rows = self._read(
            """
            SELECT machines.vm_id, vcpus, memory_mib, disk_gib, created_us, change.power, at_us, rested_us
            FROM json_each(?) AS wanted
            CROSS JOIN machines ON machines.vm_id = wanted.value
            CROSS JOIN power_changes AS change ON change.vm_id = machines.vm_id
            WHERE (change.at_us, change.number) = (
                SELECT at_us, number FROM power_changes WHERE vm_id = machines.vm_id AND at_us <= ?
                ORDER BY at_us DESC, number DESC LIMIT 1
            )
            ORDER BY wanted.key
            """,
            (_json(vm_ids), at_us),
        )
        return [_past(row, at_us) for row in rows]

    def last_boot(self, vm_id: UUID) -> Booted | None:
        """Return a machine with its last boot, None before the first; `DriverRejected` when it is not there."""
        machines = self._read(
            """
            SELECT name, vcpus, memory_mib, disk_gib, image, ip_address, user_data_bytes
            FROM machines WHERE vm_id = ?
            """,
            (str(vm_id),),
        )
        if not machines:
            message = f"The simulator has no machine {vm_id}; it has to be created first."
            raise DriverRejected(message, code="UNKNOWN_MACHINE")
        with _translated():
            hosts.ensure_reachable(self._connection, vm_id)
        changes = self._read(
            "SELECT power, at_us FROM power_changes WHERE vm_id = ? ORDER BY at_us DESC, number DESC LIMIT 2",
            (str(vm_id),),
        )
        booted = next((at_us for power, at_us in changes if power == Power.ON), None)
        if booted is None:
            return None
        stopped = _instant(changes[0][1]) if changes[0][0] == Power.OFF else None
        name, vcpus, memory_mib, disk_gib, image, ip_address, user_data_bytes = machines[0]
        return Booted(
            vm_id,
            name,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=disk_gib,
            image=image,
            ip_address=ip_address,
            booted_at=_instant(booted),
            stopped_at=stopped,
            user_data_bytes=user_data_bytes,
        )

    def effects(self, vm_id: UUID) -> Mapping[Action, int]:
        """Return how often each action really did something to the machine, also to one that is gone."""
        rows = self._read("SELECT action, times FROM effects WHERE vm_id = ?", (str(vm_id),))
        return {Action(action): times for action, times in rows}

    def _is_due(self, order: Order) -> bool:
        self._remember_fence(order)
        hosts.ensure_reachable(self._connection, order.vm_id)
        power = self._value("SELECT power FROM machines WHERE vm_id = ?", (str(order.vm_id),))
        if order.action in disks.ACTIONS:
            return disks.is_due(self._connection, order, power)
        if order.action is Action.CREATE:
            if power is None and order.spec is not None and order.spec.snapshot_id is not None:
                disks.ensure_snapshot(self._connection, replace(order, snapshot_id=order.spec.snapshot_id))
            return power is None
        if order.action is Action.REMOVE:
            return power is not None
        if power is None:
            message = f"The simulator has no machine {order.vm_id}; it has to be created first."
            raise DriverRejected(message, code="UNKNOWN_MACHINE")
        if order.action is Action.RESIZE:
            return self._is_resize_due(order, power)
        if order.action is Action.REBOOT:
            query = "SELECT 1 FROM reboots WHERE vm_id = ? AND order_id = ?"
            return self._value(query, (str(order.vm_id), str(order.order))) is None
        return bool(power != (Power.ON if order.action is Action.START else Power.OFF))

    def _remember_fence(self, order: Order) -> None:
        seen = self._value("SELECT fence FROM fences WHERE vm_id = ?", (str(order.vm_id),))
        if seen is not None and seen > order.fence:
            raise StaleFence(seen=seen, given=order.fence)
        if seen != order.fence:
            self._connection.execute("INSERT OR REPLACE INTO fences VALUES (?, ?)", (str(order.vm_id), order.fence))

    def _apply(self, order: Order, at: datetime) -> None:
        match order.action:
            case Action.CREATE:
                assert order.spec is not None, "a machine is created from a specification"
                self._create(order.spec, _microseconds(at))
            case Action.START:
                hosts.rescue(self._connection, order.vm_id, self.placement)
                self._turn(order.vm_id, Power.ON, _microseconds(at))
            case Action.STOP:
                self._turn(order.vm_id, Power.OFF, _microseconds(at))
            case Action.REBOOT:
                hosts.rescue(self._connection, order.vm_id, self.placement)
                self._connection.execute("INSERT INTO reboots VALUES (?, ?)", (str(order.vm_id), str(order.order)))
                self._turn(order.vm_id, Power.ON, _microseconds(at))
            case Action.RESIZE:
                assert order.spec is not None, "a machine is resized to a specification"
                disk_gib = self._value("SELECT disk_gib FROM machines WHERE vm_id = ?", (str(order.vm_id),))
                spec = replace(order.spec, disk_gib=max(disk_gib, order.spec.disk_gib))
                hosts.move(self._connection, spec, self.placement)
            case Action.REMOVE:
                self._remove(order.vm_id)
            case action if action in disks.ACTIONS:
                disks.apply(self._connection, order)
            case _:
                raise AssertionError(order.action)

    def _create(self, spec: VMSpec, at_us: int) -> None:
        vm_id = str(spec.vm_id)
        host = hosts.place(self._connection, spec, self.placement)
        self._connection.execute(
            "INSERT INTO machines VALUES (?, ?, 'off', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                vm_id,
                host,
                spec.name,
                spec.vcpus,
                spec.memory_mib,
                spec.disk_gib,
                spec.image,
                spec.instance_type,
                spec.ip_address,
                at_us,
                len(spec.user_data.encode()),
            ),
        )
        self._connection.execute("INSERT INTO power_changes VALUES (?, 0, ?, 'off', 0)", (vm_id, at_us))

    def _is_resize_due(self, order: Order, power: str) -> bool:
        assert order.spec is not None, "a machine is resized to a specification"
        spec = order.spec
        query = "SELECT vcpus, memory_mib, disk_gib, instance_type FROM machines WHERE vm_id = ?"
        vcpus, memory_mib, disk_gib, type_ = self._connection.execute(query, (str(order.vm_id),)).fetchone()
        if (vcpus, memory_mib, type_) == (
            spec.vcpus,
            spec.memory_mib,
            spec.instance_type,
        ) and disk_gib >= spec.disk_gib:
            return False
        if power == Power.ON:
            message = f"The machine {order.vm_id} runs; it has to be stopped before it is resized."
            raise DriverRejected(message, code="MACHINE_RUNNING")
        return True

    def _turn(self, vm_id: UUID, power: Power, at_us: int) -> None:
        """Set the power; its past stays in order even if a worker's clock is behind another's."""
        number, last_us, last_power, rested_us = self._connection.execute(
            """
            SELECT number, at_us, power, rested_us FROM power_changes WHERE vm_id = ?
            ORDER BY at_us DESC, number DESC LIMIT 1
            """,
            (str(vm_id),),
        ).fetchone()
        if last_power == power:
            return
        at_us = max(at_us, last_us)
        if last_power == Power.OFF:
            rested_us += at_us - last_us
        self._connection.execute(
            "INSERT INTO power_changes VALUES (?, ?, ?, ?, ?)", (str(vm_id), number + 1, at_us, power, rested_us)
        )
        self._connection.execute("UPDATE machines SET power = ? WHERE vm_id = ?", (power, str(vm_id)))

    def _remove(self, vm_id: UUID) -> None:
        host, *size = self._connection.execute(
            "DELETE FROM machines WHERE vm_id = ? RETURNING host, vcpus, memory_mib, disk_gib", (str(vm_id),)
        ).fetchone()
        hosts.leave(self._connection, host, tuple(size))

    def _prepare(self, fleet: Fleet) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self._transaction():
            version = self._value("PRAGMA user_version")
            if version in {0, *LATER}:
                later = chain(*(LATER[older] for older in sorted(LATER) if older >= version))
                for statement in chain(() if version else SCHEMA, later):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                message = f"The simulator's world has version {version}, this program needs {VERSION}: move it away."
                raise DriverRejected(message, code="WORLD_UNUSABLE")
            hosts.settle(self._connection, fleet)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, and also when an order is refused: its fence has been seen all the same."""
        with _translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except (DriverRejected, hosts.HostUnreachable):
                self._connection.execute("COMMIT")
                raise
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _read(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with _translated():
            return self._connection.execute(query, parameters).fetchall()

    def _value(self, query: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> Any:
        row = self._connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]


@contextmanager
def _one_opens(path: Path | str) -> Iterator[None]:
    """Let processes open the world one after another: SQLite does not wait its turn to switch to WAL."""
    if not isinstance(path, Path):
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        # Extended codes carry their family in the low byte.
        if error.sqlite_errorcode & 0xFF not in _MAY_PASS:
            raise
        message = "The simulator's world is busy or its disk is full; trying again may help."
        raise DriverUnavailable(message, code="WORLD_BUSY") from error


def _observation(row: tuple[Any, ...]) -> Observation:
    vm_id, power, fence, host = row
    return Observation(_id(vm_id), Power(power), fence, host)


def _past(row: tuple[Any, ...], at_us: int) -> Past:
    vm_id, vcpus, memory_mib, disk_gib, created_us, power, changed_us, rested_us = row
    running = power == Power.ON
    return Past(
        subject=Subject(_id(vm_id), vcpus, memory_mib, disk_gib),
        created_at=_EPOCH + created_us * _MICROSECOND,
        running=running,
        rested=(rested_us + (0 if running else at_us - changed_us)) * _MICROSECOND,
    )


def _json(vm_ids: Sequence[UUID]) -> str:
    return json.dumps([str(vm_id) for vm_id in dict.fromkeys(vm_ids)])


def _instant(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
