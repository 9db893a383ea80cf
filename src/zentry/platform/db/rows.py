"""What a statement has brought: all rows at once, as both drivers hold them anyway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

Item = TypeVar("Item")


class Items(Generic[Item]):
    """Some of one kind, in the order of the statement."""

    __slots__ = ("_items",)

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        """Go through all of them."""
        return iter(self._items)

    def all(self) -> Sequence[Item]:
        """Return all of them."""
        return self._items

    def first(self) -> Item | None:
        """Return the first, None when there is none."""
        return self._items[0] if self._items else None

    def one(self) -> Item:
        """Return the only one, and raise when there is none or another."""
        if not self._items:
            raise NoResultFound("No row was found when one was required")
        return cast("Item", self.one_or_none())  # Which may be a value that is null.

    def one_or_none(self) -> Item | None:
        """Return the only one or None, and raise when there is another."""
        if len(self._items) > 1:
            raise MultipleResultsFound("Multiple rows were found when one or none was required")
        return self.first()


class Rows(Items[sa.Row[Any]]):
    """The rows of one statement, and how many it has brought or changed."""

    __slots__ = ("rowcount", "sql")

    def __init__(self, rows: Sequence[sa.Row[Any]], *, rowcount: int, sql: str) -> None:
        super().__init__(rows)
        self.rowcount = rowcount
        self.sql = sql

    @classmethod
    def of(cls, result: sa.CursorResult[Any]) -> Rows:
        """Return what SQLAlchemy has brought."""
        sql: str = result.context.statement
        if not result.returns_rows:
            return cls((), rowcount=result.rowcount, sql=sql)
        rows = result.all()
        return cls(rows, rowcount=len(rows), sql=sql)

    def scalar(self) -> Any | None:
        """Return the first value of the first row, None when there is no row."""
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Return the first value of the only row."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any | None:
        """Return the first value of the only row, None when there is no row."""
        row = self.one_or_none()
        return None if row is None else row[0]

    def scalars(self) -> Items[Any]:
        """Return the first value of each row."""
        return Items([row[0] for row in self._items])

    def mappings(self) -> Items[sa.RowMapping]:
        """Return each row by the names of its columns."""
        return Items([row._mapping for row in self._items])  # noqa: SLF001 - SQLAlchemy's public name for it
