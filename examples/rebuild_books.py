#!/usr/bin/env python3
"""Compute an account's balances and monthly statements anew, from nothing but its exported entries.

    curl -H "Authorization: Bearer $TOKEN" $URL/billing/ledger/export > ledger.jsonl
    curl -H "Authorization: Bearer $TOKEN" $URL/billing/credits > credits.json
    curl -H "Authorization: Bearer $TOKEN" $URL/billing/statements > statements.json
    python3 rebuild_books.py ledger.jsonl credits.json statements.json

It checks that no entry is missing, that every entry balances and that each carries the hash of the one before
it; then it prints the balances and the statements that the entries make. With the platform's own figures beside
the entries it compares, prints each difference, and exits with 1 where one is not 0. It needs no packages.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
MICROS = 1_000_000
CHAINED = ("user_id", "position", "debit", "credit", "amount_micros", "cause", "created_at")
OWN = ("available", "held")  # The accounts of the books that belong to the customer.


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of an export, in JSON lines or CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            entries = list(csv.DictReader(file))
        else:
            entries = [json.loads(line) for line in file if line.strip()]
    for entry in entries:
        entry["position"], entry["amount_micros"] = int(entry["position"]), int(entry["amount_micros"])
    return entries


def check_chain(entries: list[Entry]) -> list[str]:
    """Return what is wrong with the chain of hashes."""
    wrong: list[str] = []
    position, head = 0, ""
    for entry in entries:
        parts = (head, *(str(entry[name]) for name in CHAINED))
        expected = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
        if entry["position"] != position + 1:
            wrong.append(f"entry {entry['position']} follows entry {position}")
        elif entry["hash"] != expected or entry["amount_micros"] <= 0 or entry["debit"] == entry["credit"]:
            wrong.append(f"entry {entry['position']} is not what was written")
        position, head = entry["position"], entry["hash"]
    return wrong


def balances_of(entries: list[Entry]) -> dict[str, int]:
    """Return what every account of the books holds; their sum is 0."""
    balances: dict[str, int] = defaultdict(int)
    for entry in entries:
        balances[entry["debit"]] -= entry["amount_micros"]
        balances[entry["credit"]] += entry["amount_micros"]
    assert sum(balances.values()) == 0, "what leaves one account reaches another"
    return balances


def statement_of(entries: list[Entry], opening: int) -> dict[str, int]:
    """Return the figures of a statement over these entries, in micro-credits."""
    figures = {"opening": opening, "added": 0, "charged": 0, "deducted": 0}
    for entry in entries:
        change = entry["amount_micros"] * ((entry["credit"] in OWN) - (entry["debit"] in OWN))
        kind = "charged" if entry["credit"] == "revenue" else "added" if change > 0 else "deducted"
        figures[kind] += abs(change)
    figures["closing"] = opening + figures["added"] - figures["charged"] - figures["deducted"]
    return figures


def micros(amount: float) -> int:
    """Return credits, as JSON has them, as exact micro-credits."""
    return int(Fraction(str(amount)) * MICROS)


def main(ledger: str, *others: str) -> int:
    """Rebuild, print and compare; return how much differs."""
    entries = read_entries(Path(ledger))
    differences = dict.fromkeys(check_chain(entries), 1)
    balances = balances_of(entries)
    made = {"credits": balances["available"] + balances["held"], "held": balances["held"], "spent": balances["revenue"]}
    print(f"{len(entries)} entries make, in micro-credits: {made}")
    for other in map(Path, others):
        told = json.loads(other.read_text(encoding="utf-8"))
        if "statements" not in told:
            figures = ("credits", "current_credits"), ("held", "held_credits"), ("spent", "total_spent")
            differences |= {name: made[name] - micros(told[field]) for name, field in figures}
            continue
        opening = 0
        for statement in sorted(told["statements"], key=lambda one: one["number"]):
            first, last = statement["first_position"], statement["last_position"]
            figures = statement_of([entry for entry in entries if first <= entry["position"] <= last], opening)
            print(f"statement {statement['number']} of {statement['period_start'][:7]}: {figures}")
            for name, value in figures.items():
                differences[f"{name} of statement {statement['number']}"] = value - statement[f"{name}_micros"]
            opening = figures["closing"]
    for what, difference in differences.items():
        if difference:
            print(f"DIFFERENCE {difference}: {what}")
    print(f"difference: {sum(map(abs, differences.values()))}")
    return sum(map(abs, differences.values()))


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
