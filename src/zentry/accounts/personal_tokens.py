"""Personal access tokens: named, scoped secrets for programs that act for an account.

A token reads `zpat_`, 43 characters that are 256 random bits in base 62, and 6 that are their CRC-32.
The prefix lets scanners of repositories find one that got lost, the checksum tells them, and us,
without a look at any database that a text is none. Kept is the SHA-256, since there is nothing to guess.
"""

from __future__ import annotations

import base64
import hashlib
import re
import string
import zlib
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.accounts.errors import (
    InvalidAccessToken,
    PersonalTokenNotFound,
    TokenNameTaken,
    TokenProjectNotFound,
    TooManyTokens,
)
from zentry.accounts.personal_tokens_repository import PersonalTokenRepository
from zentry.accounts.tokens import SecretSource
from zentry.accounts.types import PersonalToken
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput
from zentry.platform.scopes import LIMITABLE

PREFIX: Final = "zpat_"
MOST_TOKENS: Final = 50
"""Of one account."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH: Final = 43
_CHECK_LENGTH: Final = 6
_SPELLING: Final = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}")


class PersonalTokenService:
    """The rules about personal access tokens. Runs inside the caller's transaction and never commits."""

    def __init__(self, tx: Transaction, secrets: SecretSource) -> None:
        self._tx = tx
        self._secrets = secrets
        self._tokens = PersonalTokenRepository(tx)
        self._events = EventRecorder(tx)

    async def create_token(
        self,
        *,
        name: str,
        scopes: Sequence[str],
        life_days: int,
        project_ids: frozenset[UUID] | None,
        caller: Caller,
    ) -> tuple[UUID, str]:
        """Make a token; return its id and its secret, which is told this once."""
        limits = None if project_ids is None else sorted(map(str, project_ids))
        if project_ids is not None:
            await self._ensure_limits(scopes, project_ids, caller=caller)
        secret = new_personal_token(self._secrets)
        token_id = self._tx.new_id()
        if await self._tokens.count(caller.user_id) >= MOST_TOKENS:
            raise TooManyTokens(MOST_TOKENS)
        added = await self._tokens.insert(
            {
                "id": token_id,
                "user_id": caller.user_id,
                "name": name,
                "name_key": name.casefold(),
                "hash": hash_personal_token(secret),
                "ending": secret[-4:],
                "scopes": sorted(set(scopes)),
                "projects": limits,
                "life_days": life_days,
                "created_at": self._tx.now,
                "expires_at": self._tx.now + timedelta(days=life_days),
            }
        )
        if not added:
            raise TokenNameTaken(name)
        await self._record(
            "token_created",
            token_id,
            caller=caller,
            scopes=sorted(set(scopes)),
            project_ids=limits,
            life_days=life_days,
        )
        return token_id, secret

    async def list_tokens(self, caller: Caller) -> Sequence[PersonalToken]:
        """Return the tokens of the caller by name."""
        return await self._tokens.list_of(caller.user_id)

    async def get_token(self, token_id: UUID | None, *, caller: Caller) -> PersonalToken:
        """Return one of the caller's tokens."""
        found = None if token_id is None else await self._tokens.find(token_id, user_id=caller.user_id)
        if found is None:
            raise PersonalTokenNotFound
        return found

    async def rotate_token(self, token_id: UUID | None, *, caller: Caller) -> tuple[UUID, str]:
        """Give a token another secret and its full life again; the old secret is worth nothing from then on."""
        token = await self.get_token(token_id, caller=caller)
        secret = new_personal_token(self._secrets)
        expires_at = self._tx.now + timedelta(days=token.life_days)
        if not await self._tokens.replace(
            token.id, hash_=hash_personal_token(secret), ending=secret[-4:], expires_at=expires_at
        ):
            raise PersonalTokenNotFound
        await self._record("token_rotated", token.id, caller=caller)
        return token.id, secret

    async def revoke_token(self, token_id: UUID | None, *, caller: Caller) -> UUID:
        """End a token; within a second it is refused everywhere."""
        if token_id is None or not await self._tokens.delete(token_id, user_id=caller.user_id):
            raise PersonalTokenNotFound
        await self._record("token_revoked", token_id, caller=caller)
        return token_id

    async def _ensure_limits(self, scopes: Collection[str], project_ids: frozenset[UUID], *, caller: Caller) -> None:
        beyond = sorted(set(scopes) - LIMITABLE)
        if beyond:
            raise InvalidInput.at(
                "scopes", f"A token that is limited to projects cannot have {', '.join(beyond)}: that is the account's."
            )
        if await self._tokens.count_projects(project_ids, caller=caller) != len(project_ids):
            raise TokenProjectNotFound

    async def _record(self, what: str, token_id: UUID, *, caller: Caller, **data: object) -> None:
        await self._events.record(
            f"account.{what}",
            resource_type="personal_token",
            resource_id=token_id,
            user_id=caller.user_id,
            actor_id=caller.user_id,
            data=data,
        )


def new_personal_token(source: SecretSource) -> str:
    """Return a fresh token."""
    number = int.from_bytes(base64.urlsafe_b64decode(source.token() + "="))
    secret = PREFIX + _base62(number, _SECRET_LENGTH)
    return secret + _checksum(secret)


def is_personal_token(text: str) -> bool:
    """Tell whether a text is meant to be one."""
    return text.startswith(PREFIX)


def hash_personal_token(text: str) -> str:
    """Return what is kept of a token, or raise `InvalidAccessToken` when it cannot be one."""
    if not _SPELLING.fullmatch(text) or _checksum(text[:-_CHECK_LENGTH]) != text[-_CHECK_LENGTH:]:
        raise InvalidAccessToken
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
