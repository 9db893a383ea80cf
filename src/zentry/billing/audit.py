"""Checks the books entry by entry, and says where they have been changed.

Each entry carries the hash of its content and of the entry before it. An entry whose content was
changed does not have the hash that it shows; one that is gone leaves a gap; what was cut off the
end is missed by the account, which knows its last position and hash.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.ledger import entry_hash
from zentry.platform.db import Database, Transaction
from zentry.schema.accounts import users
from zentry.schema.billing import LedgerAccount, billing_records, ledger_entries

_PAGE: Final = 1_000
_SPENDABLE: Final = (LedgerAccount.AVAILABLE, LedgerAccount.HELD)
_ACCOUNTS: Final = sa.select(users.c.id).where(users.c.id > sa.bindparam("after")).order_by(users.c.id).limit(_PAGE)
_ACCOUNT: Final = sa.select(
    users.c.id, users.c.credits, users.c.held, users.c.total_spent, users.c.ledger_position, users.c.ledger_head
).where(users.c.id == sa.bindparam("user"))
_ENTRIES: Final = (
    sa.select(ledger_entries, billing_records.c.amount.label("line_amount"))
    .outerjoin(billing_records, billing_records.c.id == ledger_entries.c.record_id)
    .where(ledger_entries.c.user_id == sa.bindparam("user"), ledger_entries.c.position > sa.bindparam("after"))
    .order_by(ledger_entries.c.position)
    .limit(_PAGE)
)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the books that is not as it was written."""

    user_id: UUID
    position: int | None
    """The entry; None where it is about the account as a whole."""
    what: str

    def __str__(self) -> str:
        place = f"account {self.user_id}" + ("" if self.position is None else f", entry {self.position}")
        return f"{place}: {self.what}"


@dataclass(slots=True)
class Audit:
    """What was looked at, and what was found."""

    accounts: int = 0
    entries: int = 0
    findings: list[Finding] = field(default_factory=list)


async def audit_ledger(database: Database, *, user_id: UUID | None = None) -> Audit:
    """Check the books of every account, or of one."""
    audit = Audit()
    async for account in _accounts(database, user_id):
        audit.accounts += 1
        async with database.snapshot() as tx:  # Balances and entries of one instant.
            await _audit_account(tx, (await tx.execute(_ACCOUNT, {"user": account})).one(), audit)
    return audit


async def _accounts(database: Database, user_id: UUID | None) -> AsyncIterator[UUID]:
    after = UUID(int=0)
    while True:
        async with database.read() as tx:
            page = [row.id for row in (await tx.execute(_ACCOUNTS, {"after": after})).all()]
        for found in page:
            if user_id in (None, found):
                yield found
        if len(page) < _PAGE:
            return
        after = page[-1]


async def _audit_account(tx: Transaction, account: sa.Row[Any], audit: Audit) -> None:
    position, head = 0, ""
    balances = dict.fromkeys(LedgerAccount, 0)
    while page := (await tx.execute(_ENTRIES, {"user": account.id, "after": position})).all():
        for entry in page:
            audit.findings += _check(entry, position=position, head=head)
            position, head = entry.position, entry.hash
            balances[LedgerAccount(entry.debit)] -= entry.amount
            balances[LedgerAccount(entry.credit)] += entry.amount
            audit.entries += 1
    if (position, head) != (account.ledger_position, account.ledger_head):
        what = f"the books end with entry {position}, and the account's last is {account.ledger_position}"
        if position == account.ledger_position:
            what = f"the hash of the last entry, {position}, is not the one that the account knows"
        audit.findings.append(Finding(account.id, None, what))
    facts = {
        "balance": (account.credits, sum(balances[name] for name in _SPENDABLE)),
        "amount held": (account.held, balances[LedgerAccount.HELD]),
        "amount spent": (account.total_spent, balances[LedgerAccount.REVENUE]),
    }
    audit.findings += [
        Finding(account.id, None, f"the {name} is {there}, and the entries make {made} micro-credits")
        for name, (there, made) in facts.items()
        if there != made
    ]


def _check(entry: sa.Row[Any], *, position: int, head: str) -> Sequence[Finding]:
    """Return what is wrong with an entry that follows `position`, whose hash is `head`."""
    if entry.position != position + 1:
        missing = f"{position + 1}" if entry.position == position + 2 else f"{position + 1} to {entry.position - 1}"
        return [Finding(entry.user_id, entry.position, f"before it {missing} is missing")]
    expected = entry_hash(
        previous=head,
        user_id=entry.user_id,
        position=entry.position,
        debit=entry.debit,
        credit=entry.credit,
        amount=entry.amount,
        cause=entry.cause,
        created_at=entry.created_at,
    )
    found = []
    if entry.hash != expected:
        found.append(Finding(entry.user_id, entry.position, "its content or its hash was changed"))
    if entry.record_id is not None and abs(entry.line_amount or 0) != entry.amount:
        what = f"its line of the bill says {entry.line_amount}, and it moved {entry.amount} micro-credits"
        found.append(Finding(entry.user_id, entry.position, what))
    return found
