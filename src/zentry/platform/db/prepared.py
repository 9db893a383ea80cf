"""Statements that run again and again: compiled once, then handed to the driver as text and values.

For each run SQLAlchemy makes a key of the whole statement, an execution context and a cursor's result, which takes
several times as long as SQLite takes to answer. A statement that is built once, as a constant or by a cached
function, needs none of it: its text and the way in which values are turned into the driver's, and back, depend
on nothing but the statement and the names of what it is given.

A statement that comes for the first time, and what has to be treated otherwise, goes SQLAlchemy's way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_KINDS: Final = (sa.Select, sa.CompoundSelect, sa.Insert, sa.Update, sa.Delete)
_Call = tuple[bool, tuple[str, ...]]
"""Whether there are many sets of parameters, and their names."""
_MOST_SHAPES: Final = 64
"""How many lengths of lists one statement is kept for."""


class _Process(Protocol):
    """Turns one value into the driver's, or back."""

    def __call__(self, value: Any) -> Any: ...


class PreparedStatements:
    """What has been prepared for one dialect; a statement is forgotten with its last user."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[sa.Executable, dict[_Call, Prepared | None]] = WeakKeyDictionary()

    def find(self, statement: sa.Executable, parameters: Parameters) -> Prepared | None:
        """Return the statement as it is sent with such parameters; None for one that SQLAlchemy has to send."""
        known = self._known.get(statement)
        if known is None:
            self._known[statement] = {}  # Most that come once never come again.
            return None
        if not parameters:
            call: _Call = (False, ())
        elif isinstance(parameters, Mapping):
            call = (False, tuple(parameters))
        else:
            call = (True, tuple(parameters[0]))
        if call not in known:
            known[call] = _prepare(statement, call, self._dialect)
        return known[call]


class Prepared:
    """One statement with the names of what it is given; to hold the statement itself would keep both for ever."""

    def __init__(self, compiled: SQLCompiler, call: _Call, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._call = call
        self.is_for_many, names = call
        self._columns = [(column.keyname, column.type) for column in compiled._result_columns]  # noqa: SLF001 - it has no public name
        self._lists = tuple(bind.key for bind in compiled.bind_names if bind.expanding and bind.key in names)
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        self._metadata: SimpleResultMetaData | None = None
        self._processors: Sequence[_Process | None] | None = None

    def bind(self, statement: sa.Executable, parameters: Parameters) -> tuple[str, list[Any]]:
        """Return the text and the values in its order; for many sets of parameters, a list of values for each."""
        given: Any = parameters or {}  # They were found by their names.
        if self.is_for_many:
            shape = self._shape(statement, given[0])
            return shape.sql, [shape.bind(one) for one in given]
        shape = self._shape(statement, given)
        return shape.sql, shape.bind(given)

    def read(self, rows: Sequence[Sequence[Any]], description: Sequence[Sequence[Any]]) -> list[sa.Row[Any]]:
        """Return what the driver has brought, and describes column by column: its name, its code for the type."""
        if self._metadata is None:
            codes = [column[1] for column in description]
            self._metadata, self._processors = _reader(self._columns, codes, self._dialect)
        metadata, processors = self._metadata, self._processors
        index = metadata._key_to_index  # noqa: SLF001 - a row wants it beside its owner
        return [sa.Row(metadata, processors, index, row) for row in rows]

    def _shape(self, statement: sa.Executable, given: Mapping[str, Any]) -> _Shape:
        lengths = tuple([len(given[name]) for name in self._lists]) if self._lists else ()
        shape = self._shapes.get(lengths)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            compiled = _compile(statement, self._call, self._dialect)
            assert isinstance(compiled, SQLCompiler), "it was prepared from one"
            shape = self._shapes[lengths] = _Shape(compiled, given, self._dialect)
        return shape


class _Shape:
    """The text for lists of certain lengths, and where each value goes."""

    def __init__(self, compiled: SQLCompiler, parameters: Mapping[str, Any], dialect: sa.Dialect) -> None:
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        state = compiled.construct_expanded_state(parameters, escape_names=False)
        origins: dict[str, tuple[str, int | None]] = {
            one: (name, place) for name, ones in state.parameter_expansion.items() for place, one in enumerate(ones)
        }
        has_lists = bool(compiled.post_compile_params)
        self.sql = state.statement if has_lists else compiled.string
        self._fixed: list[Any] = []
        self._given: list[tuple[int, str, int | None, _Process | None]] = []
        for position, name in enumerate((state.positiontup if has_lists else compiled.positiontup) or ()):
            origin, place = origins.get(name, (name, None))
            bind = binds[origin]
            process = bind.type.dialect_impl(dialect).bind_processor(dialect)
            key = next((key for key in (bind.key, origin) if key in parameters), None)
            if key is None:
                value = state.parameters[name]
                self._fixed.append(value if process is None else process(value))
            else:
                self._fixed.append(None)
                self._given.append((position, key, place, process))

    def bind(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Return all values in the order of the text."""
        bound = self._fixed.copy()
        for position, key, place, process in self._given:
            value = parameters[key] if place is None else parameters[key][place]
            bound[position] = value if process is None else process(value)
        return bound


def _prepare(statement: sa.Executable, call: _Call, dialect: sa.Dialect) -> Prepared | None:
    if not isinstance(statement, _KINDS):
        return None
    compiled = _compile(statement, call, dialect)
    if not isinstance(compiled, SQLCompiler) or _is_special(compiled, call):
        return None
    return Prepared(compiled, call, dialect)


def _compile(statement: sa.Executable, call: _Call, dialect: sa.Dialect) -> sa.Compiled:
    assert isinstance(statement, sa.ClauseElement), "those that are prepared are"
    is_for_many, names = call
    return statement.compile(dialect=dialect, column_keys=list(names), for_executemany=is_for_many)


def _is_special(compiled: SQLCompiler, call: _Call) -> bool:
    """Tell whether SQLAlchemy does more for a statement than to send it, or refuses it."""
    is_for_many, names = call
    return bool(
        compiled.insert_prefetch
        or compiled.update_prefetch
        or compiled.implicit_returning
        or compiled.literal_execute_params
        or compiled.escaped_bind_names
        or compiled._ad_hoc_textual  # noqa: SLF001 - columns that only the database knows
        or (is_for_many and (compiled.effective_returning or compiled.post_compile_params))
        or any(
            bind.callable or (bind.required and bind.key not in names and name not in names)
            for bind, name in compiled.bind_names.items()
        )
    )


def _reader(
    columns: Sequence[tuple[str, sa.types.TypeEngine[Any]]], codes: Sequence[object], dialect: sa.Dialect
) -> tuple[SimpleResultMetaData, Sequence[_Process | None] | None]:
    names = [name for name, _ in columns]
    doubled = frozenset(name for name in names if names.count(name) > 1)
    processors = [
        kind.dialect_impl(dialect).result_processor(dialect, code)
        for (_, kind), code in zip(columns, codes, strict=True)
    ]
    return SimpleResultMetaData(names, _ambiguous_keys=doubled or None), processors if any(processors) else None
