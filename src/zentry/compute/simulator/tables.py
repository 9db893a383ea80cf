"""The tables of the simulated world.

Machine ids are text in canonical form and instants are microseconds since 1970, so that a reader
with the `sqlite3` program finds its way.

- `hosts` carries what is used of it, so that placing a machine reads one index entry, not every machine. What it
  offers is what it has when it is whole (`full_…`), less `lost_percent`.
- `fences` outlives machines, because an old order may arrive long after its machine is gone.
- `power_changes` is a machine's past; `rested_us` is how long it had stood still when the change came.
- `reboots` are the orders to reboot a machine or to replace its disk that were carried out, each once.
- `snapshots` outlive machines.
- `faults` are the rules that every process keeps to; `draws` counts the calls that a rule was asked about.
- `effects` counts what really happened, for tests that kill workers.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 3
"""Kept in the file as `user_version`."""

SCHEMA: Final = (
    """
    CREATE TABLE hosts (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        online INTEGER NOT NULL DEFAULT 1,
        retired INTEGER NOT NULL DEFAULT 0,
        vcpus INTEGER NOT NULL,
        memory_mib INTEGER NOT NULL,
        vcpus_used INTEGER NOT NULL DEFAULT 0 CHECK (vcpus_used >= 0),
        memory_mib_used INTEGER NOT NULL DEFAULT 0 CHECK (memory_mib_used >= 0),
        machines INTEGER NOT NULL DEFAULT 0 CHECK (machines >= 0)
    )
    """,
    """
    CREATE INDEX ix_hosts_free_memory ON hosts (memory_mib - memory_mib_used DESC, number)
    WHERE online AND NOT retired
    """,
    "CREATE TABLE fences (vm_id TEXT PRIMARY KEY, fence INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE machines (
        vm_id TEXT PRIMARY KEY,
        host INTEGER NOT NULL REFERENCES hosts (number),
        power TEXT NOT NULL CHECK (power IN ('on', 'off')),
        name TEXT NOT NULL,
        vcpus INTEGER NOT NULL CHECK (vcpus > 0),
        memory_mib INTEGER NOT NULL CHECK (memory_mib > 0),
        disk_gib INTEGER NOT NULL CHECK (disk_gib > 0),
        image TEXT NOT NULL,
        instance_type TEXT NOT NULL,
        ip_address TEXT NOT NULL,
        created_us INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE power_changes (
        vm_id TEXT NOT NULL REFERENCES machines (vm_id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        at_us INTEGER NOT NULL,
        power TEXT NOT NULL,
        rested_us INTEGER NOT NULL,
        PRIMARY KEY (vm_id, at_us, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE reboots (
        vm_id TEXT NOT NULL REFERENCES machines (vm_id) ON DELETE CASCADE,
        order_id TEXT NOT NULL,
        PRIMARY KEY (vm_id, order_id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE effects (
        vm_id TEXT NOT NULL,
        action TEXT NOT NULL,
        times INTEGER NOT NULL,
        PRIMARY KEY (vm_id, action)
    ) WITHOUT ROWID
    """,
    """
    CREATE VIEW observations AS
    SELECT machines.vm_id, machines.power, fences.fence, hosts.name AS host
    FROM machines JOIN fences USING (vm_id) JOIN hosts ON hosts.number = machines.host
    """,
)

LATER: Final = {
    1: (
        """
        CREATE TABLE snapshots (
            snapshot_id TEXT PRIMARY KEY,
            vm_id TEXT NOT NULL,
            disk_gib INTEGER NOT NULL,
            image TEXT NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    2: (
        "ALTER TABLE machines ADD COLUMN user_data_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN disk_gib INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN disk_gib_used INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN full_vcpus INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN full_memory_mib INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN full_disk_gib INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN lost_percent INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE hosts ADD COLUMN cut_off INTEGER NOT NULL DEFAULT 0",
        """
        UPDATE hosts SET disk_gib_used = coalesce(
            (SELECT sum(disk_gib) FROM machines WHERE machines.host = hosts.number), 0
        )
        """,
        "CREATE INDEX ix_machines_host ON machines (host)",
        "DROP VIEW observations",
        """
        CREATE VIEW observations AS
        SELECT machines.vm_id, iif(hosts.cut_off, 'unknown', machines.power) AS power, fences.fence, hosts.name AS host
        FROM machines JOIN fences USING (vm_id) JOIN hosts ON hosts.number = machines.host
        """,
        """
        CREATE TABLE faults (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            action TEXT,
            kind TEXT NOT NULL,
            vm_id TEXT,
            host TEXT,
            probability REAL NOT NULL,
            skip INTEGER NOT NULL,
            count INTEGER,
            delay_seconds REAL NOT NULL,
            draws INTEGER NOT NULL DEFAULT 0,
            hits INTEGER NOT NULL DEFAULT 0
        )
        """,
    ),
}
"""What a world of an older version lacks."""
