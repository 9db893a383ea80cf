"""Statements over personal access tokens."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from zentry.accounts.types import PersonalToken, TokenState
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Transaction, values
from zentry.platform.signals import ACCESS_CHANGED
from zentry.schema.accounts import personal_tokens, users
from zentry.schema.projects import projects

USE_NOTED_EVERY: Final = timedelta(minutes=1)

_VIEW: Final[tuple[sa.ColumnElement[Any], ...]] = (
    personal_tokens.c.id,
    personal_tokens.c.name,
    personal_tokens.c.ending,
    personal_tokens.c.scopes,
    personal_tokens.c.projects,
    personal_tokens.c.life_days,
    personal_tokens.c.created_at,
    personal_tokens.c.expires_at,
    personal_tokens.c.last_used_at,
)
_STATE: Final = (
    sa.select(
        personal_tokens.c.id,
        personal_tokens.c.user_id,
        users.c.role,
        users.c.is_active,
        personal_tokens.c.scopes,
        personal_tokens.c.projects,
        personal_tokens.c.expires_at,
        personal_tokens.c.last_used_at,
    )
    .join(users, users.c.id == personal_tokens.c.user_id)
    .where(personal_tokens.c.hash == sa.bindparam("hash"))
)


class PersonalTokenRepository:
    """Personal access tokens."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, values_: Mapping[str, Any]) -> bool:
        """Insert a token; False when the account has one of this name."""
        return await self._tx.insert_unless_there(personal_tokens, values_)

    async def count(self, user_id: UUID) -> int:
        """Return how many tokens an account has; its row is locked, so that none is added meanwhile."""
        await self._tx.execute(sa.select(users.c.id).where(users.c.id == user_id).with_for_update())
        query = sa.select(sa.func.count()).select_from(personal_tokens).where(personal_tokens.c.user_id == user_id)
        return int((await self._tx.execute(query)).scalar_one())

    async def list_of(self, user_id: UUID) -> Sequence[PersonalToken]:
        """Return the tokens of an account by name."""
        query = sa.select(*_VIEW).where(personal_tokens.c.user_id == user_id).order_by(personal_tokens.c.name_key)
        return [_token(row) for row in await self._tx.execute(query)]

    async def find(self, token_id: UUID, *, user_id: UUID) -> PersonalToken | None:
        """Return a token of an account."""
        query = sa.select(*_VIEW).where(personal_tokens.c.id == token_id, personal_tokens.c.user_id == user_id)
        row = (await self._tx.execute(query)).one_or_none()
        return None if row is None else _token(row)

    async def find_state(self, hash_: str) -> TokenState | None:
        """Return a token and what counts of its account, in one statement."""
        row = (await self._tx.execute(_STATE, {"hash": hash_})).one_or_none()
        if row is None:
            return None
        return TokenState(
            id=row.id,
            user_id=row.user_id,
            role=Role(row.role),
            is_active=row.is_active,
            scopes=frozenset(row.scopes),
            only=None if row.projects is None else frozenset(map(UUID, row.projects)),
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )

    async def count_projects(self, project_ids: Collection[UUID], *, caller: Caller) -> int:
        """Return in how many of these projects the caller is owner or member."""
        query = (
            sa.select(sa.func.count())
            .select_from(projects)
            .where(
                projects.c.id.in_(sorted(project_ids)),
                projects.c.deleted_at.is_(None),
                sa.or_(projects.c.user_id == caller.user_id, projects.c.id.in_(sorted(caller.shared))),
            )
        )
        return int((await self._tx.execute(query)).scalar_one())

    async def note_use(self, token_id: UUID) -> None:
        """Note that a token was used, at most once a minute."""
        noted = personal_tokens.c.last_used_at
        long_ago = noted.is_(None) | (noted <= self._tx.now - USE_NOTED_EVERY)
        await self._tx.execute(
            sa.update(personal_tokens)
            .where(personal_tokens.c.id == token_id, long_ago)
            .values(last_used_at=self._tx.now)
        )

    async def replace(self, token_id: UUID, *, hash_: str, ending: str, expires_at: datetime) -> bool:
        """Give a token another secret."""
        done = await self._tx.execute(
            sa.update(personal_tokens)
            .where(personal_tokens.c.id == token_id)
            .values(hash=hash_, ending=ending, expires_at=expires_at)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.rowcount == 1

    async def delete(self, token_id: UUID, *, user_id: UUID) -> bool:
        """Delete a token of an account; False when there is none."""
        done = await self._tx.execute(
            sa.delete(personal_tokens).where(personal_tokens.c.id == token_id, personal_tokens.c.user_id == user_id)
        )
        self._tx.after_commit(ACCESS_CHANGED)
        return done.rowcount == 1


def _token(row: sa.Row[*tuple[Any, ...]]) -> PersonalToken:
    return PersonalToken(*values(row))
