"""Write docs/reference from the code, so that it says what is true.

The pages are settings, errors, roles, states, metrics and the OpenAPI document. `make docs` writes them;
tests/unit/test_reference.py compares what lies in the repository with what this would write.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import json
import pkgutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel, SecretStr

import zentry
from zentry.api import errors as api_errors
from zentry.cli.configuration import allowed, variable_of
from zentry.monitoring.prometheus import PrometheusPage
from zentry.operations.types import Kind
from zentry.platform.caller import ProjectRole
from zentry.platform.clock import SystemClock
from zentry.platform.errors import ZentryError
from zentry.platform.settings import Environment, Settings
from zentry.projects.access import COVERS, RIGHTS
from zentry.schema.operations import OperationStatus
from zentry.schema.vms import StopReason, VMStatus
from zentry.vms.states import ALLOWED, TRANSITIONS
from zentry.wiring import Platform, open_platform

ROOT: Final = Path(__file__).resolve().parent.parent
TARGET: Final = ROOT / "docs" / "reference"
SOURCE: Final = ROOT / "src"
_GENERATED: Final = "<!-- Generated from the code by `make docs`. Do not edit. -->"

# What an operation's status means and what may follow. The code holds these rules as conditional
# updates, not as a table; a status that is missing here stops the generation.
_OPERATION_STATES: Final[Mapping[OperationStatus, tuple[str, Mapping[OperationStatus, str]]]] = {
    OperationStatus.PENDING: (
        "Written, and waiting for a worker.",
        {OperationStatus.RUNNING: "claimed", OperationStatus.CANCELLED: "superseded"},
    ),
    OperationStatus.RUNNING: (
        (
            "A worker holds its lease and carries out a step, or takes steps back. When the lease runs out, another "
            "worker claims it."
        ),
        {
            OperationStatus.PENDING: "try again later, or turned back on request",
            OperationStatus.SUCCEEDED: "last step done",
            OperationStatus.FAILED: "taken back",
            OperationStatus.CANCELLED: "superseded, or taken back on request",
        },
    ),
    OperationStatus.SUCCEEDED: ("Every step is done and recorded.", {}),
    OperationStatus.FAILED: ("It could not be done; its steps are taken back and what was held is released.", {}),
    OperationStatus.CANCELLED: (
        "A newer operation, such as a delete, has taken its place; or its steps were taken back on request.",
        {},
    ),
}


def generate() -> dict[str, str]:
    """Return every page by its file name."""
    import_everything()
    with tempfile.TemporaryDirectory() as directory:
        figures, document, kinds = asyncio.run(_ask_a_platform(Path(directory)))
    return {
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "states.md": states_page(kinds),
        "roles.md": roles_page(),
        "metrics.md": metrics_page(figures),
        "openapi.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
    }


def import_everything() -> None:
    """Import all modules of the package, so that every error and metric exists."""
    for module in pkgutil.walk_packages(zentry.__path__, "zentry."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


async def _ask_a_platform(directory: Path) -> tuple[str, dict[str, Any], Sequence[Kind]]:
    # Constructed from defaults alone: the environment must not show in the pages.
    defaults = {name: field.get_default() for name, field in Settings.model_fields.items()}
    settings = Settings.model_construct(**{**defaults, "env": Environment.TEST, "data_dir": directory})
    async with open_platform(settings, clock=SystemClock()) as platform:
        await platform.migrations.upgrade()
        figures = (await PrometheusPage(platform.database, platform.clock, driver="simulator").render()).decode()
        return figures, platform.app.openapi(), _kinds(platform)


def _kinds(platform: Platform) -> Sequence[Kind]:
    return list(platform.kinds.values())


# Settings


def _groups() -> dict[str, type[BaseModel]]:
    fields = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in fields.items() if inspect.isclass(kind) and issubclass(kind, BaseModel)}


def settings_page() -> str:
    """Return the page of settings."""
    lines = [
        "# Settings",
        "",
        _GENERATED,
        "",
        (
            "Every setting is an environment variable. A `.env` file in the working directory is read as well; the "
            "environment wins over it, and an option of a command wins over both. Unknown variables of a known group "
            "are refused. `zentry doctor` says what is wrong with a configuration."
        ),
        "",
        'Lists are JSON, such as `\'["one", "two"]\'`. Sizes and times carry their unit in the name.',
        "",
        "## General",
        "",
        *_settings_table((), Settings, skip=set(_groups())),
    ]
    for name, group in _groups().items():
        summary = (group.__doc__ or "").strip()
        lines += ["", f"## {name}", "", summary, "", *_settings_table((name,), group)]
    return "\n".join(lines) + "\n"


def _settings_table(path: tuple[str, ...], model: type[BaseModel], *, skip: Iterable[str] = ()) -> list[str]:
    document = model.model_json_schema()
    rows = ["| Variable | May be | Default | Meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        schema = document["properties"][name]
        if "$ref" in schema:
            schema = document["$defs"][str(schema["$ref"]).rsplit("/", 1)[-1]]
        variable = variable_of((*path, name))
        cells = (f"`{variable}`", allowed(field, schema), _default(field.default), field.description or "")
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return rows


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(list(value))}`"
    return f"`{value}`" if str(value) else "empty"


# Errors


def error_classes() -> list[type[ZentryError]]:
    """Return every class of error that the program may answer with, ordered by status and name."""
    return sorted(_subclasses(ZentryError), key=lambda kind: (kind.status, kind.code, kind.__qualname__))


def _subclasses(kind: type[ZentryError]) -> Iterator[type[ZentryError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("zentry."):
            yield child
            yield from _subclasses(child)


def has_own_code(kind: type[ZentryError]) -> bool:
    """Tell whether a class declares a code, rather than inheriting its family's."""
    return "code" in vars(kind)


def errors_page() -> str:
    """Return the page of errors."""
    raised = _raised_in()
    lines = [
        "# Errors",
        "",
        _GENERATED,
        "",
        (
            "Every error is one JSON object with media type `application/problem+json`: the platform's envelope and "
            "RFC 9457 together. Program against `error_code`; show `detail`; name `request_id` when you ask for help. "
            "The schema is `ErrorResponse` in [openapi.json](openapi.json)."
        ),
        "",
        "A class without a code of its own answers with the code of its family.",
        "",
        "| Status | Code | Class | Meaning | Raised in |",
        "|---|---|---|---|---|",
    ]
    for kind in error_classes():
        places = ", ".join(f"`{module}`" for module in sorted(raised.get(kind.__name__, ()))) or _unraised(kind)
        code = f"`{kind.code}`" if has_own_code(kind) else f"`{kind.code}` (family)"
        meaning = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
        row = (str(kind.status), code, f"`{kind.__name__}`", meaning, places)
        lines.append("| " + " | ".join(_cell(cell) for cell in row) + " |")
    lines += [
        "",
        "## Refusals of the HTTP layer",
        "",
        "What the framework refuses before a route is reached has no class. It is told in the same object.",
        "",
        "| Status | Code | Text |",
        "|---|---|---|",
    ]
    refusals = api_errors._BY_STATUS  # noqa: SLF001 - the table itself is what this page shows
    lines += [f"| {status} | `{code}` | {_cell(text)} |" for status, (code, _, text) in sorted(refusals.items())]
    lines += [
        "",
        "## Codes of failed operations",
        "",
        (
            "An operation that has ended badly carries one of these as its code. They are no answers to a request: the "
            "request that asked for the operation was accepted."
        ),
        "",
        "| Code | Given in |",
        "|---|---|",
    ]
    lines += [
        f"| `{code}` | {_cell(', '.join(sorted(places)))} |" for code, places in sorted(_operation_codes().items())
    ]
    return "\n".join(lines) + "\n"


def _unraised(kind: type[ZentryError]) -> str:
    return "its subclasses" if any(_subclasses(kind)) else "nowhere yet"


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted((SOURCE / "zentry").rglob("*.py")):
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(file.read_text(encoding="utf-8"))


def _raised_in() -> dict[str, set[str]]:
    """Return the modules that raise or build each class of error."""
    names = {kind.__name__ for kind in error_classes()}
    places: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in _modules():
        for node in ast.walk(tree):
            found = _built(node)
            if found in names:
                places[found].add(module)
    return dict(places)


def _built(node: ast.AST) -> str:
    """Return the class that a node raises or calls, also through a class method such as `InvalidInput.at`."""
    target: ast.expr | None = None
    if isinstance(node, ast.Raise):
        target = node.exc
    elif isinstance(node, ast.Call):
        target = node.func
        if isinstance(target, ast.Attribute):
            target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _operation_codes() -> dict[str, set[str]]:
    """Return the codes with which drivers and the queue end an operation."""
    codes: defaultdict[str, set[str]] = defaultdict(set)
    for module, tree in _modules():
        if not module.startswith(("zentry.compute", "zentry.operations")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for code in _codes_of(node):
                    codes[code].add(f"`{module}`")
    return dict(codes)


def _codes_of(call: ast.Call) -> Iterator[str]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    values = [keyword.value for keyword in call.keywords if keyword.arg in {"code", "error_code"}]
    if name == "Failure":
        values += call.args[:1]
    for value in values:
        for part in value.values if isinstance(value, ast.BoolOp) else [value]:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value != "STALE_FENCE":
                yield part.value


# States


def roles_page() -> str:
    """Return the page of what each role of a project may do."""
    lines = [
        "# Roles in a project",
        "",
        _GENERATED,
        "",
        f"| To | {' | '.join(ProjectRole)} |",
        f"|---|{'---|' * len(ProjectRole)}",
    ]
    for right, covered in COVERS.items():
        marks = ("yes" if right in RIGHTS[role] else "" for role in ProjectRole)
        lines.append(f"| {covered} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def states_page(kinds: Sequence[Kind]) -> str:
    """Return the page of states."""
    lines = [
        "# States",
        "",
        _GENERATED,
        "",
        "## VMs",
        "",
        (
            "A VM rests in one of five states. What is under way is an operation, never a state: it is shown as "
            "`active_operation` beside the state that the VM still has."
        ),
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {VMStatus.CREATING}: create",
        *(f"    {before} --> {after}: {event}" for (before, event), after in TRANSITIONS.items()),
        f"    {VMStatus.TERMINATED} --> [*]",
        "```",
        "",
        "### Transitions",
        "",
        "An event is what has happened to the VM. A pair that is not here cannot be recorded.",
        "",
        "| From | Event | To |",
        "|---|---|---|",
        *(f"| `{before}` | {event} | `{after}` |" for (before, event), after in TRANSITIONS.items()),
        "",
        "### Requests",
        "",
        (
            "A request in another state is refused with 409 `VM_INVALID_TRANSITION`. While an operation is under way, "
            "every request but delete is refused with 409 `VM_BUSY`."
        ),
        "",
        "| Request | " + " | ".join(f"`{status}`" for status in VMStatus) + " |",
        "|---|" + "---|" * len(VMStatus),
    ]
    for request, allowed_in in ALLOWED.items():
        marks = " | ".join("yes" if status in allowed_in else "no" for status in VMStatus)
        lines.append(f"| {request} | {marks} |")
    lines.append("| delete | " + " | ".join("yes" for _ in VMStatus) + " |")
    reasons = ", ".join(f"`{reason}`" for reason in StopReason)
    lines += [
        "",
        f"`stop_reason` says why a VM stands still: one of {reasons}, or null.",
        "",
        "## Operations",
        "",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {OperationStatus.PENDING}: request",
    ]
    for status in OperationStatus:
        lines += [f"    {status} --> {after}: {why}" for after, why in _OPERATION_STATES[status][1].items()]
    ends = [status for status in OperationStatus if not _OPERATION_STATES[status][1]]
    lines += [f"    {status} --> [*]" for status in ends]
    lines += ["```", "", "| Status | Meaning |", "|---|---|"]
    lines += [f"| `{status}` | {_OPERATION_STATES[status][0]} |" for status in OperationStatus]
    lines += [
        "",
        "### Kinds",
        "",
        (
            "A step is an act in the world and one transaction that records it. When an operation cannot go on, the "
            "steps that have an undo are taken back, the last first."
        ),
        "",
        "| Kind | Steps | Taken back |",
        "|---|---|---|",
    ]
    for kind in kinds:
        steps = ", ".join(step.name for step in kind.steps)
        undone = ", ".join(step.name for step in reversed(kind.steps) if step.undo is not None) or "nothing"
        lines.append(f"| `{kind.name}` | {steps} | {undone} |")
    return "\n".join(lines) + "\n"


# Metrics


def metrics_page(figures: str) -> str:
    """Return the page of metrics, from what the modules declare and a scrape of an empty platform."""
    labels = _labels_of(figures) | _declared_labels()
    help_, types = _described(figures, "HELP"), _described(figures, "TYPE")
    lines = [
        "# Metrics",
        "",
        _GENERATED,
        "",
        (
            "`GET /metrics` answers in the text format of Prometheus, without authentication: keep the path off the "
            "public network. Requests, statements, connections and operations that ended are of the process that "
            "answers; accounts, VMs, waiting operations and lags are of the whole platform, read at most every few "
            "seconds. The `process_*` and `python_*` metrics of the client library come with them."
        ),
        "",
        "| Metric | Type | Labels | Meaning |",
        "|---|---|---|---|",
    ]
    for name in sorted(name for name in types if name.startswith("zentry_") and not name.endswith("_created")):
        names = ", ".join(f"`{label}`" for label in labels.get(name, ())) or "none"
        lines.append(f"| `{name}` | {types[name]} | {names} | {_cell(help_[name])} |")
    return "\n".join(lines) + "\n"


def _declared_labels() -> dict[str, tuple[str, ...]]:
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("zentry.")]
    metrics = [value for module in modules for value in vars(module).values() if isinstance(value, MetricWrapperBase)]
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: tuple(metric._labelnames)  # noqa: SLF001 - the library has no public name for it
        for metric in metrics
        for family in metric.describe()
    }


def _labels_of(figures: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in figures.splitlines():
        name, brace, rest = line.partition("{")
        if brace and not line.startswith("#"):
            found[name] = tuple(pair.partition("=")[0] for pair in rest.partition("}")[0].split(","))
    return found


def _described(figures: str, what: str) -> dict[str, str]:
    start = f"# {what} "
    lines = [line.removeprefix(start) for line in figures.splitlines() if line.startswith(start)]
    return {name: text for name, _, text in (line.partition(" ") for line in lines)}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write every page that has changed."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, text in generate().items():
        path = TARGET / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
