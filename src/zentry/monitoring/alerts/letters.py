"""Mails about alerts: one for all that a judgement has to tell, in its transaction, and so many in an hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
import structlog

from zentry.mail import texts
from zentry.mail.outbox import Outbox
from zentry.monitoring.alerts.types import Policy
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.schema.accounts import users
from zentry.schema.mail import mails
from zentry.schema.vms import vms

_log = structlog.get_logger(__name__)

MOST_IN_AN_HOUR: Final = 60
_NAMED: Final = 20
_HOUR: Final = timedelta(hours=1)
_KEY: Final = "alert:"


class AlertLetters:
    """Puts mails about alerts into the outbox of a transaction."""

    def __init__(self, tx: Transaction, sealer: Sealer) -> None:
        self._tx = tx
        self._outbox = Outbox(tx, sealer)

    async def tell(self, policy: Policy, kind: str, values: Mapping[UUID, float | None]) -> None:
        """Tell the owner what has become of a policy's targets, if the policy says so."""
        if not policy.notify_mail or not values:
            return
        query = sa.select(users.c.email).where(users.c.id == policy.user_id, users.c.is_active)
        address = (await self._tx.execute(query)).scalar_one_or_none()
        if address is None:
            return
        if await self._sent_lately(policy.user_id) >= MOST_IN_AN_HOUR:
            _log.warning("alerts.mail_withheld", policy_id=str(policy.id), user_id=str(policy.user_id))
            return
        letter = texts.alert(
            kind,
            policy=policy.name,
            looks_at=f"{policy.subject} ({policy.condition})",
            targets=await self._named(policy, values),
            more=max(0, len(values) - _NAMED),
        )
        await self._outbox.put(f"{_KEY}{self._tx.new_id()}", to=address, letter=letter, user_id=policy.user_id)

    async def _sent_lately(self, user_id: UUID) -> int:
        query = sa.select(sa.func.count()).where(
            mails.c.user_id == user_id, mails.c.key.startswith(_KEY), mails.c.created_at > self._tx.now - _HOUR
        )
        return int((await self._tx.execute(query)).scalar_one())

    async def _named(self, policy: Policy, values: Mapping[UUID, float | None]) -> Sequence[str]:
        chosen = list(values)[:_NAMED]
        rows = await self._tx.execute(sa.select(vms.c.id, vms.c.name).where(vms.c.id.in_(chosen)))
        names = {row.id: f"VM {row.name}" for row in rows}
        told = []
        for target_id in chosen:
            name = names.get(target_id, "your account" if target_id == policy.user_id else f"project {target_id}")
            value = values[target_id]
            told.append(name if value is None else f"{name}: {value:g}")
        return told
