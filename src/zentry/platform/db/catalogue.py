"""What a database really contains, as lines of text that can be compared.

The declared tables are built beside the real ones (as temporary tables on PostgreSQL, in memory
for SQLite) and both are described by the database itself, so that a predicate or a check which
the database spells in its own way differs only where it means something else. Partitions come and
go with time and are not declared; how a table is cut into them is.
"""

from __future__ import annotations

import re
from typing import Final

import sqlalchemy as sa

_IGNORED: Final = "alembic_version"
_TEMPORARY_SCHEMA: Final = re.compile(r"\bpg_temp(_\d+)?\.")

_NAMED: Final = re.compile(r"CONSTRAINT \"?(\w+)")

_POSTGRESQL: Final = sa.text("""
SELECT format('column %s.%s: %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
              coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND c.relnamespace = CAST(:namespace AS oid) AND c.relname <> :ignored
UNION ALL
SELECT format('constraint %s.%s: %s', c.relname, k.conname, pg_get_constraintdef(k.oid))
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
 WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND NOT c.relispartition
   AND c.relnamespace = CAST(:namespace AS oid) AND c.relname <> :ignored
UNION ALL
SELECT format('index %s.%s: %s', c.relname, i.relname, pg_get_indexdef(x.indexrelid))
  FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
 WHERE NOT c.relispartition AND c.relnamespace = CAST(:namespace AS oid) AND c.relname <> :ignored
UNION ALL
SELECT format('partitioned %s: %s', c.relname, pg_get_partkeydef(c.oid))
  FROM pg_class c
 WHERE c.relkind = 'p' AND c.relnamespace = CAST(:namespace AS oid) AND c.relname <> :ignored
""")


def differences(connection: sa.Connection, metadata: sa.MetaData) -> list[str]:
    """Return what is declared and missing, and what is there and not declared; triggers are not declared.

    On PostgreSQL this leaves temporary tables behind: roll the transaction back.
    """
    actual = _describe(connection)
    if connection.dialect.name == "postgresql":
        declared = _declared_on_postgresql(connection, metadata)
    else:
        declared = _declared_on_sqlite(metadata)
    missing = [f"missing: {line}" for line in sorted(declared - actual)]
    return missing + [f"not declared: {line}" for line in sorted(actual - declared)]


def _declared_on_sqlite(metadata: sa.MetaData) -> set[str]:
    engine = sa.create_engine("sqlite://")
    try:
        with engine.connect() as scratch:
            metadata.create_all(scratch)
            return _describe(scratch)
    finally:
        engine.dispose()


def _declared_on_postgresql(connection: sa.Connection, metadata: sa.MetaData) -> set[str]:
    there = connection.execution_options(schema_translate_map={None: "pg_temp"})
    metadata.create_all(there, checkfirst=False)
    namespace = connection.exec_driver_sql("SELECT pg_my_temp_schema()").scalar_one()
    return _describe_postgresql(connection, namespace)


def _describe(connection: sa.Connection) -> set[str]:
    if connection.dialect.name == "sqlite":
        return _describe_sqlite(connection)
    namespace = connection.exec_driver_sql("SELECT to_regnamespace(quote_ident(current_schema()))::oid").scalar_one()
    return _describe_postgresql(connection, namespace)


def _describe_postgresql(connection: sa.Connection, namespace: int) -> set[str]:
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    lines = connection.execute(_POSTGRESQL, {"namespace": namespace, "ignored": _IGNORED}).scalars()
    return {_TEMPORARY_SCHEMA.sub("", line).replace(f"{schema}.", "") for line in lines}


def _describe_sqlite(connection: sa.Connection) -> set[str]:
    lines: set[str] = set()
    inspector = sa.inspect(connection)
    for table in inspector.get_table_names():
        if table == _IGNORED:
            continue
        for column in connection.exec_driver_sql(f"PRAGMA table_xinfo('{table}')").mappings():
            lines.add(
                f"column {table}.{column['name']}: {column['type']}{' NOT NULL' if column['notnull'] else ''} "
                f"{column['dflt_value']} key {column['pk']}"
            )
        for check in inspector.get_check_constraints(table):
            lines.add(f"check {table}.{check['name']}: {_spaced(check['sqltext'])}")
        for index in connection.exec_driver_sql(f"PRAGMA index_list('{table}')").mappings().all():
            if index["origin"] == "u":
                columns = connection.exec_driver_sql(f"PRAGMA index_info('{index['name']}')").mappings().all()
                lines.add(f"unique {table}: {[column['name'] for column in columns]}")
        for key in inspector.get_foreign_keys(table):
            lines.add(
                f"foreign key {table}.{key['name']}: {key['constrained_columns']} to {key['referred_table']}"
                f"{key['referred_columns']} {sorted(key['options'].items())}"
            )
    tables = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    lines.update(
        f"constraint {table}.{name}" for table, sql in tables if table != _IGNORED for name in _NAMED.findall(sql)
    )
    indexes = connection.exec_driver_sql(
        "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
    )
    lines.update(f"index {table}.{name}: {_spaced(sql)}" for table, name, sql in indexes if table != _IGNORED)
    return lines


def _spaced(sql: str) -> str:
    """Return SQL in which only single spaces part the words."""
    return " ".join(sql.split())
