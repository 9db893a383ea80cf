"""Disks of the simulated world: taking, restoring and removing snapshots, and beginning afresh from an image."""

from __future__ import annotations

import sqlite3
from typing import Final

from zentry.compute.driver import DriverRejected
from zentry.compute.simulator.orders import Action, Order
from zentry.compute.types import Power

ACTIONS: Final = frozenset({Action.SNAPSHOT, Action.RESTORE, Action.DELETE_SNAPSHOT, Action.REBUILD})
_REPLACES: Final = frozenset({Action.RESTORE, Action.REBUILD})


def is_due(connection: sqlite3.Connection, order: Order, power: str | None) -> bool:
    """Say whether anything is left to do for an order about a disk; the machine's power is None where it is gone."""
    if order.action is Action.DELETE_SNAPSHOT:
        return _has_snapshot(connection, order)
    if power is None:
        message = f"The simulator has no machine {order.vm_id}; it has to be created first."
        raise DriverRejected(message, code="UNKNOWN_MACHINE")
    if order.action is Action.SNAPSHOT:
        return not _has_snapshot(connection, order)
    query = "SELECT 1 FROM reboots WHERE vm_id = ? AND order_id = ?"
    if connection.execute(query, (str(order.vm_id), str(order.order))).fetchone():
        return False
    if power == Power.ON:
        message = f"The machine {order.vm_id} runs; it has to be stopped before its disk is replaced."
        raise DriverRejected(message, code="MACHINE_RUNNING")
    if order.action is Action.RESTORE:
        ensure_snapshot(connection, order)
    return True


def apply(connection: sqlite3.Connection, order: Order) -> None:
    """Do what the order wants of the disk."""
    vm_id = str(order.vm_id)
    if order.action is Action.SNAPSHOT:
        connection.execute(
            "INSERT INTO snapshots SELECT ?, vm_id, disk_gib, image FROM machines WHERE vm_id = ?",
            (str(order.snapshot_id), vm_id),
        )
    elif order.action is Action.DELETE_SNAPSHOT:
        connection.execute("DELETE FROM snapshots WHERE snapshot_id = ?", (str(order.snapshot_id),))
    else:
        assert order.action in _REPLACES, order.action
        connection.execute("INSERT INTO reboots VALUES (?, ?)", (vm_id, str(order.order)))
        if order.spec is not None:
            connection.execute("UPDATE machines SET image = ? WHERE vm_id = ?", (order.spec.image, vm_id))
        else:
            image = "(SELECT image FROM snapshots WHERE snapshot_id = ?)"
            statement = f"UPDATE machines SET image = {image} WHERE vm_id = ?"  # noqa: S608 - both parts stand here
            connection.execute(statement, (str(order.snapshot_id), vm_id))


def ensure_snapshot(connection: sqlite3.Connection, order: Order) -> None:
    """Raise `DriverRejected` (`UNKNOWN_SNAPSHOT`) when what the disk is to come from is not there."""
    if not _has_snapshot(connection, order):
        message = f"The simulator has no snapshot {order.snapshot_id}."
        raise DriverRejected(message, code="UNKNOWN_SNAPSHOT")


def _has_snapshot(connection: sqlite3.Connection, order: Order) -> bool:
    query = "SELECT 1 FROM snapshots WHERE snapshot_id = ?"
    return connection.execute(query, (str(order.snapshot_id),)).fetchone() is not None
