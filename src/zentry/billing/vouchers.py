"""Vouchers: credit for whoever brings the code. Runs inside the caller's transaction and never commits.

A code has 100 random bits, so that its plain hash is enough to find it and tells nobody what it is. What
may be redeemed is decided by one conditional statement; that an account redeems once, by a primary key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.billing.errors import VoucherExpired, VoucherOver, VoucherUsed
from zentry.billing.service import BillingService
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction, values
from zentry.platform.errors import NotFound
from zentry.schema.billing import voucher_redemptions, vouchers

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 20
_GROUP: Final = 5
_HINT: Final = 4
_LOOKALIKES: Final = str.maketrans("OIL", "011")
_FORM: Final = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_COLUMNS: Final = (
    vouchers.c.id,
    vouchers.c.hint,
    vouchers.c.amount_micros,
    vouchers.c.max_redemptions,
    vouchers.c.redemptions,
    vouchers.c.reason,
    vouchers.c.expires_at,
    vouchers.c.withdrawn_at,
    vouchers.c.created_at,
)
_BY_HASH: Final = vouchers.c.code_hash == sa.bindparam("hash")
_TAKE: Final = (
    sa.update(vouchers)
    .where(
        _BY_HASH,
        vouchers.c.redemptions < vouchers.c.max_redemptions,
        vouchers.c.withdrawn_at.is_(None),
        sa.or_(
            vouchers.c.expires_at.is_(None),
            vouchers.c.expires_at > sa.bindparam("now", type_=vouchers.c.expires_at.type),
        ),
    )
    .values(redemptions=vouchers.c.redemptions + 1)
    .returning(vouchers.c.id, vouchers.c.amount_micros)
)
_FIND: Final = sa.select(*_COLUMNS).where(_BY_HASH)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher as administrators see it: without its code."""

    id: UUID
    hint: str
    amount_micros: int
    max_redemptions: int
    redemptions: int
    reason: str
    expires_at: datetime | None
    withdrawn_at: datetime | None
    created_at: datetime


class VoucherService:
    """Makes, lists, withdraws and redeems vouchers."""

    def __init__(self, tx: Transaction, billing: BillingService) -> None:
        self._tx = tx
        self._billing = billing
        self._events = EventRecorder(tx)

    async def create(
        self, *, amount: int, max_redemptions: int, expires_at: datetime | None, reason: str, caller: Caller
    ) -> tuple[UUID, str]:
        """Make a voucher; return its id and its code, which nobody can be shown again."""
        if expires_at is not None and expires_at <= self._tx.now:
            raise VoucherOver
        code = "".join(_ALPHABET[self._tx.random_below(len(_ALPHABET))] for _ in range(_LENGTH))
        voucher_id = self._tx.new_id()
        await self._tx.execute(
            sa.insert(vouchers),
            {
                "id": voucher_id,
                "code_hash": _hash(code),
                "hint": code[-_HINT:],
                "amount_micros": amount,
                "max_redemptions": max_redemptions,
                "redemptions": 0,
                "reason": reason,
                "expires_at": expires_at,
                "withdrawn_at": None,
                "created_by": caller.user_id,
                "created_at": self._tx.now,
            },
        )
        await self._note("voucher.created", voucher_id, caller, amount)
        return voucher_id, "-".join(code[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))

    async def get(self, voucher_id: UUID | None) -> Voucher:
        """Return a voucher, or raise `NotFound`."""
        row = (await self._tx.execute(sa.select(*_COLUMNS).where(vouchers.c.id == voucher_id))).first()
        if row is None:
            raise NotFound("Voucher")
        return Voucher(*values(row))

    async def list(self, *, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Voucher]:
        """Return vouchers, the newest first, from before one that was seen."""
        query = sa.select(*_COLUMNS).order_by(vouchers.c.created_at.desc(), vouchers.c.id.desc()).limit(limit)
        if before is not None:
            at, id_ = before
            seen = sa.tuple_(sa.literal(at, vouchers.c.created_at.type), sa.literal(id_, sa.Uuid))
            query = query.where(sa.tuple_(vouchers.c.created_at, vouchers.c.id) < seen)
        return [Voucher(*values(row)) for row in (await self._tx.execute(query)).all()]

    async def withdraw(self, voucher_id: UUID | None, *, caller: Caller) -> UUID:
        """Let nobody redeem a voucher any more; what was redeemed stays."""
        voucher = await self.get(voucher_id)
        changed = await self._tx.execute(
            sa.update(vouchers)
            .where(vouchers.c.id == voucher.id, vouchers.c.withdrawn_at.is_(None))
            .values(withdrawn_at=self._tx.now)
        )
        if changed.rowcount:
            await self._note("voucher.withdrawn", voucher.id, caller, voucher.amount_micros)
        return voucher.id

    async def redeem(self, code: str, *, caller: Caller) -> UUID:
        """Add what a voucher is worth to the caller's credit; return the line's id."""
        hashed = _hash(_normal(code))
        await self._billing.lock_account(caller.user_id)  # Accounts are locked before anything else is.
        taken = (await self._tx.execute(_TAKE, {"hash": hashed, "now": self._tx.now})).first()
        if taken is None:
            await self._refuse(hashed)
        assert taken is not None, "a refusal raises"
        redemption = {"voucher_id": taken.id, "user_id": caller.user_id, "created_at": self._tx.now}
        if not await self._tx.insert_unless_there(voucher_redemptions, redemption):
            raise VoucherUsed("You have redeemed this voucher before; an account redeems it once.")
        record_id = await self._billing.grant_voucher(caller.user_id, taken.amount_micros, voucher_id=taken.id)
        await self._note("voucher.redeemed", taken.id, caller, taken.amount_micros)
        return record_id

    async def _refuse(self, hashed: str) -> None:
        row = (await self._tx.execute(_FIND, {"hash": hashed})).first()
        if row is None:
            raise NotFound("Voucher")
        if row.redemptions >= row.max_redemptions:
            raise VoucherUsed("This voucher was redeemed as often as it may be.")
        raise VoucherExpired

    async def _note(self, kind: str, voucher_id: UUID, caller: Caller, amount: int) -> None:
        await self._events.record(
            kind,
            resource_type="voucher",
            resource_id=voucher_id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data={"amount_micros": amount},
        )


def _normal(code: str) -> str:
    """Return a code as it was made: people write it in lower case, with spaces, and O for 0."""
    plain = re.sub(r"[\s-]", "", code).upper().translate(_LOOKALIKES)
    if not _FORM.fullmatch(plain):
        raise NotFound("Voucher")
    return plain


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
