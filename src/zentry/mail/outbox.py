"""The outbox: mails are rows of the transaction that causes them, so neither exists without the other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from zentry.mail.types import MAX_TEXT_LENGTH, ClaimedMail, Letter
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.signals import MAIL_DUE
from zentry.schema.mail import MailStatus, is_pending, mails

_KEPT: Final = timedelta(days=2)
"""How long a mail is tried where its cause names no end."""
_SUBJECT_LENGTH: Final = 150
_ERROR_LENGTH: Final = 200

_DUE: Final = (
    sa.select(mails.c.id)
    .where(is_pending, mails.c.due_at <= sa.bindparam("now"))
    .order_by(mails.c.due_at)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True)
)
_NEXT_DUE: Final = sa.select(sa.func.min(mails.c.due_at)).where(is_pending)


class Outbox:
    """The mails of one transaction. `put` is what other domains call."""

    def __init__(self, tx: Transaction, sealer: Sealer) -> None:
        self._tx = tx
        self._sealer = sealer

    async def put(
        self, key: str, *, to: str, letter: Letter, user_id: UUID | None = None, until: datetime | None = None
    ) -> bool:
        """Add a mail that is sent after the commit; False when one with this key was there already.

        The key names the cause (`account.reset:<id>`), so that a cause that is handled twice sends
        one mail. After `until` the mail is of no use and is not sent any more.
        """
        assert len(letter.text) <= MAX_TEXT_LENGTH, "a letter is a page, not a book"
        mail_id = self._tx.new_id()
        content = msgspec.json.encode([to, _one_line(letter.subject), letter.text]).decode()
        added = await self._tx.insert_unless_there(
            mails,
            {
                "id": mail_id,
                "key": key,
                "user_id": user_id,
                "content": self._sealer.seal(content, owner=mail_id),
                "status": MailStatus.PENDING,
                "due_at": self._tx.now,
                "expires_at": until or self._tx.now + _KEPT,
                "created_at": self._tx.now,
            },
        )
        if added:
            self._tx.after_commit(MAIL_DUE)
        return added

    async def forget(self, user_id: UUID) -> None:
        """Drop what was to be sent to an account, and every trace of what was."""
        await self._tx.execute(sa.delete(mails).where(mails.c.user_id == user_id))


class MailQueue:
    """The same rows as the loop that sends them sees them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def claim(self, *, lease: timedelta, most: int) -> Sequence[ClaimedMail]:
        """Take what is due; it is due again when the lease ends, should this process die."""
        due = (await self._tx.execute(_DUE, {"now": self._tx.now, "most": most})).scalars().all()
        if not due:
            return []
        done = await self._tx.execute(
            sa.update(mails)
            .where(mails.c.id.in_(due))
            .values(due_at=self._tx.now + lease, attempt=mails.c.attempt + 1)
            .returning(mails.c.id, mails.c.attempt, mails.c.content, mails.c.created_at, mails.c.expires_at)
        )
        return [ClaimedMail(row.id, row.attempt, row.content, row.created_at, row.expires_at) for row in done]

    async def end(self, mail: ClaimedMail, status: MailStatus, *, error: str | None = None) -> bool:
        """Record that a mail was sent or is given up, and forget what it said; False when the claim was lost."""
        done = await self._tx.execute(
            sa.update(mails)
            .where(mails.c.id == mail.id, mails.c.attempt == mail.attempt, is_pending)
            .values(status=status, content=None, ended_at=self._tx.now, error=_shortened(error))
        )
        return done.rowcount == 1

    async def postpone(self, mail: ClaimedMail, *, by: timedelta, error: str) -> bool:
        """Try again later; False when the claim was lost, or the mail would be of no use by then."""
        due_at = self._tx.now + by
        done = await self._tx.execute(
            sa.update(mails)
            .where(mails.c.id == mail.id, mails.c.attempt == mail.attempt, is_pending, mails.c.expires_at > due_at)
            .values(due_at=due_at, error=_shortened(error))
        )
        return done.rowcount == 1

    async def next_due_in(self) -> timedelta | None:
        """Return how long until a mail is due; None when there is none."""
        due_at: datetime | None = (await self._tx.execute(_NEXT_DUE)).scalar_one()
        return None if due_at is None else due_at - self._tx.now


def read_content(sealer: Sealer, mail: ClaimedMail) -> tuple[str, Letter]:
    """Return to whom a mail goes and what it says."""
    to, subject, text = msgspec.json.decode(sealer.unseal(mail.content, owner=mail.id), type=tuple[str, str, str])
    return to, Letter(subject, text)


def _one_line(subject: str) -> str:
    """Return the subject without what could end a header, however it got there."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in subject).split())[:_SUBJECT_LENGTH]


def _shortened(error: str | None) -> str | None:
    return None if error is None else error[:_ERROR_LENGTH]
