"""The life of an account beside its sessions: proof of its address, another password or e-mail, its end.

Like the service of logins this one opens its units of work itself, because no transaction may be open
while a password is hashed. What is sensitive asks for the password again: a session that was left open
must not be enough to take an account over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from zentry.accounts.addresses import network_of
from zentry.accounts.errors import (
    AccountInUse,
    EmailTaken,
    InvalidLink,
    LastAdministrator,
    ReauthenticationRequired,
    WrongCode,
    WrongPassword,
)
from zentry.accounts.export import export_account
from zentry.accounts.identity import find_email, parse_email
from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter
from zentry.accounts.links import LinkRepository
from zentry.accounts.passwords import Hasher, PasswordPolicy
from zentry.accounts.proof import PasswordProof, count_reset, failure_keys, forget_failures
from zentry.accounts.repository import SessionRepository, UserRepository
from zentry.accounts.second_factor import Enrolment, SecondFactor
from zentry.accounts.tokens import SecretSource
from zentry.accounts.types import Client, OnDeparture, OnSignup
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.mail.outbox import Outbox
from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import SecuritySettings
from zentry.schema.accounts import LinkPurpose


class AccountService:
    """What an owner does with the account."""

    def __init__(
        self,
        database: Database,
        *,
        settings: SecuritySettings,
        hasher: Hasher,
        proofs: PasswordProof,
        limiter: SigninLimiter,
        letters: AccountLetters,
        sealer: Sealer,
        secrets: SecretSource,
        wall_clock: Clock,
        on_welcome: Sequence[OnSignup] = (),
        on_departure: Sequence[OnDeparture] = (),
        on_deletion: Sequence[OnDeparture] = (),
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._proofs = proofs
        self._limiter = limiter
        self._letters = letters
        self._sealer = sealer
        self._secrets = secrets
        self._wall_clock = wall_clock
        self._policy = PasswordPolicy(settings)
        self._proof_life = timedelta(seconds=settings.proof_seconds)
        self._on_welcome = tuple(on_welcome)
        self._on_departure = tuple(on_departure)
        self._on_deletion = tuple(on_deletion)

    async def request_verification(self, caller: Caller) -> datetime:
        """Send a link that proves the address of the account, unless it is proven."""
        async with self._database.work() as tx:
            profile = await UserRepository(tx).get_profile(caller.user_id)
            if profile.email_verified_at is None:
                await self._letters.verify(tx, caller.user_id, to=profile.email)
            return tx.now

    async def verify_email(self, token: str) -> datetime:
        """Take the proof of an address, and give the welcome that has waited for it."""
        async with self._database.work() as tx:
            link = await LinkRepository(tx).use(token, LinkPurpose.VERIFY_EMAIL)
            await self._verified(tx, link.user_id)
            return tx.now

    async def request_reset(self, email: str, *, client: Client) -> datetime:
        """Send a link to whoever has an account with this e-mail; nobody learns whether somebody has."""
        await self._limiter.admit(network_of(client.address))
        address = find_email(email)
        async with self._database.work() as tx:
            # Counted for nobody's e-mail as well: whoever waits for the answer waits for a write in any case.
            await count_reset(tx, email if address is None else address.key)
            found = None if address is None else await UserRepository(tx).find_address(address.key)
            if found is not None:
                user_id, to = found
                await self._letters.reset(tx, user_id, to=to)
            return tx.now

    async def reset_password(self, token: str, *, password: str, client: Client) -> datetime:
        """Give an account the password that the reader of its mailbox has chosen; all sessions end."""
        await self._limiter.admit(network_of(client.address))
        async with self._database.read() as tx:
            link = await LinkRepository(tx).find(token, LinkPurpose.RESET_PASSWORD)
            profile = await UserRepository(tx).get_profile(link.user_id)
        self._policy.check(password, email=profile.email, name=profile.name)
        hashed = await self._hasher.hash(password)
        async with self._database.work() as tx:
            link = await LinkRepository(tx).use(token, LinkPurpose.RESET_PASSWORD)
            users = UserRepository(tx)
            email_key, _ = await users.get_credentials(link.user_id)
            if not await users.change_password(link.user_id, hashed):
                raise InvalidLink
            await self._verified(tx, link.user_id)
            await forget_failures(tx, failure_keys(email_key, network_of(client.address)))
            await self._password_changed(tx, link.user_id, to=profile.email, keep=None)
            return tx.now

    async def change_password(self, caller: Caller, *, current: str, new: str, client: Client) -> datetime:
        """Exchange the password for another one; all other sessions end."""
        found = await self._proofs.of_account(caller.user_id, current, client=client)
        async with self._database.read() as tx:
            profile = await UserRepository(tx).get_profile(caller.user_id)
        self._policy.check(new, email=profile.email, name=profile.name)
        hashed = await self._hasher.hash(new)
        async with self._database.work() as tx:
            if not await UserRepository(tx).change_password(caller.user_id, hashed, seen=found.hashed_password):
                raise WrongPassword  # Another request was faster: the one that was sent is not the present one.
            await self._password_changed(tx, caller.user_id, to=profile.email, keep=caller.session_id)
            return tx.now

    async def request_email_change(self, caller: Caller, *, email: str, password: str, client: Client) -> datetime:
        """Send a link to the new address; nothing changes before it is used."""
        address = parse_email(email)
        await self._proofs.of_account(caller.user_id, password, client=client)
        async with self._database.work() as tx:
            # Whether somebody has the address is not told here: it would be a way to ask about anybody.
            if await UserRepository(tx).find_address(address.key) is None:
                await self._letters.change(tx, caller.user_id, to=address.text)
            return tx.now

    async def confirm_email_change(self, token: str) -> datetime:
        """Give the account the address whose reader has used the link."""
        async with self._database.work() as tx:
            link = await LinkRepository(tx).use(token, LinkPurpose.CHANGE_EMAIL)
            address = parse_email(link.email or "")
            users = UserRepository(tx)
            before = await users.get_profile(link.user_id)
            if not await users.change_email(link.user_id, email=address.text, email_key=address.key):
                raise EmailTaken
            await self._verified(tx, link.user_id)
            await LinkRepository(tx).drop(link.user_id, LinkPurpose.RESET_PASSWORD, LinkPurpose.VERIFY_EMAIL)
            await self._letters.tell(
                tx, link.user_id, to=before.email, what="it has another e-mail address now, and this one is none of it."
            )
            changes = changes_of({"email": before.email}, {"email": address.text})
            await _record(tx, "account.email_changed", link.user_id, personal=changes)
            return tx.now

    async def reauthenticate(self, caller: Caller, *, password: str, code: str | None, client: Client) -> datetime:
        """Take the proof that the owner is here: the password, and the second factor where there is one."""
        found = await self._proofs.of_account(caller.user_id, password, client=client)
        keys = await self._proofs.count_code(caller.user_id, client=client) if found.has_second_factor else ()
        async with self._database.work() as tx:
            if found.has_second_factor and not await self._factor(tx).check(caller.user_id, code or ""):
                raise WrongCode
            await forget_failures(tx, keys)
            await SessionRepository(tx).note_proof(caller.session_id)
            await _record(tx, "account.reauthenticated", caller.user_id)
            return tx.now

    async def ensure_proven_lately(self, caller: Caller) -> None:
        """Raise `ReauthenticationRequired` where the last proof of a session is too long ago.

        A token stands for a decision that was made with such a proof; it cannot give another, and needs none.
        """
        if caller.scopes is not None:
            return
        async with self._database.read() as tx:
            proven_at = await SessionRepository(tx).find_proven_at(caller.session_id)
            if proven_at is None or proven_at + self._proof_life <= tx.now:
                raise ReauthenticationRequired(proof_seconds=int(self._proof_life.total_seconds()))

    async def enrol(self, caller: Caller, *, password: str, client: Client) -> Enrolment:
        """Make the secret of a second factor."""
        await self._proofs.of_account(caller.user_id, password, client=client)
        async with self._database.work() as tx:
            profile = await UserRepository(tx).get_profile(caller.user_id)
            return await self._factor(tx).enrol(caller.user_id, email=profile.email)

    async def confirm_factor(self, caller: Caller, *, code: str, client: Client) -> list[str]:
        """Turn the second factor on; return the recovery codes."""
        keys = await self._proofs.count_code(caller.user_id, client=client)
        async with self._database.work() as tx:
            codes = await self._factor(tx).confirm(caller.user_id, code)
            await forget_failures(tx, keys)
            await self._factor_changed(tx, caller.user_id, "second_factor_enabled", "its second factor was turned on.")
            return codes

    async def turn_factor_off(self, caller: Caller, *, password: str, code: str, client: Client) -> datetime:
        """Turn the second factor off, with the password and one code more."""
        await self._proofs.of_account(caller.user_id, password, client=client)
        keys = await self._proofs.count_code(caller.user_id, client=client)
        async with self._database.work() as tx:
            factor = self._factor(tx)
            if not await factor.check(caller.user_id, code):
                raise WrongCode
            await factor.turn_off(caller.user_id)
            await forget_failures(tx, keys)
            await self._factor_changed(
                tx, caller.user_id, "second_factor_disabled", "its second factor was turned off."
            )
            return tx.now

    async def deactivate(self, caller: Caller, *, password: str, client: Client) -> datetime:
        """Close the account and leave the projects of others; the operator can open it again."""
        await self._proofs.of_account(caller.user_id, password, client=client)
        async with self._database.work() as tx:
            users = UserRepository(tx)
            await _ensure_others_administer(users, caller)
            if await users.deactivate(caller.user_id):
                await self._leave(tx, caller.user_id)
                await SessionRepository(tx).revoke_of(caller.user_id, reason="deactivated")
                await _record(tx, "account.deactivated", caller.user_id)
            return tx.now

    async def delete(self, caller: Caller, *, password: str, client: Client) -> datetime:
        """Take everything personal off the account for good; its lines in the books stay, without a name."""
        await self._proofs.of_account(caller.user_id, password, client=client)
        async with self._database.work() as tx:
            users = UserRepository(tx)
            await _ensure_others_administer(users, caller)
            if not await users.erase(caller.user_id):
                raise AccountInUse
            await users.delete_belongings(caller.user_id)
            await Outbox(tx, self._sealer).forget(caller.user_id)
            await self._leave(tx, caller.user_id)
            for hook in self._on_deletion:
                await hook(tx, caller.user_id)
            await _record(tx, "account.deleted", caller.user_id)
            return tx.now

    async def export(self, caller: Caller) -> Mapping[str, Any]:
        """Return what is kept about the account."""
        async with self._database.snapshot() as tx:
            return await export_account(tx, caller.user_id)

    async def _leave(self, tx: Transaction, user_id: UUID) -> None:
        for hook in self._on_departure:
            await hook(tx, user_id)

    async def _verified(self, tx: Transaction, user_id: UUID) -> None:
        if await UserRepository(tx).verify_email(user_id):
            for hook in self._on_welcome:
                await hook(tx, user_id)
        await _record(tx, "account.email_verified", user_id)

    async def _password_changed(self, tx: Transaction, user_id: UUID, *, to: str, keep: UUID | None) -> None:
        await LinkRepository(tx).drop(
            user_id, LinkPurpose.RESET_PASSWORD, LinkPurpose.CHANGE_EMAIL, LinkPurpose.SECOND_FACTOR
        )
        await SessionRepository(tx).revoke_of(user_id, reason="password_changed", but=keep)
        await self._letters.tell(tx, user_id, to=to, what="its password was changed, and all other sessions ended.")
        await _record(tx, "account.password_changed", user_id)

    async def _factor_changed(self, tx: Transaction, user_id: UUID, kind: str, what: str) -> None:
        profile = await UserRepository(tx).get_profile(user_id)
        await self._letters.tell(tx, user_id, to=profile.email, what=what)
        await _record(tx, f"account.{kind}", user_id)

    def _factor(self, tx: Transaction) -> SecondFactor:
        return SecondFactor(tx, sealer=self._sealer, secrets=self._secrets, wall_clock=self._wall_clock)


async def _ensure_others_administer(users: UserRepository, caller: Caller) -> None:
    if caller.is_admin and await users.is_last_administrator(caller.user_id):
        raise LastAdministrator


async def _record(tx: Transaction, kind: str, user_id: UUID, *, personal: Mapping[str, object] | None = None) -> None:
    await EventRecorder(tx).record(
        kind, resource_type="user", resource_id=user_id, user_id=user_id, actor_id=user_id, personal=personal
    )
