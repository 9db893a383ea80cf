"""Holds and segments for each thing that is metered, and the unit, quantity and price on every line."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

UNITS = "unit IN ('hour', 'each')"
UNITS_NOW = "unit IN ('hour', 'gib_hour', 'each')"
COMMENTS = {
    "item": ("An instance type, or the fee 'vm_create'.", "An instance type, a meter, or the fee 'vm_create'."),
    "unit": ("hour: micro-credits per hour; each: per piece.", "Micro-credits per what."),
}
IS_OPEN = sa.text("status = 'open'")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns; what is there was metered by the hour of running."""
    _allow(UNITS_NOW)
    op.add_column("price_lists", sa.Column("announced_at", INSTANT))
    op.add_column(
        "holds",
        sa.Column(
            "meter",
            sa.Text(),
            nullable=False,
            server_default="compute",
            comment="What of the resource it is for.",
        ),
    )
    op.drop_index("uq_holds_open_resource", "holds")
    op.create_index(
        "uq_holds_open",
        "holds",
        ["resource_id", "meter"],
        unique=True,
        postgresql_where=IS_OPEN,
        sqlite_where=IS_OPEN,
    )
    for column in _of_segments():
        op.add_column("segments", column)
    for column in _of_lines():
        op.add_column("billing_records", column)


def downgrade() -> None:
    """Remove them; only what runs can be metered then."""
    for column in _of_lines():
        op.drop_column("billing_records", column.name)
    for column in _of_segments():
        op.drop_column("segments", column.name)
    op.drop_index("uq_holds_open", "holds")
    op.create_index(
        "uq_holds_open_resource", "holds", ["resource_id"], unique=True, postgresql_where=IS_OPEN, sqlite_where=IS_OPEN
    )
    op.drop_column("holds", "meter")
    op.drop_column("price_lists", "announced_at")
    op.execute("DELETE FROM prices WHERE unit = 'gib_hour'")
    _allow(UNITS)


def _of_segments() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("unit", sa.Text(), nullable=False, server_default="hour", comment="What the price was for."),
        sa.Column("quantity", sa.Integer(), nullable=False, server_default="1", comment="GiB, or one machine."),
        sa.Column(
            "price_micros", sa.BigInteger(), comment="Of one unit, as listed; the rate is of all, less the discount."
        ),
        sa.Column("discount_basis_points", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("vm_id", sa.Uuid(), comment="The machine that the resource belongs to, where it is none itself."),
        sa.Column("exhausted_at", INSTANT, comment="From here on it could not be paid; the meter is to stop it."),
    )


def _of_lines() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("meter", sa.Text()),
        sa.Column("unit", sa.Text()),
        sa.Column("quantity", sa.Integer()),
        sa.Column("price_micros", sa.BigInteger(), comment="Of one unit, as listed."),
        sa.Column("discount_basis_points", sa.Integer()),
    )


def _allow(units: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_prices_unit_known"), "prices", type_="check")
        op.create_check_constraint(op.f("ck_prices_unit_known"), "prices", units)
        for column, (before, now) in COMMENTS.items():
            op.alter_column("prices", column, comment=now if units == UNITS_NOW else before)
        return
    table = sa.Table(
        "prices",
        sa.MetaData(),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(units, name=op.f("ck_prices_unit_known")),
        sa.CheckConstraint("micros >= 0", name=op.f("ck_prices_price_not_negative")),
        sa.ForeignKeyConstraint(["version"], ["price_lists.version"], name=op.f("fk_prices_version")),
        sa.PrimaryKeyConstraint("version", "item", name=op.f("pk_prices")),
    )
    with op.batch_alter_table("prices", copy_from=table, recreate="always"):
        pass
