"""Ways to hand a mail over: an SMTP server, or a file or the log for a laptop."""

from __future__ import annotations

import asyncio
import os
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import aiosmtplib
import structlog

from zentry.mail.types import MailRefused, MailSender, SenderUnavailable
from zentry.platform.settings import MailSettings

_log = structlog.get_logger(__name__)

FOLDER: Final = "mail"
_KEPT_FILES: Final = 500
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_PERMANENT: Final = range(500, 600)


def build_sender(settings: MailSettings, data_dir: Path) -> MailSender:
    """Return the sender that the settings name."""
    if settings.transport == "smtp":
        return SMTPSender(settings)
    if settings.transport == "console":
        return ConsoleSender()
    return FileSender(data_dir / FOLDER)


class FileSender:
    """Writes mails into a folder, for a machine from which none are sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        """Write one file, and remove the oldest beyond a bound."""
        await asyncio.to_thread(self._write, message)
        _log.info("mail.written", folder=str(self._folder), subject=message["Subject"])

    def _write(self, message: EmailMessage) -> None:
        name = f"{str(message['Message-ID']).strip('<>').partition('@')[0]}.eml"
        try:
            self._folder.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE_FILE)
            with os.fdopen(file, "wb") as opened:
                opened.write(message.as_bytes())
            # The ids in the names are in the order of time.
            for old in sorted(self._folder.glob("*.eml"))[:-_KEPT_FILES]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise SenderUnavailable(f"The folder cannot be written: {error.strerror or error}.") from error


class ConsoleSender:
    """Writes mails into the log, links and all: for development alone."""

    async def send(self, message: EmailMessage) -> None:
        """Write one mail."""
        _log.info("mail.shown", to=message["To"], subject=message["Subject"], text=message.get_content())


class SMTPSender:
    """Hands mails to an SMTP server, one connection for each."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context(cafile=settings.ca_file or None)

    async def send(self, message: EmailMessage) -> None:
        """Hand one over; TLS is as the settings say, never less because the server offers less."""
        settings = self._settings
        try:
            await aiosmtplib.send(
                message,
                hostname=settings.host,
                port=settings.port,
                username=settings.username or None,
                password=settings.password.get_secret_value() or None,
                use_tls=settings.tls == "tls",
                start_tls=settings.tls == "starttls",
                tls_context=None if settings.tls == "none" else self._tls,
                timeout=settings.timeout_seconds,
                local_hostname=settings.sender_address.rpartition("@")[2],  # Else a name server is asked for it.
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise _failure(codes, f"The recipient was refused ({codes}).") from error
        except aiosmtplib.SMTPAuthenticationError as error:
            raise SenderUnavailable(f"The mail server refuses the credentials ({error.code}).") from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _failure([error.code], f"The mail was refused ({error.code}).") from error
        except aiosmtplib.SMTPNotSupported as error:
            # It offers no TLS, or cannot take an address that is not ASCII.
            raise SenderUnavailable(f"The mail server lacks what is needed: {error.message}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise SenderUnavailable(f"The mail server cannot be reached: {type(error).__name__}.") from error


def _failure(codes: list[int], text: str) -> SenderUnavailable | MailRefused:
    return MailRefused(text) if all(code in _PERMANENT for code in codes) else SenderUnavailable(text)
