"""Tells an outcome: tables for a terminal, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from zentry.platform import money
from zentry.schema.vms import VMStatus
from zentry.simulation.outcome import Moment, Outcome

_LINES: Final = 12
_DAY_SECONDS: Final = 86_400
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"


def print_report(outcome: Outcome, console: Console) -> None:
    """Print everything that a person wants to know."""
    console.print(_head(outcome))
    console.print(_vms(outcome.moments))
    console.print(_money_and_hosts(outcome.moments))
    console.print(_operations(outcome))
    console.print(_requests(outcome))
    console.print(_verdict(outcome))


def to_json(outcome: Outcome) -> str:
    """Return the outcome as JSON; money in credits, times in ISO 8601."""
    document: dict[str, Any] = dataclasses.asdict(outcome)
    for moment in document["moments"]:
        moment.update({name: money.to_credits(moment[name]) for name in ("credits", "held", "spent")})
    return json.dumps(document, default=_plain, indent=2)


def _head(outcome: Outcome) -> Group:
    days = outcome.simulated_seconds / _DAY_SECONDS
    speed = outcome.simulated_seconds / max(outcome.real_seconds, 1e-9)
    first = Text.assemble((outcome.title, "bold"), f"  ({outcome.scenario}, seed {outcome.seed})")
    second = (
        f"{days:,.2f} days in {outcome.real_seconds:,.1f} s: {speed:,.0f} simulated seconds per second. "
        f"{outcome.events:,} events, {outcome.rows['operations']:,} operations, "
        f"{outcome.rows['ledger_entries']:,} ledger entries, {outcome.rows['vm_metrics']:,} samples, "
        f"{outcome.deaths:,} workers killed, {outcome.host_failures:,} hosts failed."
    )
    return Group(first, Text(second), Text())


def _vms(moments: Sequence[Moment]) -> Table:
    table = _table("VMs", "When (UTC)", "Users", *(status.capitalize() for status in VMStatus))
    for moment in _thinned(moments):
        table.add_row(_when(moment), f"{moment.users:,}", *(f"{moment.vms[status]:,}" for status in VMStatus))
    table.caption = f"running  {sparkline([moment.vms[VMStatus.RUNNING] for moment in moments])}"
    table.caption_justify = "left"
    return table


def _money_and_hosts(moments: Sequence[Moment]) -> Table:
    table = _table("Credits and hosts", "When (UTC)", "Credits", "Held", "Spent", "vCPUs", "Memory")
    for moment in _thinned(moments):
        table.add_row(
            _when(moment),
            *(f"{money.to_credits(micros):,.2f}" for micros in (moment.credits, moment.held, moment.spent)),
            f"{share(moment.vcpus_used, moment.vcpus):.0%}",
            f"{share(moment.memory_mib_used, moment.memory_mib):.0%}",
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _when(moment: Moment) -> str:
    return f"{moment.at:%m-%d %H:%M}"


def _operations(outcome: Outcome) -> Table:
    table = _table("Operations", "Kind", "Count", "Succeeded", "Failed", "Superseded", "p50 s", "p99 s", "Longest s")
    for kind in outcome.operations:
        table.add_row(
            kind.kind,
            *(f"{count:,}" for count in (kind.count, kind.succeeded, kind.failed, kind.cancelled)),
            *(f"{seconds:,.1f}" for seconds in (kind.p50_seconds, kind.p99_seconds, kind.longest_seconds)),
        )
    return table


def _requests(outcome: Outcome) -> Table:
    table = Table(title="Requests", title_justify="left", header_style="bold")
    table.add_column("What")
    table.add_column("Asked", justify="right")
    table.add_column("Refused")
    for what, count in outcome.asked.items():
        refusals = [
            f"{number:,} {key.removeprefix(what + ': ')}"
            for key, number in outcome.refused.items()
            if key.startswith(what + ": ")
        ]
        table.add_row(what, f"{count:,}", ", ".join(refusals))
    return table


def _verdict(outcome: Outcome) -> Group:
    lines = [Text(f"Event log  sha256:{outcome.events_hash}")]
    if outcome.broken:
        lines.append(Text(f"{len(outcome.broken)} rules are broken:", style="bold red"))
        lines += [Text(f"  {sentence}", style="red") for sentence in outcome.broken]
    else:
        lines.append(Text(f"Every rule held: after every event, and {outcome.checks:,} times over all rows.", "green"))
    return Group(*lines)


def share(part: int, whole: int) -> float:
    """Return which share of the whole a part is."""
    return part / whole if whole else 0.0


def sparkline(values: Sequence[int], *, width: int = 64) -> str:
    """Return values as a line of blocks."""
    if not values:
        return ""
    step = max(1, len(values) // width)
    shown = values[::step]
    most = max(shown) or 1
    return "".join(_BLOCKS[round(value / most * (len(_BLOCKS) - 1))] for value in shown)


def _thinned(moments: Sequence[Moment]) -> list[Moment]:
    step = max(1, len(moments) // _LINES)
    shown = list(moments[::step])
    return shown if shown[-1] is moments[-1] else [*shown, moments[-1]]


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
