"""Finds out who asks, once per request, before any router."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
import structlog

from zentry.accounts.addresses import Network, client_address, client_agent
from zentry.accounts.errors import AccountDeactivated, InvalidAccessToken
from zentry.accounts.personal_tokens import hash_personal_token, is_personal_token
from zentry.accounts.personal_tokens_repository import USE_NOTED_EVERY, PersonalTokenRepository
from zentry.accounts.repository import MembershipRepository, SessionRepository
from zentry.accounts.tokens import AccessClaims, AccessTokens
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.errors import Unavailable, ZentryError
from zentry.platform.origin import ORIGIN, Origin
from zentry.platform.settings import SecuritySettings
from zentry.platform.signals import ACCESS_CHANGED, Signals

SCOPE_KEY: Final = "zentry.caller"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    expires_at: datetime
    trusted_until: float


class Authenticator:
    """Turns an access token into a caller.

    The signature says who it was when the token was made; the session row says whether that still
    holds. Both are remembered until somebody's access changes, and for at most a second: so a revoked
    token is refused at once where the change is signalled, and within a second where it is not.
    """

    def __init__(
        self,
        database: Database,
        *,
        tokens: AccessTokens,
        clock: Clock,
        settings: SecuritySettings,
        signals: Signals,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._trust_seconds = settings.token_cache_seconds
        self._capacity = settings.token_cache_size
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._changes = signals.listen(ACCESS_CHANGED)
        self._generation = 0

    async def authenticate(self, token: str) -> Caller:
        """Return whose token it is, or raise."""
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        generation = self._forget_what_changed()
        known = self._verified.get(key)
        asked_at = self._clock.monotonic()
        if known is not None and asked_at < known.trusted_until and self._clock.now() < known.expires_at:
            return known.caller
        if is_personal_token(token):
            caller, expires_at = await self._owner_of(hash_personal_token(token))
        else:
            claims = self._tokens.verify(token)
            caller, expires_at = await self._caller_of(claims), claims.expires_at
        # Counted from before the look at the row: what was revoked since then must not live on.
        if self._forget_what_changed() == generation:
            self._remember(key, _Verified(caller, expires_at, trusted_until=asked_at + self._trust_seconds))
        return caller

    async def _owner_of(self, hash_: str) -> tuple[Caller, datetime]:
        async with self._database.read() as tx:
            token = await PersonalTokenRepository(tx).find_state(hash_)
            now = tx.now
            if token is None or token.expires_at <= now:
                raise InvalidAccessToken
            shared = await MembershipRepository(tx).find_all(token.user_id)
        if not token.is_active:
            raise AccountDeactivated
        if token.last_used_at is None or token.last_used_at <= now - USE_NOTED_EVERY:
            async with self._database.work() as tx:
                await PersonalTokenRepository(tx).note_use(token.id)
        caller = Caller(
            user_id=token.user_id,
            session_id=token.id,
            role=token.role,
            scopes=token.scopes,
            only=token.only,
            shared=shared,
        )
        return caller, token.expires_at

    async def _caller_of(self, claims: AccessClaims) -> Caller:
        async with self._database.read() as tx:
            session = await SessionRepository(tx).find_state(claims.session_id, user_id=claims.user_id)
            if session is None or session.revoked_at is not None or session.expires_at <= tx.now:
                raise InvalidAccessToken
            shared = await MembershipRepository(tx).find_all(session.user_id)
        if not session.is_active:
            raise AccountDeactivated
        return Caller(user_id=session.user_id, session_id=claims.session_id, role=session.role, shared=shared)

    def _forget_what_changed(self) -> int:
        """Forget everybody if anybody's access has changed, and return how often that was so."""
        if self._changes.take():
            self._verified.clear()
            self._generation += 1
        return self._generation

    def _remember(self, key: bytes, verified: _Verified) -> None:
        self._verified[key] = verified
        self._verified.move_to_end(key)
        while len(self._verified) > self._capacity:
            self._verified.popitem(last=False)


class AuthenticationMiddleware:
    """Puts the caller, or the reason why there is none, on the request.

    It refuses nothing itself: public routes answer with any token and without a database.
    """

    def __init__(self, app: Any, authenticator: Authenticator, trusted_proxies: Sequence[Network] = ()) -> None:
        self._app = app
        self._authenticator = authenticator
        self._trusted_proxies = trusted_proxies

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Look at the Authorization header and pass the request on."""
        if scope["type"] in {"http", "websocket"}:
            structlog.contextvars.unbind_contextvars("user_id")
            values = [value for name, value in scope["headers"] if name == b"authorization"]
            if values:
                scope[SCOPE_KEY] = await self._identify(values)
        token = ORIGIN.set(partial(self._origin, scope))
        try:
            await self._app(scope, receive, send)
        finally:
            ORIGIN.reset(token)

    def _origin(self, scope: Any) -> Origin:
        caller = scope.get(SCOPE_KEY)
        return Origin(
            session_id=caller.session_id if isinstance(caller, Caller) else None,
            address=client_address(scope, self._trusted_proxies),
            agent=client_agent(scope),
        )

    async def _identify(self, values: list[bytes]) -> Caller | ZentryError:
        scheme, _, token = values[0].decode("latin-1").partition(" ")
        if len(values) > 1 or scheme.lower() != "bearer":
            return InvalidAccessToken("Send one access token: Authorization: Bearer <token>.")
        try:
            caller = await self._authenticator.authenticate(token.strip(" "))
        except ZentryError as error:
            return error
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            _log.warning("accounts.database_unavailable", error=type(error).__name__)
            return Unavailable("The database cannot be reached. Try again in a moment.")
        structlog.contextvars.bind_contextvars(user_id=str(caller.user_id))
        return caller
