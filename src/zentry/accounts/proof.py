"""The check of a password: the try is counted before it is made, and both counts bound what a guesser gets.

One count is for the e-mail and the network that asks: a few failures, then a pause. The other is for
the e-mail alone: a hundred tries in thirty days without a success, from however many networks. An
attacker who uses that up must not lock out the owner, so who is known to the account (a network that
it was used from lately, or a token of it that is not too old) is not held to the second count. What is
counted is the e-mail as it was submitted, whether there is an account or not, so a refusal tells nothing.

Nor does the time that it takes: for an unknown e-mail the same statements run, with an id that nobody has.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.accounts.addresses import network_of
from zentry.accounts.errors import TooManyFailures, WrongCredentials, WrongPassword
from zentry.accounts.identity import find_email
from zentry.accounts.passwords import Hasher
from zentry.accounts.repository import FailureRepository, SessionRepository, UserRepository
from zentry.accounts.tokens import AccessTokens
from zentry.accounts.types import Client, Credentials
from zentry.platform.db import Database, Transaction
from zentry.platform.settings import SecuritySettings

MOST_GUESSES: Final = 100
GUESSES_FORGOTTEN: Final = timedelta(days=30)
NOBODY: Final = UUID(int=0)
"""Whose account an unknown e-mail is."""

_ANY_NUMBER: Final = 2**31 - 1
_NO_EMAIL: Final = ""
_RESET_REMEMBERED: Final = timedelta(minutes=1)
_ADDRESSES_LOOKED_AT: Final = 200


@dataclass(frozen=True, slots=True)
class Proven:
    """An account whose password was right, and the counts to clear when the login is complete."""

    found: Credentials
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Counted:
    """The counts that a success clears, or for how many seconds the try is refused."""

    keys: tuple[str, ...]
    waits_seconds: int | None = None

    def ensure_admitted(self) -> None:
        """Raise `TooManyFailures` where the try is refused."""
        if self.waits_seconds is not None:
            raise TooManyFailures(retry_after_seconds=self.waits_seconds)


class PasswordProof:
    """Counts, then checks, and does the same work for an unknown account."""

    def __init__(self, database: Database, *, hasher: Hasher, tokens: AccessTokens, settings: SecuritySettings) -> None:
        self._database = database
        self._hasher = hasher
        self._tokens = tokens
        self._failures_allowed = settings.login_failures
        self._pause = timedelta(seconds=settings.login_pause_seconds)

    async def of_email(self, email: str, password: str, *, client: Client) -> Proven:
        """Return whose e-mail and password these are, or raise `WrongCredentials` for either reason."""
        address = find_email(email)
        # What is no e-mail is looked for as well, under a key that no account has and that every database takes.
        key = _NO_EMAIL if address is None else address.key
        async with self._database.work() as tx:
            found = await UserRepository(tx).find_credentials(key)
            counted = await self._count(tx, email.strip().casefold() if address is None else key, found, client)
        counted.ensure_admitted()  # Counted and committed before it is refused.
        is_right = await self._hasher.verify(password, None if found is None else found.hashed_password)
        if found is None or not is_right:
            raise WrongCredentials(user_id=None if found is None else found.user_id)
        return Proven(found, counted.keys)

    async def of_account(self, user_id: UUID, password: str, *, client: Client) -> Credentials:
        """Check the password of somebody who is logged in already, or raise `WrongPassword`."""
        async with self._database.work() as tx:
            email_key, found = await UserRepository(tx).get_credentials(user_id)
            counted = await self._count(tx, email_key, found, client)
        counted.ensure_admitted()
        if not await self._hasher.verify(password, found.hashed_password):
            raise WrongPassword
        async with self._database.work() as tx:
            await forget_failures(tx, counted.keys)
        return found

    async def count_code(self, user_id: UUID, *, client: Client) -> tuple[str, ...]:
        """Count a try of a second factor like one of a password; return the counts to clear."""
        async with self._database.work() as tx:
            _, found = await UserRepository(tx).get_credentials(user_id)
            counted = await self._count(tx, f"code:{user_id}", found, client)
        counted.ensure_admitted()
        return counted.keys

    async def _count(self, tx: Transaction, of: str, found: Credentials | None, client: Client) -> _Counted:
        """Count one more try."""
        failures = FailureRepository(tx)
        here, everywhere = failure_keys(of, network_of(client.address))
        if not await failures.count(here, limit=self._failures_allowed, pause=self._pause):
            return _Counted((), await _seconds_until_forgotten(tx, here))
        if await self._is_known(tx, NOBODY if found is None else found.user_id, client):
            # The owner at home leaves the count of strangers as it is, and has one of its own that refuses nothing.
            home = failure_keys(of, "home")[0]
            await failures.count(home, limit=_ANY_NUMBER, pause=self._pause)
            return _Counted((here, home))
        if not await failures.count(everywhere, limit=MOST_GUESSES, pause=GUESSES_FORGOTTEN):
            return _Counted((), await _seconds_until_forgotten(tx, everywhere))
        return _Counted((here, everywhere))

    async def _is_known(self, tx: Transaction, user_id: UUID, client: Client) -> bool:
        """Tell whether the account was used by this device or from this network lately."""
        since = tx.now - GUESSES_FORGOTTEN
        if self._tokens.was_issued_to(client.bearer, user_id, since=since):
            return True
        addresses = await SessionRepository(tx).list_addresses(user_id, since=since, limit=_ADDRESSES_LOOKED_AT)
        return network_of(client.address) in {network_of(address) for address in addresses}


def failure_keys(email_key: str, network: str) -> tuple[str, str]:
    """Return under what tries are counted: this e-mail from this network, and from anywhere."""
    return _hashed(f"{email_key}\n{network}"), _hashed(f"{email_key}\n*")


async def count_reset(tx: Transaction, email_key: str) -> None:
    """Count that another password was asked for; nothing is refused for it."""
    await FailureRepository(tx).count(failure_keys(email_key, "reset")[0], limit=_ANY_NUMBER, pause=_RESET_REMEMBERED)


async def forget_failures(tx: Transaction, keys: tuple[str, ...]) -> None:
    """Forget tries, because one of them succeeded."""
    failures = FailureRepository(tx)
    for key in keys:
        await failures.clear(key)


async def _seconds_until_forgotten(tx: Transaction, key: str) -> int:
    waits = await FailureRepository(tx).pause_ends_at(key) - tx.now
    return max(1, math.ceil(waits.total_seconds()))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
