"""Links in mails: one use, one purpose, a short life, and kept as a hash.

A token proves that somebody reads a mailbox. An account has one link of each purpose at most; a new
one replaces the one before, but not within a minute, so that nobody's mailbox is flooded.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from zentry.accounts.errors import InvalidLink
from zentry.accounts.tokens import SecretSource
from zentry.accounts.upserts import insert_into
from zentry.platform.db import Transaction
from zentry.schema.accounts import LinkPurpose, account_links

LIVES: Final = {
    LinkPurpose.VERIFY_EMAIL: timedelta(hours=24),
    LinkPurpose.CHANGE_EMAIL: timedelta(hours=24),
    LinkPurpose.RESET_PASSWORD: timedelta(hours=1),
    LinkPurpose.SECOND_FACTOR: timedelta(minutes=5),
}
_AGAIN_AFTER: Final = timedelta(minutes=1)
_SPELLING: Final = re.compile(r"zl_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Link:
    """What a token of a link stands for."""

    user_id: UUID
    email: str | None


class LinkRepository:
    """Links that have not been used."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def issue(
        self, user_id: UUID, purpose: LinkPurpose, secrets: SecretSource, *, email: str | None = None
    ) -> str | None:
        """Make a link and return its token; None where one was made a moment ago."""
        token = f"zl_{secrets.token()}"
        values = {
            "hash": _hash(token),
            "email": email,
            "created_at": self._tx.now,
            "expires_at": self._tx.now + LIVES[purpose],
        }
        is_repeatable = purpose is LinkPurpose.SECOND_FACTOR  # Nothing is mailed.
        statement = (
            insert_into(account_links, self._tx)
            .values(user_id=user_id, purpose=purpose, **values)
            .on_conflict_do_update(
                index_elements=["user_id", "purpose"],
                set_=values,
                where=None if is_repeatable else account_links.c.created_at <= self._tx.now - _AGAIN_AFTER,
            )
        )
        return token if (await self._tx.execute(statement)).rowcount == 1 else None

    async def find(self, token: str, purpose: LinkPurpose) -> Link:
        """Return what a token stands for without using it, or raise `InvalidLink`."""
        query = sa.select(account_links.c.user_id, account_links.c.email).where(self._is(token, purpose))
        row = (await self._tx.execute(query)).one_or_none()
        if row is None:
            raise InvalidLink
        return Link(row.user_id, row.email)

    async def use(self, token: str, purpose: LinkPurpose) -> Link:
        """Use a token up and return what it stood for; of any number of callers, one succeeds."""
        done = await self._tx.execute(
            sa.delete(account_links)
            .where(self._is(token, purpose))
            .returning(account_links.c.user_id, account_links.c.email)
        )
        row = done.one_or_none()
        if row is None:
            raise InvalidLink
        return Link(row.user_id, row.email)

    async def drop(self, user_id: UUID, *purposes: LinkPurpose) -> None:
        """Make links of an account void."""
        await self._tx.execute(
            sa.delete(account_links).where(account_links.c.user_id == user_id, account_links.c.purpose.in_(purposes))
        )

    def _is(self, token: str, purpose: LinkPurpose) -> sa.ColumnElement[bool]:
        if not _SPELLING.fullmatch(token):
            raise InvalidLink
        return sa.and_(
            account_links.c.hash == _hash(token),
            account_links.c.purpose == purpose,
            account_links.c.expires_at > self._tx.now,
        )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
