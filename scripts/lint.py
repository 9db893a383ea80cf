"""House rules that no ready-made linter knows, read off the syntax tree.

table-owner    only the domain that owns a table inserts, updates or deletes its rows
column-owner   some columns have another owner than their table
no-commit      nobody commits but the edge, which is platform/db
broad-except   `except Exception` only at a process's edge
file-length    past 500 lines look for the seam; past 800 there is one
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = Path("src/zentry")

# Columns that one domain owns in another's table. Nobody else writes them, and the owner writes nothing else there.
COLUMN_OWNERS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "users": {
        "billing": frozenset(
            {
                "credits",
                "held",
                "total_spent",
                "ledger_position",
                "ledger_head",
                "meter_due_at",
                "billing_line_count",
                "credit_warning",
                "discount_basis_points",
                "grants_end_at",
            }
        ),
    },
}
# Columns that another domain may write as well as the owner.
SHARED_COLUMNS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "vms": {"operations": frozenset({"fence"})},  # The queue raises the fence when it claims and supersedes.
}
COMMIT_ALLOWED: Final = (
    "platform/db/",  # the edge
    "compute/simulator",  # its world is a file of its own, not the platform's database
)
# Where a process, a request or a loop ends, and what could not be foreseen is logged or answered.
BROAD_EXCEPT_ALLOWED: Final = (
    "cli/main.py",
    "cli/doctor.py",
    "api/errors.py",
    "api/middleware/",
    "billing/budget_watch.py",
    "billing/closing.py",
    "billing/meter.py",
    "mail/worker.py",
    "events/hub.py",
    "events/sequencer.py",
    "monitoring/alerts/evaluator.py",
    "monitoring/collector.py",
    "operations/runner.py",
    "platform/db/notifications.py",
    "platform/db/service.py",  # whatever the health check meets is its answer
    "vms/reconciler.py",
    "vms/keeping.py",
    "vms/resumption.py",
    "webhooks/deliverer.py",
    "worker/",
)
# They write tables that are handed to them; who hands them over is checked.
GENERIC_WRITES: Final = ("accounts/sweep.py", "accounts/upserts.py", "resealing.py")
LINES_WANTED: Final = 500
LINES_MOST: Final = 800

_WRITES: Final = frozenset({"insert", "update", "delete"})
_WRAPPERS: Final = frozenset({"insert_unless_there", "insert_into"})
_SQL_WRITE: Final = re.compile(r"^\s*(?:insert\s+into|update|delete\s+from)\s+\"?(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks a rule."""

    path: Path
    line: int
    rule: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        kind = "" if self.fatal else " (warning)"
        return f"{self.path}:{self.line}: {self.rule}{kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Module:
    """A parsed file of the package and the domain that it belongs to."""

    path: Path
    tree: ast.Module
    source: str

    @property
    def inside(self) -> str:
        """The path below the package."""
        return self.path.as_posix().removeprefix(f"{PACKAGE.as_posix()}/")

    @property
    def domain(self) -> str:
        """The first folder below the package, or the module's own name."""
        return self.inside.split("/", maxsplit=1)[0].removesuffix(".py")


def read_modules(root: Path) -> list[Module]:
    """Return every module of the package below `root`."""
    found = []
    for file in sorted((root / PACKAGE).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        found.append(Module(file.relative_to(root), ast.parse(source, filename=str(file)), source))
    return found


def tables_of(modules: Iterable[Module]) -> dict[str, str]:
    """Return the owner of every table that a module of schema/ declares."""
    owners: dict[str, str] = {}
    for module in modules:
        if module.domain != "schema":
            continue
        for node in module.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _last(node.value.func) == "Table":
                owners[ast.unparse(node.targets[0])] = module.path.stem
    return owners


def check(modules: list[Module]) -> list[Finding]:
    """Return everything that breaks a rule, in the order of the files."""
    owners = tables_of(modules)
    findings: list[Finding] = []
    for module in modules:
        findings += check_writes(module, owners)
        findings += check_commits(module)
        findings += check_broad_excepts(module)
        findings += check_length(module)
    return findings


def check_writes(module: Module, owners: Mapping[str, str]) -> Iterator[Finding]:
    """Find writes to tables and columns that belong to another domain."""
    if module.domain == "platform" or module.inside in GENERIC_WRITES:
        return
    names = _table_names(module, owners)
    parents = {child: parent for parent in ast.walk(module.tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        for written in _sql_writes(node):
            if owners.get(written, module.domain) != module.domain:
                yield _not_the_owner(module, node, written, owners[written])
        target = _write_target(node, names)
        if target is None:
            continue
        table = names.get(ast.unparse(target))
        if table is None:
            yield Finding(
                module.path, node.lineno, "table-owner", f"name the table that {ast.unparse(node.func)}() writes"
            )
            continue
        yield from _check_columns(module, node, table, owners[table], _columns(node, parents))


def check_commits(module: Module) -> Iterator[Finding]:
    """Find commits outside of the edge."""
    if module.inside.startswith(COMMIT_ALLOWED):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield Finding(
                module.path, node.lineno, "no-commit", "the edge commits: open the unit of work with `database.work()`"
            )


def check_broad_excepts(module: Module) -> Iterator[Finding]:
    """Find handlers that catch everything and keep it, away from a process's edge."""
    if module.inside.startswith(BROAD_EXCEPT_ALLOWED):
        return
    for node in ast.walk(module.tree):
        caught: list[ast.expr | None] = []
        if isinstance(node, ast.ExceptHandler):
            if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
                continue  # It cleans up and lets the error go on.
            caught = [*node.type.elts] if isinstance(node.type, ast.Tuple) else [node.type]
        elif isinstance(node, ast.Call) and _last(node.func) == "suppress":
            caught = [*node.args]
        for kind in caught:
            if kind is None or _last(kind) in {"Exception", "BaseException"}:
                yield Finding(
                    module.path,
                    (kind or node).lineno,  # type: ignore[attr-defined]  # handlers, calls and names all have one
                    "broad-except",
                    "catch the narrowest error around the fewest lines; only a process's edge catches all",
                )


def check_length(module: Module) -> Iterator[Finding]:
    """Find files that have outgrown their seam."""
    lines = module.source.count("\n")
    if lines > LINES_WANTED:
        fatal = lines > LINES_MOST
        yield Finding(module.path, lines, "file-length", f"{lines} lines; look for the seam", fatal=fatal)


def _check_columns(
    module: Module, node: ast.Call, table: str, owner: str, columns: frozenset[str] | None
) -> Iterator[Finding]:
    domain = module.domain
    granted = COLUMN_OWNERS.get(table, {}).get(domain, frozenset()) | SHARED_COLUMNS.get(table, {}).get(
        domain, frozenset()
    )
    if domain != owner:
        is_update = _last(node.func) == "update"
        if not (is_update and columns is not None and columns and columns <= granted):
            yield _not_the_owner(module, node, table, owner)
    for other, reserved in COLUMN_OWNERS.get(table, {}).items():
        taken = reserved & (columns or frozenset())
        if domain != other and taken:
            yield Finding(
                module.path,
                node.lineno,
                "column-owner",
                f"{table}.{', '.join(sorted(taken))} is written by {other} alone",
            )


def _not_the_owner(module: Module, node: ast.Call, table: str, owner: str) -> Finding:
    return Finding(
        module.path, node.lineno, "table-owner", f"{table} is written by {owner} alone: call its service or repository"
    )


def _table_names(module: Module, owners: Mapping[str, str]) -> dict[str, str]:
    """Return how the module spells each table, from its imports."""
    names: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module == "zentry.schema":
            for alias in node.names:
                spelt = alias.asname or alias.name
                names |= {f"{spelt}.{table}": table for table, owner in owners.items() if owner == alias.name}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zentry.schema."):
            names |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in owners}
    return names


def _write_target(node: ast.Call, names: Mapping[str, str]) -> ast.expr | None:
    """Return the expression for the table that a call writes, if the call is a write."""
    called = _last(node.func)
    if called in _WRAPPERS and node.args:
        return node.args[0]
    if called not in _WRITES:
        return None
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in names:
        return node.func.value
    # A list has insert(), a dict update(), an HTTP client delete(): only SQLAlchemy's count.
    on = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else "sa"
    is_core = on in {
        "sa",
        "sqlalchemy",
        "postgresql",
        "sqlite",
    }
    return node.args[0] if is_core and node.args else None


def _sql_writes(node: ast.Call) -> list[str]:
    if _last(node.func) not in {"text", "exec_driver_sql"}:
        return []
    texts = (part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return [found.group(1) for text in texts if (found := _SQL_WRITE.match(text))]


def _columns(node: ast.Call, parents: Mapping[ast.AST, ast.AST]) -> frozenset[str] | None:
    """Return the columns that a statement sets, or None where the code does not say."""
    columns: set[str] = set()
    if _last(node.func) == "insert_unless_there":
        return _keys(node.args[1]) if len(node.args) > 1 else None
    current: ast.AST = node
    while isinstance(method := parents.get(current), ast.Attribute) and isinstance(call := parents[method], ast.Call):
        if method.attr == "values":
            for keyword in call.keywords:
                keys = frozenset({keyword.arg}) if keyword.arg else _keys(keyword.value)
                if keys is None:
                    return None
                columns |= keys
            for argument in call.args:
                keys = _keys(argument)
                if keys is None:
                    return None
                columns |= keys
        current = call
    return frozenset(columns)


def _keys(node: ast.expr) -> frozenset[str] | None:
    if not isinstance(node, ast.Dict):
        return None
    keys: set[str] = set()
    for key in node.keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            keys.add(key.value)
        elif isinstance(key, ast.Attribute):
            keys.add(key.attr)
        else:
            return None
    return frozenset(keys)


def _last(node: ast.expr) -> str:
    """Return the last name of a dotted expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def main() -> int:
    """Print what breaks a rule; 1 when something must change."""
    findings = check(read_modules(ROOT))
    for finding in findings:
        print(finding)
    return 1 if any(finding.fatal for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
