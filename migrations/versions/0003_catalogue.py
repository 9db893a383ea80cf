"""The first catalogue: what machines can be, what they can run, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANCE_TYPES = (
    # name, vCPUs, MiB of memory, GiB of disk, description
    ("small", 1, 1024, 20, "For trials, small services and build agents."),
    ("medium", 2, 4096, 40, "For web servers and small databases."),
    ("large", 4, 8192, 80, "For databases and busy services."),
    ("xlarge", 8, 16384, 160, "For heavy computation and large data."),
)
IMAGES = (
    ("ubuntu-24.04", "Ubuntu", "24.04", "Ubuntu 24.04 LTS (Noble Numbat)"),
    ("ubuntu-22.04", "Ubuntu", "22.04", "Ubuntu 22.04 LTS (Jammy Jellyfish)"),
    ("ubuntu-20.04", "Ubuntu", "20.04", "Ubuntu 20.04 LTS (Focal Fossa)"),
    ("debian-12", "Debian", "12", "Debian 12 (Bookworm)"),
    ("debian-11", "Debian", "11", "Debian 11 (Bullseye)"),
    ("centos-8", "CentOS", "8", "CentOS 8"),
    ("fedora-38", "Fedora", "38", "Fedora 38"),
)
PRICES = (
    ("small", "hour", 50_000),
    ("medium", "hour", 100_000),
    ("large", "hour", 200_000),
    ("xlarge", "hour", 400_000),
    ("vm_create", "each", 50_000),
)
EFFECTIVE_AT = datetime(2024, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Put in the rows that are not there."""
    _put(
        "instance_types",
        ("name", "vcpus", "memory_mib", "disk_gib", "description", "sort_order"),
        _in_order(INSTANCE_TYPES),
    )
    _put("images", ("name", "distribution", "version", "description", "sort_order"), _in_order(IMAGES))
    # SQLite keeps times as UTC without a zone.
    effective_at = EFFECTIVE_AT if op.get_bind().dialect.name == "postgresql" else EFFECTIVE_AT.replace(tzinfo=None)
    _put("price_lists", ("version", "effective_at", "currency"), [(1, effective_at, "USD")])
    _put("prices", ("version", "item", "unit", "micros"), [(1, *row) for row in PRICES], keys=2)


def downgrade() -> None:
    """Leave the rows: machines and bills refer to them, and the older program reads them too."""


def _put(table: str, names: tuple[str, ...], rows: Sequence[tuple[object, ...]], *, keys: int = 1) -> None:
    columns = [sa.column(name, sa.DateTime(timezone=True) if name.endswith("_at") else None) for name in names]
    there = {tuple(row) for row in op.get_bind().execute(sa.select(*columns[:keys]).select_from(sa.table(table)))}
    missing = [dict(zip(names, row, strict=True)) for row in rows if row[:keys] not in there]
    op.bulk_insert(sa.table(table, *columns), missing)


def _in_order(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [(*row, order) for order, row in enumerate(rows, start=1)]
