"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for the day it is lost."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode
from uuid import UUID

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from zentry.accounts.errors import SecondFactorConflict, WrongCode
from zentry.accounts.tokens import SecretSource
from zentry.accounts.upserts import insert_into
from zentry.platform.clock import Clock
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.schema.accounts import recovery_codes, second_factors

ISSUER: Final = "Zentry Cloud"
RECOVERY_CODES: Final = 10
_STEP_SECONDS: Final = 30
_DIGITS: Final = 6
_SECRET_BYTES: Final = 20
_RECOVERY_LENGTH: Final = 16
_GROUP: Final = 4


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator needs, told this once."""

    secret: str
    uri: str


class SecondFactor:
    """The second factor of accounts. Runs inside the caller's transaction and never commits.

    Codes are of the wall clock that authenticators have, also where the platform's own time runs faster.
    """

    def __init__(self, tx: Transaction, *, sealer: Sealer, secrets: SecretSource, wall_clock: Clock) -> None:
        self._tx = tx
        self._sealer = sealer
        self._secrets = secrets
        self._clock = wall_clock

    async def enrol(self, user_id: UUID, *, email: str) -> Enrolment:
        """Make a secret; nothing is asked for until a first code has confirmed it."""
        raw = self._random()[:_SECRET_BYTES]
        secret = base64.b32encode(raw).decode()
        values = {"secret": self._sealer.seal(secret, owner=user_id), "created_at": self._tx.now}
        done = await self._tx.execute(
            insert_into(second_factors, self._tx)
            .values(user_id=user_id, **values)
            .on_conflict_do_update(
                index_elements=["user_id"], set_=values, where=second_factors.c.confirmed_at.is_(None)
            )
        )
        if done.rowcount != 1:
            raise SecondFactorConflict("Your account has a second factor already. Turn it off before you make another.")
        query = urlencode({"secret": secret, "issuer": ISSUER}, quote_via=quote)
        return Enrolment(secret, f"otpauth://totp/{quote(ISSUER)}:{quote(email)}?{query}")

    async def confirm(self, user_id: UUID, code: str) -> list[str]:
        """Turn the factor on with a first code; return the recovery codes, which are told this once."""
        if not await self._take_code(user_id, code, is_confirmed=False):
            raise WrongCode
        await self._tx.execute(
            sa.update(second_factors).where(second_factors.c.user_id == user_id).values(confirmed_at=self._tx.now)
        )
        return await self.renew_recovery_codes(user_id)

    async def check(self, user_id: UUID, code: str) -> bool:
        """Take a code of the authenticator or a recovery code; each is good once."""
        if len(code) == _DIGITS:
            return await self._take_code(user_id, code, is_confirmed=True)
        done = await self._tx.execute(
            sa.delete(recovery_codes).where(
                recovery_codes.c.user_id == user_id, recovery_codes.c.hash == _hash(user_id, code)
            )
        )
        return done.rowcount == 1

    async def renew_recovery_codes(self, user_id: UUID) -> list[str]:
        """Return new recovery codes; those before are void."""
        codes = [self._recovery_code() for _ in range(RECOVERY_CODES)]
        await self._tx.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
        for code in codes:
            await self._tx.execute(sa.insert(recovery_codes).values(user_id=user_id, hash=_hash(user_id, code)))
        return codes

    async def turn_off(self, user_id: UUID) -> bool:
        """Forget secret and recovery codes; False when there was no factor."""
        await self._tx.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id))
        done = await self._tx.execute(sa.delete(second_factors).where(second_factors.c.user_id == user_id))
        return done.rowcount == 1

    async def _take_code(self, user_id: UUID, code: str, *, is_confirmed: bool) -> bool:
        state = second_factors.c.confirmed_at.is_not(None) if is_confirmed else second_factors.c.confirmed_at.is_(None)
        query = sa.select(second_factors.c.secret).where(second_factors.c.user_id == user_id, state)
        sealed = (await self._tx.execute(query)).scalar_one_or_none()
        if sealed is None:
            if is_confirmed:
                return False
            raise SecondFactorConflict("There is no second factor to confirm. Ask for a secret first.")
        step = self._step_of(base64.b32decode(self._sealer.unseal(sealed, owner=user_id)), code)
        if step is None:
            return False
        # Of any number of requests with one code, one is the first.
        done = await self._tx.execute(
            sa.update(second_factors)
            .where(second_factors.c.user_id == user_id, second_factors.c.last_step < step, state)
            .values(last_step=step)
        )
        return done.rowcount == 1

    def _step_of(self, secret: bytes, code: str) -> int | None:
        """Return the step that a code belongs to: this one, or a neighbour, since clocks disagree a little."""
        now = int(self._clock.now().timestamp()) // _STEP_SECONDS
        totp = TOTP(secret, _DIGITS, SHA1(), _STEP_SECONDS)  # noqa: S303 - what authenticators compute; collisions are no matter
        for step in (now, now - 1, now + 1):
            try:
                totp.verify(code.encode(), step * _STEP_SECONDS)
            except InvalidToken:
                continue
            return step
        return None

    def _recovery_code(self) -> str:
        text = base64.b32encode(self._random()).decode().lower()[:_RECOVERY_LENGTH]
        return "-".join(text[at : at + _GROUP] for at in range(0, _RECOVERY_LENGTH, _GROUP))

    def _random(self) -> bytes:
        return base64.urlsafe_b64decode(self._secrets.token() + "=")


def _hash(user_id: UUID, code: str) -> str:
    plain = code.replace("-", "").replace(" ", "").lower()
    return hashlib.sha256(f"{user_id}\n{plain}".encode("utf-8", "surrogatepass")).hexdigest()
