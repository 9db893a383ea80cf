"""A statement as a page to print: no script, no image, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final
from uuid import UUID

from zentry.billing.statements import Item, Statement
from zentry.billing.types import ADDRESS, SNAPSHOT, STORAGE
from zentry.platform.money import format_credits
from zentry.schema.billing import PriceUnit

_STYLE: Final = """
@page { size: A4; margin: 18mm }
body { font: 10pt/1.4 system-ui, sans-serif; color: #111; max-width: 180mm; margin: 2rem auto }
h1 { font-size: 16pt; margin: 0 0 4mm }
table { border-collapse: collapse; width: 100%; margin: 6mm 0 }
th, td { text-align: left; padding: 1.2mm 2mm; border-bottom: 1px solid #ccc; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
tr { break-inside: avoid } thead { display: table-header-group }
tfoot td { font-weight: 600; border-top: 2px solid #111 }
small { color: #555 }
"""
_WORDS: Final = {
    "vm_create": "Creation",
    "vm_usage": "Use",
    "credit_add": "Credit added",
    "credit_deduct": "Credit taken back",
}
_KEPT: Final = {STORAGE: "Disk", ADDRESS: "Address", SNAPSHOT: "Snapshot"}
_PER: Final[Mapping[str, str]] = {
    PriceUnit.HOUR: "per hour",
    PriceUnit.GIB_HOUR: "per GiB and hour",
    PriceUnit.EACH: "each",
}


def statement_html(statement: Statement, items: Sequence[Item], *, user_id: UUID) -> str:
    """Return the page of a statement."""
    change = statement.closing_micros - statement.opening_micros
    other = change - sum(item.micros for item in items)
    rest = statement.line_count - sum(item.lines for item in items)
    rows = [_row(item) for item in items]
    if rest:
        rows.append(_cells("Other lines", "", f"{rest:,}", "", format_credits(other)))
    month = f"{statement.period_start:%Y-%m}"
    figures = (
        ("Balance at the beginning", statement.opening_micros),
        ("Credit added", statement.added_micros),
        ("Charged", -statement.charged_micros),
        ("Credit taken back", -statement.deducted_micros),
    )
    summary = "".join(f"<tr><td>{name}</td><td class=n>{format_credits(micros)}</td></tr>" for name, micros in figures)
    unit = escape(statement.currency)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Statement {statement.number}, {month}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>Statement {statement.number}</h1>\n"
        f"<p>{month}: {statement.period_start:%Y-%m-%d} until before {statement.period_end:%Y-%m-%d} (UTC)<br>\n"
        f"Account {user_id}<br>\nClosed {statement.closed_at:%Y-%m-%d %H:%M} UTC; entries "
        f"{statement.first_position:,} to {statement.last_position:,} of the account's books</p>\n"
        f"<table><tbody>{summary}</tbody><tfoot><tr><td>Balance at the end ({unit})</td>"
        f"<td class=n>{format_credits(statement.closing_micros)}</td></tr></tfoot></table>\n"
        "<table><thead><tr><th>For</th><th>Price</th><th class=n>Lines</th><th class=n>Seconds</th>"
        f"<th class=n>Amount</th></tr></thead><tbody>\n{''.join(rows)}</tbody>"
        f"<tfoot><tr><td colspan=4>Change of the balance ({unit})</td><td class=n>{format_credits(change)}</td></tr>"
        "</tfoot></table>\n<p><small>Charges are negative. Every line can be explained, and every figure be "
        "computed again from the account's exported entries.</small></p>\n</body></html>\n"
    )


def _row(item: Item) -> str:
    name = _WORDS.get(item.action_type, item.action_type.replace("_", " ").capitalize())
    name = _KEPT.get(item.meter or "", name)
    what = f"{name} of {item.resource_type}" if item.resource_type else name
    machine = f"<br><small>{item.vm_id}</small>" if item.vm_id else ""
    seconds = f"{item.seconds:,}" if item.seconds else ""
    return _cells(f"{escape(what)}{machine}", _price(item), f"{item.lines:,}", seconds, format_credits(item.micros))


def _price(item: Item) -> str:
    """Return the price as it is listed, for how much of what, and what is taken off it."""
    per = _PER.get(item.unit or "")
    if item.price_micros is None or per is None:
        return "" if item.rate_micros_per_hour is None else f"{format_credits(item.rate_micros_per_hour)} per hour"
    many = f"{item.quantity} × " if item.quantity is not None and item.quantity > 1 else ""
    less = f" less {item.discount_basis_points / 100:g} %" if item.discount_basis_points else ""
    return f"{many}{format_credits(item.price_micros)} {per}{less}"


def _cells(what: str, rate: str, lines: str, seconds: str, amount: str) -> str:
    numbers = "".join(f"<td class=n>{text}</td>" for text in (lines, seconds, amount))
    return f"<tr><td>{what}</td><td>{rate}</td>{numbers}</tr>\n"
