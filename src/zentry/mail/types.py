"""Values of the mail engine, and what a sender is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Final, Protocol
from uuid import UUID

MAX_TEXT_LENGTH: Final = 20_000


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says: a subject of one line, and plain text."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class ClaimedMail:
    """A mail that this worker may send until its lease ends; `attempt` is the fence."""

    id: UUID
    attempt: int
    content: bytes
    created_at: datetime
    expires_at: datetime


class SenderUnavailable(Exception):
    """The mail could not be handed over now; to try again may help."""


class MailRefused(Exception):
    """The mail will never be taken as it is."""


class MailSender(Protocol):
    """Hands a mail over to whoever delivers it."""

    async def send(self, message: EmailMessage) -> None:
        """Return once it is handed over; raises `SenderUnavailable` or `MailRefused`."""
        ...
