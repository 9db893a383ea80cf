"""Sign-up, login, refresh, logout and the own profile.

Unlike the services of other domains this one opens its units of work itself. A login is three of
them with work between: the try is counted and committed, so that a crash or a rollback cannot give it
back; the password is hashed while no transaction is open, since a quarter of a second of CPU must not
hold the only writer; then the outcome is recorded. A refusal that must leave a trace commits the
trace before it is raised. An edge that opened one transaction around all of it could do none of that.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from zentry.accounts.addresses import network_of
from zentry.accounts.errors import (
    AccountDeactivated,
    EmailTaken,
    InvalidAccessToken,
    InvalidRefreshToken,
    TooManyFailures,
    WrongCredentials,
)
from zentry.accounts.identity import clean_name, find_email, parse_email
from zentry.accounts.limits import SigninLimiter
from zentry.accounts.passwords import Hasher, PasswordPolicy
from zentry.accounts.repository import FailureRepository, UserRepository
from zentry.accounts.sessions import SessionService
from zentry.accounts.tokens import AccessTokens, SecretSource
from zentry.accounts.types import Client, Credentials, IssuedTokens, OnSignup, UserProfile
from zentry.events.recorder import EventRecorder
from zentry.operations.once import Once
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Database, Transaction
from zentry.platform.etags import ANY_VERSION, Precondition
from zentry.platform.settings import SecuritySettings


class AuthService:
    """Who somebody is, and the tokens that prove it."""

    def __init__(
        self,
        database: Database,
        *,
        settings: SecuritySettings,
        hasher: Hasher,
        tokens: AccessTokens,
        secrets: SecretSource,
        limiter: SigninLimiter,
        on_signup: Sequence[OnSignup] = (),
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = PasswordPolicy(settings)
        self._tokens = tokens
        self._secrets = secrets
        self._limiter = limiter
        self._on_signup = tuple(on_signup)
        self._failures_allowed = settings.login_failures
        self._pause = timedelta(seconds=settings.login_pause_seconds)
        self._settings = settings

    async def signup(self, *, email: str, name: str, password: str, client: Client) -> IssuedTokens:
        """Create an account and log it in."""
        await self._limiter.admit(network_of(client.address))
        address, name = parse_email(email), clean_name(name)
        self._policy.check(password, email=address.text, name=name)
        hashed = await self._hasher.hash(password)
        async with self._database.work() as tx:
            user_id = tx.new_id()
            is_new = await UserRepository(tx).insert(
                {
                    "id": user_id,
                    "email": address.text,
                    "email_key": address.key,
                    "name": name,
                    "hashed_password": hashed,
                    "role": Role.USER,
                    "is_active": True,
                    "created_at": tx.now,
                    "last_login": tx.now,
                }
            )
            if not is_new:
                raise EmailTaken
            await _record(tx, "account.signed_up", user_id=user_id)
            for hook in self._on_signup:
                await hook(tx, user_id)
            return await self._sessions(tx).open(user_id, client=client)

    async def login(self, *, email: str, password: str, client: Client) -> IssuedTokens:
        """Open a session for whoever knows the password.

        An unknown e-mail is counted, paused and hashed exactly as a known one.
        """
        network = network_of(client.address)
        await self._limiter.admit(network)
        address = find_email(email)
        key = _failure_key(email.strip().casefold() if address is None else address.key, network)
        found = await self._count_try(key, email_key=None if address is None else address.key)
        is_right = await self._hasher.verify(password, None if found is None else found.hashed_password)
        if found is None or not is_right:
            if found is not None:
                await self._record_refusal(found.user_id)
            raise WrongCredentials
        return await self._record_login(found, password=password, failure_key=key, client=client)

    async def refresh_token(self, refresh_token: str, *, client: Client) -> IssuedTokens:
        """Exchange a refresh token for new tokens; each can be used once."""
        async with self._database.work() as tx:
            issued = await self._sessions(tx).rotate(refresh_token, client=client)
        if issued is None:
            raise InvalidRefreshToken
        return issued

    async def logout(self, caller: Caller) -> datetime:
        """End the caller's session and return when; its tokens are worth nothing from then on."""
        async with self._database.work() as tx:
            await self._sessions(tx).close(caller.session_id)
            return tx.now

    @property
    def public_keys(self) -> list[dict[str, str]]:
        """The keys with which anybody may check access tokens; none where they are shared secrets."""
        return self._tokens.public_keys

    async def get_current_user(self, caller: Caller) -> UserProfile:
        """Return the caller's account with its figures."""
        async with self._database.read() as tx:
            return await _get_profile(tx, caller.user_id)

    async def update_profile(
        self, caller: Caller, *, name: str | None, once: Once | None = None, match: Precondition = ANY_VERSION
    ) -> UserProfile:
        """Change what the caller sent of the own profile."""
        new_name = None if name is None else clean_name(name)
        async with self._database.work() as tx:
            users = UserRepository(tx)

            async def update() -> UUID:
                if match.is_given:
                    match.ensure(caller.user_id, await users.lock_version(caller.user_id))
                if new_name is not None and await users.rename(caller.user_id, new_name):
                    await _record(tx, "account.profile_updated", user_id=caller.user_id, fields=["name"])
                return caller.user_id

            return await _get_profile(tx, await (once or Once()).resource(tx, update))

    async def _count_try(self, key: str, *, email_key: str | None) -> Credentials | None:
        """Count a try before it is made, commit that, and return what it will be checked against."""
        async with self._database.work() as tx:
            failures = FailureRepository(tx)
            if not await failures.count(key, limit=self._failures_allowed, pause=self._pause):
                waits = await failures.pause_ends_at(key) - tx.now
                raise TooManyFailures(retry_after_seconds=max(1, math.ceil(waits.total_seconds())))
            return None if email_key is None else await UserRepository(tx).find_credentials(email_key)

    async def _record_login(
        self, found: Credentials, *, password: str, failure_key: str, client: Client
    ) -> IssuedTokens:
        newer = await self._hasher.hash(password) if self._hasher.is_outdated(found.hashed_password) else None
        async with self._database.work() as tx:
            users = UserRepository(tx)
            await FailureRepository(tx).clear(failure_key)
            if newer is not None:
                await users.replace_hash(found.user_id, seen=found.hashed_password, by=newer)
            if await users.record_login(found.user_id):
                return await self._sessions(tx).open(found.user_id, client=client)
            await _record(tx, "account.login_refused", user_id=found.user_id, reason="deactivated")
        raise AccountDeactivated

    async def _record_refusal(self, user_id: UUID) -> None:
        async with self._database.work() as tx:
            await _record(tx, "account.login_refused", user_id=user_id, reason="wrong_password")

    def _sessions(self, tx: Transaction) -> SessionService:
        return SessionService(tx, tokens=self._tokens, secrets=self._secrets, settings=self._settings)


async def _get_profile(tx: Transaction, user_id: UUID) -> UserProfile:
    profile = await UserRepository(tx).find_profile(user_id)
    if profile is None:
        raise InvalidAccessToken
    return profile


async def _record(tx: Transaction, kind: str, *, user_id: UUID, **data: object) -> None:
    actor_id = None if kind == "account.login_refused" else user_id  # Nobody has proved to be the owner.
    await EventRecorder(tx).record(
        kind, resource_type="user", resource_id=user_id, user_id=user_id, actor_id=actor_id, data=data
    )


def _failure_key(email_key: str, network: str) -> str:
    return hashlib.sha256(f"{email_key}\n{network}".encode("utf-8", "surrogatepass")).hexdigest()
