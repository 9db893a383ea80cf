"""The house rules: each finds what it is for, and the project keeps them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts.lint import ROOT, Finding, Module, check, read_modules, tables_of

_SCHEMA = {
    "schema/accounts.py": "users = sa.Table('users', metadata)\nsessions = sa.Table('sessions', metadata)\n",
    "schema/vms.py": "vms = sa.Table('vms', metadata)\n",
}


def _check(**files: str) -> list[Finding]:
    sources = {**_SCHEMA, **{name.replace("__", "/") + ".py": text for name, text in files.items()}}
    return check([Module(Path("src/zentry") / name, ast.parse(text), text) for name, text in sources.items()])


def test_the_project_keeps_its_rules() -> None:
    assert [str(finding) for finding in check(read_modules(ROOT)) if finding.fatal] == []


def test_every_table_of_the_schema_has_an_owner() -> None:
    owners = tables_of(read_modules(ROOT))

    assert owners["users"] == "accounts"
    assert owners["ledger_entries"] == "billing"
    assert len(owners) >= 20


@pytest.mark.parametrize(
    "statement",
    [
        "sa.insert(vms).values(id=1)",
        "sa.update(vms).values(name='x')",
        "sa.delete(vms)",
        "delete(vms)",
        "vms.delete()",
        "postgresql.insert(vms)",
        "tx.insert_unless_there(vms, {'id': 1})",
        "insert_into(vms, tx).values(id=1)",
        "sa.text('UPDATE vms SET name = 1')",
        "sa.text('delete from vms')",
    ],
)
def test_a_write_to_a_foreign_table_is_found(statement: str) -> None:
    source = f"from zentry.schema.vms import vms\n{statement}\n"

    assert [finding.rule for finding in _check(projects__repository=source)] == ["table-owner"]
    assert _check(vms__repository=source) == []


def test_a_table_is_known_by_any_name() -> None:
    source = "from zentry.schema import vms as tables\nsa.delete(tables.vms)\n"

    assert [finding.rule for finding in _check(billing__repository=source)] == ["table-owner"]


def test_a_read_of_a_foreign_table_is_free() -> None:
    source = "from zentry.schema.vms import vms\nsa.select(vms.c.id)\n[].insert(0, vms)\n{}.update(vms=1)\n"

    assert _check(billing__repository=source) == []


def test_billing_writes_the_money_of_users_and_nothing_else_of_theirs() -> None:
    head = "from zentry.schema.accounts import users\n"

    assert _check(billing__ledger=f"{head}sa.update(users).where(x).values(credits=1, held=2)\n") == []
    assert len(_check(billing__ledger=f"{head}sa.update(users).values(credits=1, name='x')\n")) == 1
    assert len(_check(billing__ledger=f"{head}sa.update(users).values(**anything)\n")) == 1
    assert len(_check(billing__ledger=f"{head}sa.insert(users).values(credits=1)\n")) == 1


def test_nobody_else_writes_the_money_of_users() -> None:
    source = "from zentry.schema.accounts import users\nsa.update(users).values({users.c.credits: 1})\n"

    assert [finding.rule for finding in _check(accounts__repository=source)] == ["column-owner"]


def test_operations_raise_the_fence_of_a_machine() -> None:
    head = "from zentry.schema.vms import vms\n"

    assert _check(operations__queue=f"{head}sa.update(vms).values(fence=vms.c.fence + 1)\n") == []
    assert len(_check(operations__queue=f"{head}sa.update(vms).values(status='x')\n")) == 1


def test_a_table_without_a_name_is_found() -> None:
    assert [finding.rule for finding in _check(vms__repository="sa.delete(table)\n")] == ["table-owner"]


def test_a_commit_outside_of_the_edge_is_found() -> None:
    source = "async def f(): await connection.commit()\n"

    assert [finding.rule for finding in _check(vms__service=source)] == ["no-commit"]
    assert _check(platform__db__database=source) == []


@pytest.mark.parametrize(
    "source",
    [
        "try: f()\nexcept Exception: pass\n",
        "try: f()\nexcept (ValueError, BaseException) as e: pass\n",
        "try: f()\nexcept: pass\n",
        "with contextlib.suppress(Exception): f()\n",
    ],
)
def test_a_handler_for_everything_is_found(source: str) -> None:
    assert [finding.rule for finding in _check(vms__service=source)] == ["broad-except"]
    assert _check(cli__main=source) == []


def test_a_handler_that_lets_the_error_go_on_is_free() -> None:
    assert _check(vms__service="try: f()\nexcept BaseException:\n    undo()\n    raise\n") == []


def test_a_long_file_is_warned_of_and_a_very_long_one_refused() -> None:
    warned, refused = (_check(vms__service="x = 1\n" * lines) for lines in (501, 801))

    assert [(finding.rule, finding.fatal) for finding in warned] == [("file-length", False)]
    assert [(finding.rule, finding.fatal) for finding in refused] == [("file-length", True)]
