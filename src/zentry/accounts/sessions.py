"""Sessions: a login opens one, refresh tokens continue it, a logout or a stolen token ends it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from zentry.accounts.errors import AccountDeactivated, InvalidRefreshToken
from zentry.accounts.repository import SessionRepository, UserRepository
from zentry.accounts.tokens import AccessTokens, SecretSource, hash_refresh_token, new_refresh_token, successor_of
from zentry.accounts.types import Client, IssuedTokens, UsedToken
from zentry.events.recorder import EventRecorder
from zentry.platform.db import Transaction
from zentry.platform.settings import SecuritySettings

REUSE_GRACE: Final = timedelta(seconds=10)
MOST_SESSIONS: Final = 100
"""Of one account; a login beyond them ends the oldest."""


class SessionService:
    """The rules about sessions. Runs inside the caller's transaction and never commits."""

    def __init__(
        self, tx: Transaction, *, tokens: AccessTokens, secrets: SecretSource, settings: SecuritySettings
    ) -> None:
        self._tx = tx
        self._tokens = tokens
        self._secrets = secrets
        self._life = timedelta(seconds=settings.session_seconds)
        self._refresh_life = timedelta(seconds=settings.refresh_token_seconds)
        self._sessions = SessionRepository(tx)
        self._users = UserRepository(tx)
        self._events = EventRecorder(tx)

    async def open(self, user_id: UUID, *, client: Client) -> IssuedTokens:
        """Open a session and hand out its first tokens."""
        session_id = self._tx.new_id()
        expires_at = self._tx.now + self._life
        await self._sessions.insert(
            {
                "id": session_id,
                "user_id": user_id,
                "created_at": self._tx.now,
                "expires_at": expires_at,
                "last_used_at": self._tx.now,
                "user_agent": client.user_agent,
                "address": client.address,
            }
        )
        await self._sessions.revoke_beyond(user_id, most=MOST_SESSIONS)
        await self._events.record(
            "account.logged_in",
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            actor_id=user_id,
            data={"session_id": str(session_id)},
        )
        refresh_token = new_refresh_token(self._secrets)
        await self._keep(refresh_token, session_id=session_id, expires_at=expires_at)
        return await self._issue(user_id, refresh_token, session_id=session_id, expires_at=expires_at)

    async def rotate(self, refresh_token: str, *, client: Client) -> IssuedTokens | None:
        """Exchange a refresh token for new tokens of its session.

        None means that the token is refused and that the transaction holds the trace of it:
        the caller commits first and refuses then.
        """
        hash_, salt = hash_refresh_token(refresh_token), self._secrets.token()
        session_id = await self._sessions.use_refresh_token(hash_, salt=salt)
        if session_id is None:
            return await self._judge_reuse(refresh_token, hash_)
        session = await self._sessions.touch(session_id, client=client)
        if session is None:
            raise InvalidRefreshToken
        user_id, expires_at = session
        successor = successor_of(refresh_token, salt=salt)
        await self._keep(successor, session_id=session_id, expires_at=expires_at)
        await self._sessions.forget_salts(session_id, used_before=self._tx.now - REUSE_GRACE)
        return await self._issue(user_id, successor, session_id=session_id, expires_at=expires_at)

    async def repeat(self, refresh_token: str) -> IssuedTokens | None:
        """Return what the first of several requests got, where one was there a moment ago; None where none was.

        Nothing is written: those who come second need not wait for each other.
        """
        token = await self._sessions.find_refresh_token(hash_refresh_token(refresh_token))
        if token is None or not self._is_within_grace(token) or token.salt is None:
            return None
        return await self._repeat(refresh_token, token)

    async def close(self, session_id: UUID) -> None:
        """End a session because its owner asked; once more changes nothing."""
        user_id = await self._sessions.revoke(session_id, reason="logout")
        if user_id is not None:
            await self._record_end("account.logged_out", user_id=user_id, session_id=session_id, cause="user")

    async def _judge_reuse(self, refresh_token: str, hash_: str) -> IssuedTokens | None:
        """Return what the first use got if the token may be used once more, else end the session.

        A client whose answer got lost, or two of its requests at once, look like a thief for a
        moment. Within the grace they get what the first one got: the session goes on in one line.
        """
        token = await self._sessions.find_refresh_token(hash_)
        if token is None or token.used_at is None or token.expires_at <= self._tx.now:
            raise InvalidRefreshToken
        if self._is_within_grace(token):
            return await self._repeat(refresh_token, token)
        user_id = await self._sessions.revoke(token.session_id, reason="refresh_token_reuse")
        if user_id is not None:
            await self._record_end(
                "account.session_revoked", user_id=user_id, session_id=token.session_id, cause="refresh_token_reuse"
            )
        return None

    def _is_within_grace(self, token: UsedToken) -> bool:
        now = self._tx.now
        return token.used_at is not None and now - token.used_at <= REUSE_GRACE and now < token.expires_at

    async def _repeat(self, refresh_token: str, token: UsedToken) -> IssuedTokens:
        session = await self._sessions.find_live(token.session_id)
        if session is None or token.salt is None:
            raise InvalidRefreshToken
        user_id, expires_at = session
        successor = successor_of(refresh_token, salt=token.salt)
        return await self._issue(user_id, successor, session_id=token.session_id, expires_at=expires_at)

    async def _record_end(self, kind: str, *, user_id: UUID, session_id: UUID, cause: str) -> None:
        await self._events.record(
            kind,
            resource_type="user",
            resource_id=user_id,
            user_id=user_id,
            cause=cause,
            actor_id=user_id if cause == "user" else None,
            data={"session_id": str(session_id)},
        )

    async def _keep(self, refresh_token: str, *, session_id: UUID, expires_at: datetime) -> None:
        await self._sessions.insert_refresh_token(
            hash_=hash_refresh_token(refresh_token),
            session_id=session_id,
            expires_at=min(self._tx.now + self._refresh_life, expires_at),
        )

    async def _issue(
        self, user_id: UUID, refresh_token: str, *, session_id: UUID, expires_at: datetime
    ) -> IssuedTokens:
        user = await self._users.find_profile(user_id)
        assert user is not None, "a session belongs to an account"
        if not user.is_active:
            raise AccountDeactivated
        access_token, lives_seconds = self._tokens.issue(
            user_id=user_id, session_id=session_id, now=self._tx.now, not_after=expires_at
        )
        return IssuedTokens(access_token, refresh_token, expires_in_seconds=lives_seconds, user=user)
