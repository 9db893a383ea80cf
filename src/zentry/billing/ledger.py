"""The books of one account, open under its row lock.

An entry moves an amount from one account to another, so every entry balances by its form. The
user's row carries the balances, and each entry the hash of the one before it: the books can be
recomputed and a changed byte be found. `post` moves nothing that is not there, `save` writes the
row only if nobody else has posted since, and the table's CHECK stands behind both.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from prometheus_client import Counter

from zentry.billing.errors import InsufficientCredits
from zentry.billing.types import Balance
from zentry.platform.db import Transaction
from zentry.platform.errors import NotFound
from zentry.platform.money import MICROS_PER_CREDIT
from zentry.schema.accounts import users
from zentry.schema.billing import LedgerAccount, ledger_entries

ENTRIES: Final = Counter(
    "zentry_ledger_entries_total",
    "Entries of the books, by the accounts that they move an amount from and to. "
    "Those of a transaction that is taken back are counted as well.",
    ("debit", "credit"),
)
CREDITS: Final = Counter(
    "zentry_ledger_credits_total", "Credits that entries of the books have moved, counted alike.", ("debit", "credit")
)
_CREDITS_CHANGE: Final = {LedgerAccount.AVAILABLE: 1, LedgerAccount.HELD: 1}
_COLUMNS: Final = (
    users.c.credits,
    users.c.held,
    users.c.total_spent,
    users.c.billing_line_count,
    users.c.ledger_position,
    users.c.ledger_head,
    users.c.meter_due_at,
    users.c.credit_warning,
    users.c.discount_basis_points,
    users.c.grants_end_at,
)
_ACCOUNT: Final = users.c.id == sa.bindparam("user", type_=sa.Uuid)
_LOCK: Final = sa.select(*_COLUMNS).where(_ACCOUNT).with_for_update(key_share=True)
_LOOK: Final = sa.select(*_COLUMNS).where(_ACCOUNT)
_INSERT: Final = sa.insert(ledger_entries)
_SAVE: Final = (
    sa.update(users)
    .where(_ACCOUNT, users.c.ledger_position == sa.bindparam("seen_position", type_=sa.BigInteger))
    .values(
        credits=sa.bindparam("new_credits"),
        held=sa.bindparam("new_held"),
        total_spent=sa.bindparam("new_spent"),
        billing_line_count=sa.bindparam("new_lines"),
        ledger_position=sa.bindparam("new_position"),
        ledger_head=sa.bindparam("new_head"),
        meter_due_at=sa.bindparam("new_due_at"),
        credit_warning=sa.bindparam("new_warning"),
        discount_basis_points=sa.bindparam("new_discount"),
        grants_end_at=sa.bindparam("new_grants_end_at"),
    )
)


class Books:
    """One account's books. Open, post, save; all in one transaction."""

    def __init__(self, tx: Transaction, user_id: UUID, row: sa.Row[Any]) -> None:
        self._tx = tx
        self.user_id = user_id
        self._credits: int = row.credits
        self._held: int = row.held
        self._spent: int = row.total_spent
        self._lines: int = row.billing_line_count
        self._position: int = row.ledger_position
        self._seen_position: int = row.ledger_position
        self._head: str = row.ledger_head
        self.meter_due_at: datetime | None = row.meter_due_at
        self.credit_warning: int = row.credit_warning
        self.discount_basis_points: int = row.discount_basis_points
        self.grants_end_at: datetime | None = row.grants_end_at
        self._entries: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, tx: Transaction, user_id: UUID) -> Books:
        """Lock the account and read its balances, or raise `NotFound`."""
        row = (await tx.execute(_LOCK, {"user": user_id})).first()
        if row is None:
            raise NotFound("User")
        return cls(tx, user_id, row)

    @classmethod
    async def look(cls, tx: Transaction, user_id: UUID) -> Books:
        """Read the balances for looking ahead, without a lock: nothing of it is to be saved."""
        row = (await tx.execute(_LOOK, {"user": user_id})).first()
        if row is None:
            raise NotFound("User")
        return cls(tx, user_id, row)

    @property
    def balance(self) -> Balance:
        """The balances with everything posted so far."""
        return Balance(self._credits, self._held, self._spent)

    def post(
        self, debit: LedgerAccount, credit: LedgerAccount, amount: int, *, cause: str, record_id: UUID | None = None
    ) -> None:
        """Move an amount; nothing to move is no entry. Raise `InsufficientCredits` when it is not there."""
        assert amount >= 0, "an entry moves forward; its opposite is another entry"
        if amount == 0:
            return
        if debit is LedgerAccount.AVAILABLE and amount > self.balance.available:
            raise InsufficientCredits(required=amount, available=self.balance.available)
        assert debit is not LedgerAccount.HELD or amount <= self._held, "a hold is never captured beyond itself"
        self._credits += amount * (_CREDITS_CHANGE.get(credit, 0) - _CREDITS_CHANGE.get(debit, 0))
        self._held += amount * ((credit is LedgerAccount.HELD) - (debit is LedgerAccount.HELD))
        self._spent += amount if credit is LedgerAccount.REVENUE else 0
        self._append(debit, credit, amount, cause, record_id)

    def add_line(self) -> None:
        """Count a line of the history."""
        self._lines += 1

    async def save(self) -> None:
        """Write the entries and the balances."""
        if self._entries:
            await self._tx.execute(_INSERT, self._entries)
            self._entries = []
        saved = await self._tx.execute(
            _SAVE,
            {
                "user": self.user_id,
                "seen_position": self._seen_position,
                "new_credits": self._credits,
                "new_held": self._held,
                "new_spent": self._spent,
                "new_lines": self._lines,
                "new_position": self._position,
                "new_head": self._head,
                "new_due_at": self.meter_due_at,
                "new_warning": self.credit_warning,
                "new_discount": self.discount_basis_points,
                "new_grants_end_at": self.grants_end_at,
            },
        )
        assert saved.rowcount == 1, "the books were open under the account's lock"
        self._seen_position = self._position

    def _append(
        self, debit: LedgerAccount, credit: LedgerAccount, amount: int, cause: str, record_id: UUID | None
    ) -> None:
        self._position += 1
        self._head = entry_hash(
            previous=self._head,
            user_id=self.user_id,
            position=self._position,
            debit=debit,
            credit=credit,
            amount=amount,
            cause=cause,
            created_at=self._tx.now,
        )
        _count(debit, credit, amount)
        self._entries.append(
            {
                "id": self._tx.new_id(),
                "user_id": self.user_id,
                "position": self._position,
                "debit": debit,
                "credit": credit,
                "amount": amount,
                "cause": cause,
                "record_id": record_id,
                "created_at": self._tx.now,
                "hash": self._head,
            }
        )


def _count(debit: LedgerAccount, credit: LedgerAccount, amount: int) -> None:
    ENTRIES.labels(debit, credit).inc()
    CREDITS.labels(debit, credit).inc(amount / MICROS_PER_CREDIT)


def entry_hash(
    *,
    previous: str,
    user_id: UUID,
    position: int,
    debit: str,
    credit: str,
    amount: int,
    cause: str,
    created_at: datetime,
) -> str:
    """Return the SHA-256 that chains an entry to the one before it."""
    text = "\x1f".join(
        (previous, str(user_id), str(position), debit, credit, str(amount), cause, created_at.isoformat())
    )
    return hashlib.sha256(text.encode()).hexdigest()
