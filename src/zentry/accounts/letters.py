"""The mails of accounts. Links are built from the configured public URL alone, never from a request."""

from __future__ import annotations

from uuid import UUID

from zentry.accounts.links import LIVES, LinkRepository
from zentry.accounts.tokens import SecretSource
from zentry.mail import texts
from zentry.mail.outbox import Outbox
from zentry.mail.types import Letter
from zentry.mail.ways import way_to
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import ServerSettings
from zentry.schema.accounts import LinkPurpose


class AccountLetters:
    """Puts the mails of accounts into the outbox of a transaction."""

    def __init__(self, *, server: ServerSettings, sealer: Sealer, secrets: SecretSource) -> None:
        self._public_url = server.public_url
        self._sealer = sealer
        self._secrets = secrets

    async def verify(self, tx: Transaction, user_id: UUID, *, to: str) -> None:
        """Ask for the proof that the owner reads the address."""
        token = await LinkRepository(tx).issue(user_id, LinkPurpose.VERIFY_EMAIL, self._secrets)
        if token is not None:
            await self._put(tx, user_id, to, texts.verify_email(self._way("verify", token)), LinkPurpose.VERIFY_EMAIL)

    async def reset(self, tx: Transaction, user_id: UUID, *, to: str) -> None:
        """Offer another password to whoever reads the address."""
        token = await LinkRepository(tx).issue(user_id, LinkPurpose.RESET_PASSWORD, self._secrets)
        if token is not None:
            letter = texts.reset_password(self._way("reset", token))
            await self._put(tx, user_id, to, letter, LinkPurpose.RESET_PASSWORD)

    async def change(self, tx: Transaction, user_id: UUID, *, to: str) -> None:
        """Ask the new address for the proof that the owner reads it."""
        token = await LinkRepository(tx).issue(user_id, LinkPurpose.CHANGE_EMAIL, self._secrets, email=to)
        if token is not None:
            letter = texts.change_email(self._way("change-email", token))
            await self._put(tx, user_id, to, letter, LinkPurpose.CHANGE_EMAIL)

    async def tell(self, tx: Transaction, user_id: UUID, *, to: str, what: str) -> None:
        """Tell the owner about a change, so that one who did not make it learns of it."""
        key = f"account.told:{tx.new_id()}"
        await Outbox(tx, self._sealer).put(key, to=to, letter=texts.account_changed(what), user_id=user_id)

    async def _put(self, tx: Transaction, user_id: UUID, to: str, letter: Letter, purpose: LinkPurpose) -> None:
        key = f"account.{purpose}:{tx.new_id()}"
        until = tx.now + LIVES[purpose]
        await Outbox(tx, self._sealer).put(key, to=to, letter=letter, user_id=user_id, until=until)

    def _way(self, what: str, token: str) -> str:
        return way_to(what, token, public_url=self._public_url)
