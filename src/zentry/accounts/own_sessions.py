"""The caller's sessions: where one is logged in, and how to end that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from zentry.accounts.errors import SessionNotFound
from zentry.accounts.repository import SessionRepository
from zentry.accounts.sessions import MOST_SESSIONS
from zentry.accounts.types import SessionView
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.settings import SecuritySettings


class OwnSessions:
    """The sessions of one account as its owner looks after them."""

    def __init__(self, tx: Transaction, settings: SecuritySettings) -> None:
        self._tx = tx
        self._unused_life = timedelta(seconds=settings.refresh_token_seconds)
        self._sessions = SessionRepository(tx)
        self._events = EventRecorder(tx)

    async def list_sessions(self, caller: Caller) -> Sequence[SessionView]:
        """Return the sessions that can be used, the newest first."""
        used_since = self._tx.now - self._unused_life
        return await self._sessions.list_live(caller.user_id, used_since=used_since, limit=MOST_SESSIONS)

    async def end_session(self, session_id: UUID | None, *, caller: Caller) -> UUID:
        """End one session, which may be the caller's own."""
        if session_id is None or not await self._end(caller, only=session_id):
            raise SessionNotFound
        return session_id

    async def end_others(self, caller: Caller) -> UUID:
        """End every session but the caller's, which is returned."""
        await self._end(caller, but=caller.session_id)
        return caller.session_id

    async def _end(self, caller: Caller, *, only: UUID | None = None, but: UUID | None = None) -> Sequence[UUID]:
        ended = await self._sessions.revoke_of(caller.user_id, reason="user", only=only, but=but)
        for session_id in ended:
            await self._events.record(
                "account.session_revoked",
                resource_type="user",
                resource_id=caller.user_id,
                user_id=caller.user_id,
                actor_id=caller.user_id,
                data={"session_id": str(session_id)},
            )
        return ended
