"""Sign-up, login, refresh, logout and the own profile.

Unlike the services of other domains this one opens its units of work itself. A login is three of
them with work between: the try is counted and committed, so that a crash or a rollback cannot give it
back; the password is hashed while no transaction is open, since a quarter of a second of CPU must not
hold the only writer; then the outcome is recorded. A refusal that must leave a trace commits the
trace before it is raised. An edge that opened one transaction around all of it could do none of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from zentry.accounts.addresses import network_of
from zentry.accounts.errors import (
    AccountDeactivated,
    EmailTaken,
    InvalidAccessToken,
    InvalidRefreshToken,
    SecondFactorRequired,
    WrongCode,
    WrongCredentials,
)
from zentry.accounts.identity import clean_name, parse_email
from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter
from zentry.accounts.links import LinkRepository
from zentry.accounts.passwords import Hasher, PasswordPolicy
from zentry.accounts.proof import NOBODY, PasswordProof, Proven, forget_failures
from zentry.accounts.repository import UserRepository
from zentry.accounts.second_factor import SecondFactor
from zentry.accounts.sessions import SessionService
from zentry.accounts.tokens import AccessTokens, SecretSource
from zentry.accounts.types import Client, IssuedTokens, OnSignup, UserProfile
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.operations.once import Once
from zentry.platform.caller import Caller, Role
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.etags import ANY_VERSION, Precondition
from zentry.platform.sealing import Sealer
from zentry.platform.settings import SecuritySettings
from zentry.schema.accounts import LinkPurpose


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
        proofs: PasswordProof,
        letters: AccountLetters,
        sealer: Sealer,
        wall_clock: Clock,
        on_signup: Sequence[OnSignup] = (),
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = PasswordPolicy(settings)
        self._tokens = tokens
        self._secrets = secrets
        self._limiter = limiter
        self._on_signup = tuple(on_signup)
        self._proofs = proofs
        self._letters = letters
        self._sealer = sealer
        self._wall_clock = wall_clock
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
                    "welcome_pending": self._settings.verify_email,
                    "created_at": tx.now,
                    "last_login": tx.now,
                }
            )
            if not is_new:
                raise EmailTaken
            await _record(tx, "account.signed_up", user_id=user_id)
            for hook in self._on_signup:
                await hook(tx, user_id)
            if self._settings.verify_email:
                await self._letters.verify(tx, user_id, to=address.text)
            return await self._sessions(tx).open(user_id, client=client)

    async def login(self, *, email: str, password: str, client: Client) -> IssuedTokens:
        """Open a session for whoever knows the password.

        An unknown e-mail is counted, paused and hashed exactly as a known one.
        """
        await self._limiter.admit(network_of(client.address))
        try:
            proven = await self._proofs.of_email(email, password, client=client)
        except WrongCredentials as refused:
            await self._record_refusal(
                refused.user_id, reason="unknown_email" if refused.user_id is None else "wrong_password"
            )
            raise
        return await self._record_login(proven, password=password, client=client)

    async def complete_login(self, *, challenge: str, code: str, client: Client) -> IssuedTokens:
        """Open the session that a login with the right password has asked a code for."""
        await self._limiter.admit(network_of(client.address))
        async with self._database.read() as tx:
            link = await LinkRepository(tx).find(challenge, LinkPurpose.SECOND_FACTOR)
        keys = await self._proofs.count_code(link.user_id, client=client)
        async with self._database.work() as tx:
            if await self._second_factor(tx).check(link.user_id, code):
                await LinkRepository(tx).use(challenge, LinkPurpose.SECOND_FACTOR)
                await forget_failures(tx, keys)
                if not await UserRepository(tx).record_login(link.user_id):
                    raise AccountDeactivated
                return await self._sessions(tx).open(link.user_id, client=client)
        await self._record_refusal(link.user_id, reason="wrong_code")
        raise WrongCode

    async def refresh_token(self, refresh_token: str, *, client: Client) -> IssuedTokens:
        """Exchange a refresh token for new tokens; each can be used once."""
        async with self._database.read() as tx:
            repeated = await self._sessions(tx).repeat(refresh_token)
        if repeated is not None:
            return repeated
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
                before = await _get_profile(tx, caller.user_id)
                if new_name is not None and await users.rename(caller.user_id, new_name):
                    changes = changes_of({"name": before.name}, {"name": new_name})
                    await _record(
                        tx, "account.profile_updated", user_id=caller.user_id, personal=changes, fields=["name"]
                    )
                return caller.user_id

            return await _get_profile(tx, await (once or Once()).resource(tx, update))

    async def _record_login(self, proven: Proven, *, password: str, client: Client) -> IssuedTokens:
        found = proven.found
        challenge: str | None = None
        newer = await self._hasher.hash(password) if self._hasher.is_outdated(found.hashed_password) else None
        async with self._database.work() as tx:
            users = UserRepository(tx)
            await forget_failures(tx, proven.keys)
            if newer is not None:
                await users.replace_hash(found.user_id, seen=found.hashed_password, by=newer)
            if found.is_active and found.has_second_factor:
                challenge = await LinkRepository(tx).issue(found.user_id, LinkPurpose.SECOND_FACTOR, self._secrets)
            elif await users.record_login(found.user_id):
                return await self._sessions(tx).open(found.user_id, client=client)
            else:
                await _record(tx, "account.login_refused", user_id=found.user_id, reason="deactivated")
        if challenge is not None:
            raise SecondFactorRequired(challenge)
        raise AccountDeactivated

    async def _record_refusal(self, user_id: UUID | None, *, reason: str) -> None:
        """Leave the trace of a login that was refused; that of nobody's account takes as long as the others."""
        async with self._database.work() as tx:
            await _record(tx, "account.login_refused", user_id=user_id, reason=reason)

    def _second_factor(self, tx: Transaction) -> SecondFactor:
        return SecondFactor(tx, sealer=self._sealer, secrets=self._secrets, wall_clock=self._wall_clock)

    def _sessions(self, tx: Transaction) -> SessionService:
        return SessionService(tx, tokens=self._tokens, secrets=self._secrets, settings=self._settings)


async def _get_profile(tx: Transaction, user_id: UUID) -> UserProfile:
    profile = await UserRepository(tx).find_profile(user_id)
    if profile is None:
        raise InvalidAccessToken
    return profile


async def _record(
    tx: Transaction, kind: str, *, user_id: UUID | None, personal: Mapping[str, object] | None = None, **data: object
) -> None:
    actor_id = None if kind == "account.login_refused" else user_id  # Nobody has proved to be the owner.
    await EventRecorder(tx).record(
        kind,
        resource_type="user",
        resource_id=user_id or NOBODY,
        user_id=user_id,
        actor_id=actor_id,
        data=data,
        personal=personal,
    )
