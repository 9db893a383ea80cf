"""The one metadata, its naming convention, and small column makers."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def one_of(column: str, values: type[StrEnum] | Iterable[str]) -> sa.CheckConstraint:
    """Return the constraint that holds a text column to its enumeration."""
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def constant(value: StrEnum | str) -> sa.ColumnElement[str]:
    """Return a text as it stands in the SQL, not as a parameter.

    A partial index serves a query only where the planner can prove its predicate, which it
    cannot for a parameter.
    """
    assert str(value).replace("_", "").isalnum(), "only our own words go into SQL"
    return sa.literal_column(f"'{value}'", sa.Text)


SEALED_FOR: Final = "sealed_for"


def sealed_for(owner: str) -> dict[str, str]:
    """Return the `info` of a column that is sealed: whose it is, as a column of its row or of the row it refers to.

    By it `zentry keys rotate` finds what to seal anew; a test asks it of every column of bytes.
    """
    return {SEALED_FOR: owner}
