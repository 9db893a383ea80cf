"""The first catalogue: what machines can be, what they can run, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

INSTANCE_TYPES = (
    # name, vCPUs, MiB of memory, GiB of disk, description
    ("small", 1, 1024, 20, "For trials, small services and build agents."),
    ("medium", 2, 4096, 40, "For web servers and small databases."),
    ("large", 4, 8192, 80, "For databases and busy services."),
    ("xlarge", 8, 16384, 160, "For heavy computation and large data."),
)
IMAGES = (
    # name, distribution, version, description, since when its makers no longer mend it: it can still be chosen
    ("ubuntu-24.04", "Ubuntu", "24.04", "Ubuntu 24.04 LTS (Noble Numbat)", None),
    ("ubuntu-22.04", "Ubuntu", "22.04", "Ubuntu 22.04 LTS (Jammy Jellyfish)", None),
    ("ubuntu-20.04", "Ubuntu", "20.04", "Ubuntu 20.04 LTS (Focal Fossa)", datetime(2025, 5, 31, tzinfo=UTC)),
    ("debian-12", "Debian", "12", "Debian 12 (Bookworm)", None),
    ("debian-11", "Debian", "11", "Debian 11 (Bullseye)", None),
    ("centos-8", "CentOS", "8", "CentOS 8", datetime(2021, 12, 31, tzinfo=UTC)),
    ("fedora-38", "Fedora", "38", "Fedora 38", datetime(2024, 5, 21, tzinfo=UTC)),
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
    _put("images", ("name", "distribution", "version", "description", "deprecated_at", "sort_order"), _in_order(IMAGES))
    _put("price_lists", ("version", "effective_at", "currency"), [(1, EFFECTIVE_AT, "USD")])
    _put("prices", ("version", "item", "unit", "micros"), [(1, *row) for row in PRICES], keys=2)


def downgrade() -> None:
    """Leave the rows: machines and bills refer to them, and the older program reads them too."""


def _put(table: str, names: tuple[str, ...], rows: Sequence[tuple[object, ...]], *, keys: int = 1) -> None:
    columns = [sa.column(name, sa.DateTime(timezone=True) if name.endswith("_at") else None) for name in names]
    there = {tuple(row) for row in op.get_bind().execute(sa.select(*columns[:keys]).select_from(sa.table(table)))}
    missing = [dict(zip(names, map(_kept, row), strict=True)) for row in rows if row[:keys] not in there]
    op.bulk_insert(sa.table(table, *columns), missing)


def _kept(value: object) -> object:
    """Return a value as the database keeps it: SQLite keeps times as UTC without a zone."""
    if isinstance(value, datetime) and op.get_bind().dialect.name == "sqlite":
        return value.replace(tzinfo=None)
    return value


def _in_order(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [(*row, order) for order, row in enumerate(rows, start=1)]
