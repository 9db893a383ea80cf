"""Tells an outcome as one HTML page with drawings, which needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from zentry.platform import money
from zentry.schema.vms import VMStatus
from zentry.simulation.outcome import Moment, OperationFigures, Outcome
from zentry.simulation.report import share

_WIDTH: Final = 720
_HEIGHT: Final = 200
_LEFT: Final = 64
_BOTTOM: Final = 24
_COLOURS: Final = {
    VMStatus.RUNNING: "#2a9d5c",
    VMStatus.CREATING: "#e0a526",
    VMStatus.STOPPED: "#7d8ca3",
    VMStatus.ERROR: "#d1495b",
    VMStatus.TERMINATED: "#d9dde3",
}
_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: right }
td:first-child, th:first-child { text-align: left } th { border-bottom: 1px solid #999 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: currentColor }
.key i { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; border-radius: 2px }
.good { color: #2a9d5c } .bad { color: #d1495b } code { overflow-wrap: anywhere }
"""


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    colour: str
    values: Sequence[float]


def render_page(outcome: Outcome) -> str:
    """Return the whole page."""
    moments = outcome.moments
    alive = [status for status in _COLOURS if status is not VMStatus.TERMINATED]
    by_state = [_Line(str(status), _COLOURS[status], [moment.vms[status] for moment in moments]) for status in alive]
    credits_ = [
        _Line(name, colour, [money.to_credits(getattr(moment, name)) for moment in moments])
        for name, colour in (("credits", "#3a6ea5"), ("held", "#e0a526"), ("spent", "#d1495b"))
    ]
    used = [
        _Line("vCPUs", "#3a6ea5", [100 * share(moment.vcpus_used, moment.vcpus) for moment in moments]),
        _Line("memory", "#8e5ea2", [100 * share(moment.memory_mib_used, moment.memory_mib) for moment in moments]),
    ]
    parts = [
        f"<h1>{escape(outcome.title)}</h1>",
        f"<p>{escape(_summary(outcome))}</p>",
        _verdict(outcome),
        "<h2>VMs by state</h2>" + _chart(moments, by_state, stacked=True),
        "<h2>Credits</h2>" + _chart(moments, credits_),
        "<h2>Utilisation of the hosts in percent</h2>" + _chart(moments, used, most=100.0),
        "<h2>Operations by kind: seconds to their end, median and 99th percentile</h2>" + _bars(outcome.operations),
        _table(
            ("Operations", "count", "succeeded", "failed", "superseded", "p50 s", "p99 s"),
            [
                (kind.kind, kind.count, kind.succeeded, kind.failed, kind.cancelled, kind.p50_seconds, kind.p99_seconds)
                for kind in outcome.operations
            ],
        ),
        "<h2>Refusals</h2>" + _table(("Request", "times"), list(outcome.refused.items())),
        f"<p>Event log <code>sha256:{outcome.events_hash}</code></p>",
    ]
    body = "\n".join(parts)
    title = escape(outcome.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _summary(outcome: Outcome) -> str:
    days = outcome.simulated_seconds / 86_400
    return (
        f"Scenario {outcome.scenario}, seed {outcome.seed}: {days:,.2f} days in {outcome.real_seconds:,.1f} s, "
        f"{outcome.events:,} events, {outcome.rows['operations']:,} operations, {outcome.deaths:,} workers killed, "
        f"{outcome.host_failures:,} hosts failed."
    )


def _verdict(outcome: Outcome) -> str:
    if not outcome.broken:
        return '<p class="good">Every rule held.</p>'
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in outcome.broken)
    return f'<p class="bad">Broken:</p><ul class="bad">{sentences}</ul>'


def _chart(
    moments: Sequence[Moment], lines: Sequence[_Line], *, stacked: bool = False, most: float | None = None
) -> str:
    if stacked:
        totals = [sum(values) for values in zip(*(line.values for line in lines), strict=True)]
        top = most or max(totals, default=0) or 1
    else:
        top = most or max((value for line in lines for value in line.values), default=0) or 1
    shapes = []
    floor = [0.0] * len(moments)
    for line in lines:
        if stacked:
            ceiling = [low + value for low, value in zip(floor, line.values, strict=True)]
            outline = _points(ceiling, top) + list(reversed(_points(floor, top)))
            shapes.append(f'<polygon points="{" ".join(outline)}" fill="{line.colour}"/>')
            floor = ceiling
        else:
            points = " ".join(_points(line.values, top))
            shapes.append(f'<polyline points="{points}" fill="none" stroke="{line.colour}" stroke-width="1.5"/>')
    key = "".join(f'<i style="background:{line.colour}"></i>{escape(line.name)}' for line in lines)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{_axes(moments, top)}{"".join(shapes)}</svg><p class="key">{key}</p>'


def _points(values: Sequence[float], top: float) -> list[str]:
    width, height = _WIDTH - _LEFT, _HEIGHT - _BOTTOM
    last = max(1, len(values) - 1)
    return [
        f"{_LEFT + width * n / last:.1f},{height - (height - 8) * value / top:.1f}" for n, value in enumerate(values)
    ]


def _axes(moments: Sequence[Moment], top: float) -> str:
    height = _HEIGHT - _BOTTOM
    parts = []
    for number in range(5):
        y = height - (height - 8) * number / 4
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8886" stroke-width=".5"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * number / 4:,.6g}</text>')
    for number in range(5):
        moment = moments[(len(moments) - 1) * number // 4]
        x = _LEFT + (_WIDTH - _LEFT) * number / 4
        anchor = ("start", "middle", "middle", "middle", "end")[number]
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{moment.at:%d %b %H:%M}</text>')
    return "".join(parts)


def _bars(operations: Sequence[OperationFigures]) -> str:
    top = max((kind.p99_seconds for kind in operations), default=0.0) or 1.0
    height = 26 * len(operations) + 8
    parts = []
    for number, kind in enumerate(operations):
        y = 26 * number + 4
        for offset, seconds, colour in ((0, kind.p50_seconds, "#3a6ea5"), (10, kind.p99_seconds, "#9bb8d8")):
            width = (_WIDTH - 200) * seconds / top
            parts.append(f'<rect x="110" y="{y + offset}" width="{width:.1f}" height="9" fill="{colour}"/>')
            parts.append(f'<text x="{116 + width:.1f}" y="{y + offset + 9}">{seconds:,.1f} s</text>')
        parts.append(f'<text x="104" y="{y + 14}" text-anchor="end">{escape(kind.kind)}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {height}">{"".join(parts)}</svg>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> str:
    if not rows:
        return "<p>None.</p>"
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return escape(value)
    return f"{value:,}" if value == int(value) else f"{value:,.1f}"
