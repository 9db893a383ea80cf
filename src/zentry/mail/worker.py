"""Sends what lies in the outbox: claim with a lease, hand over with no transaction open, record.

A process that dies between handing over and recording sends the mail once more; its Message-ID is
the same, by which mail systems recognise it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from random import Random
from typing import Final

import structlog
from prometheus_client import Counter

from zentry.mail.outbox import MailQueue, read_content
from zentry.mail.types import ClaimedMail, Letter, MailRefused, MailSender, SenderUnavailable
from zentry.platform.clock import Clock
from zentry.platform.db import Database
from zentry.platform.sealing import Sealer, Unreadable
from zentry.platform.settings import MailSettings
from zentry.platform.signals import MAIL_DUE, Signals
from zentry.platform.tasks import Stop
from zentry.schema.mail import MailStatus

_log = structlog.get_logger(__name__)

MAILS: Final = Counter("zentry_mails_total", "Mails that were sent, postponed or given up.", ["outcome"])
_AT_ONCE: Final = 10
_POLICY: Final = SMTP.clone(max_line_length=300)
"""So that a link stays in one line, also for whoever reads the file of a mail; SMTP allows 998."""
_SLACK_SECONDS: Final = 30.0
_LONGEST_PAUSE_SECONDS: Final = 3600.0


class MailWorker:
    """One worker's share of the outbox."""

    def __init__(
        self,
        *,
        database: Database,
        settings: MailSettings,
        sender: MailSender,
        sealer: Sealer,
        clock: Clock,
        random: Random,
        signals: Signals,
    ) -> None:
        self._database = database
        self._settings = settings
        self._sender = sender
        self._sealer = sealer
        self._clock = clock
        self._random = random
        self._signals = signals
        self._lease = timedelta(seconds=settings.timeout_seconds + _SLACK_SECONDS)

    async def run(self, stop: Stop) -> None:
        """Send until told to stop."""
        with self._signals.listen(MAIL_DUE) as due:
            while not stop.is_set():
                pause_seconds = self._settings.poll_seconds
                try:
                    if await self.tick():
                        continue
                    pause_seconds = await self._pause_seconds()
                except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                    _log.exception("mail.tick_failed")
                await stop.pause(due.wait(pause_seconds))

    async def tick(self) -> int:
        """Send one batch of what is due; return its size."""
        async with self._database.work() as tx:
            claimed = await MailQueue(tx).claim(lease=self._lease, most=_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for mail in claimed:
                group.create_task(self._send(mail), name=f"mail {mail.id}")
        return len(claimed)

    async def _send(self, mail: ClaimedMail) -> None:
        if mail.expires_at <= self._clock.now():
            await self._end(mail, MailStatus.DEAD, error="It would be of no use any more.")
            return
        try:
            to, letter = read_content(self._sealer, mail)
            message = compose(mail, to=to, letter=letter, settings=self._settings)
            async with self._clock.timeout(self._settings.timeout_seconds):
                await self._sender.send(message)
        except (SenderUnavailable, TimeoutError) as error:
            await self._try_again(mail, str(error) or "It took too long.")
        except (MailRefused, Unreadable, HeaderParseError, ValueError) as error:
            await self._end(mail, MailStatus.DEAD, error=str(error))
        else:
            await self._end(mail, MailStatus.SENT)

    async def _try_again(self, mail: ClaimedMail, error: str) -> None:
        if mail.attempt < self._settings.max_attempts:
            seconds = min(_LONGEST_PAUSE_SECONDS, self._settings.retry_seconds * 2 ** (mail.attempt - 1))
            seconds *= 0.5 + self._random.random() / 2
            async with self._database.work() as tx:
                if await MailQueue(tx).postpone(mail, by=timedelta(seconds=seconds), error=error):
                    MAILS.labels("postponed").inc()
                    _log.warning("mail.postponed", mail_id=str(mail.id), attempt=mail.attempt, reason=error)
                    return
        await self._end(mail, MailStatus.DEAD, error=error)

    async def _end(self, mail: ClaimedMail, status: MailStatus, *, error: str | None = None) -> None:
        async with self._database.work() as tx:
            if not await MailQueue(tx).end(mail, status, error=error):
                return  # Somebody else has it, or its account is gone.
        MAILS.labels(status).inc()
        if error is not None:
            _log.error("mail.given_up", mail_id=str(mail.id), attempt=mail.attempt, reason=error)

    async def _pause_seconds(self) -> float:
        async with self._database.read() as tx:
            due_in = await MailQueue(tx).next_due_in()
        poll = self._settings.poll_seconds
        return poll if due_in is None else min(poll, max(0.01, due_in.total_seconds()))


def compose(mail: ClaimedMail, *, to: str, letter: Letter, settings: MailSettings) -> EmailMessage:
    """Return the message; the library encodes what is not plain, and refuses what would end a header."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(settings.sender_name, addr_spec=settings.sender_address)
    # In its two parts, since as one the library takes no local part beyond ASCII; it refuses line ends in both.
    name, _, domain = to.rpartition("@")
    message["To"] = Address(username=name, domain=domain)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(mail.created_at)
    message["Message-ID"] = f"<{mail.id}@{settings.sender_address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message
