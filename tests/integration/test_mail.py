"""Mails are written with their cause, sent once it is committed, and tried again until they are given up."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.support.mail_server import PASSWORD, USERNAME, mail_server
from tests.support.platform import START, PlatformUnderTest
from zentry.mail.outbox import MailQueue, Outbox
from zentry.mail.senders import SMTPSender, build_sender
from zentry.mail.sweep import sweep_mails
from zentry.mail.texts import verify_email
from zentry.mail.types import ClaimedMail, Letter, SenderUnavailable
from zentry.mail.worker import MailWorker, compose
from zentry.platform.settings import MailSettings
from zentry.schema.mail import mails

LETTER = verify_email("https://cloud.example/console/#verify=token")


class Undo(Exception):
    """Ends a transaction without a commit."""


async def put(platform: PlatformUnderTest, key: str, *, to: str = "ada@example.com", **more: Any) -> bool:
    async with platform.database.work() as tx:
        return await platform.inner.edge.service(Outbox, tx).put(key, to=to, letter=LETTER, **more)


async def rows(platform: PlatformUnderTest) -> list[Any]:
    async with platform.database.read() as tx:
        return list(await tx.execute(sa.select(mails).order_by(mails.c.key)))


def worker(platform: PlatformUnderTest, **settings: Any) -> MailWorker:
    """Return a mail worker of the platform's database with other settings."""
    chosen = MailSettings(transport="smtp", **settings)
    return MailWorker(
        database=platform.database,
        settings=chosen,
        sender=build_sender(chosen, platform.settings.data_dir),
        sealer=platform.inner.app.state.sealer,
        clock=platform.clock,
        random=platform.inner.mailer._random,
        signals=platform.inner.signals,
    )


async def test_a_mail_is_sent_once_its_cause_is_committed_and_only_once(platform: PlatformUnderTest) -> None:
    with contextlib.suppress(Undo):
        async with platform.database.work() as tx:
            await platform.inner.edge.service(Outbox, tx).put("undone:1", to="ada@example.com", letter=LETTER)
            raise Undo
    added = [await put(platform, "welcome:1"), await put(platform, "welcome:1")]

    sent = await platform.mails()

    assert added == [True, False]
    assert [(mail["To"], mail["Subject"]) for mail in sent] == [("ada@example.com", LETTER.subject)]
    assert sent[0].get_content().splitlines() == LETTER.text.splitlines()
    [row] = await rows(platform)
    assert (row.status, row.content, row.attempt) == ("sent", None, 1)

    platform.clock.advance(timedelta(days=8))
    async with platform.database.work() as tx:
        assert await sweep_mails(tx) == 1


async def test_what_waits_is_sealed_and_can_be_forgotten(platform: PlatformUnderTest) -> None:
    user_id = uuid4()
    await put(platform, "a", user_id=user_id)
    [row] = await rows(platform)

    async with platform.database.work() as tx:
        await platform.inner.edge.service(Outbox, tx).forget(user_id)

    assert b"ada@" not in row.content
    assert b"token" not in row.content
    assert await platform.mails() == []


async def test_trouble_postpones_a_mail_and_a_refusal_ends_it(platform: PlatformUnderTest, tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server:
        sending = worker(platform, tls="none", host="127.0.0.1", port=server.port, max_attempts=3)
        server.to_data = lambda: "451 try later"
        await put(platform, "a")
        assert await sending.tick() == 1
        assert await sending.tick() == 0, "it waits before the next try"

        server.to_data = lambda: "250 OK"
        platform.clock.advance(_seconds(31))
        assert await sending.tick() == 1
        [delivered] = server.received

        server.to_recipient = lambda _: "550 unknown"
        await put(platform, "b", to="nobody@example.com")
        assert await sending.tick() == 1

        server.to_recipient = lambda _: "450 mailbox busy"
        await put(platform, "c")
        for _ in range(3):
            assert await sending.tick() == 1
            platform.clock.advance(_seconds(200))
        await put(platform, "d", until=platform.clock.now() + _seconds(10))
        assert await sending.tick() == 1
    found = await rows(platform)
    assert delivered["Message-ID"] == f"<{found[0].id}@zentry.example>"
    assert [(row.key, row.status, row.attempt) for row in found] == [
        ("a", "sent", 2),
        ("b", "dead", 1),
        ("c", "dead", 3),
        ("d", "dead", 1),
    ]
    assert await sending.tick() == 0


async def test_a_worker_that_dies_loses_no_mail_and_its_late_word_changes_nothing(platform: PlatformUnderTest) -> None:
    await put(platform, "a")
    async with platform.database.work() as tx:
        [claimed] = await MailQueue(tx).claim(lease=_seconds(60), most=10)
    assert await platform.mails() == [], "it is another worker's for a minute"

    platform.clock.advance(_seconds(61))
    sent = await platform.mails()

    async with platform.database.work() as tx:
        assert not await MailQueue(tx).postpone(claimed, by=_seconds(1), error="late")
    assert len(sent) == 1
    assert [row.status for row in await rows(platform)] == ["sent"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mails_go_through_tls_with_an_account(tmp_path: Path, tls: str) -> None:
    message = compose(_claimed(), to="ada@example.com", letter=LETTER, settings=MailSettings())
    async with mail_server(tmp_path, tls=tls, accounts=True) as server:

        def sender(**settings: Any) -> SMTPSender:
            return SMTPSender(MailSettings(transport="smtp", host="localhost", port=server.port, tls=tls, **settings))

        right = {"ca_file": server.ca_file, "username": USERNAME, "password": PASSWORD}
        await sender(**right).send(message)
        with pytest.raises(SenderUnavailable, match="credentials"):
            await sender(**{**right, "password": "wrong"}).send(message)
        with pytest.raises(SenderUnavailable, match="cannot be reached"):
            await sender(**{**right, "ca_file": ""}).send(message)  # A certificate that nobody vouches for.
    assert [mail["Subject"] for mail in server.received] == [LETTER.subject]
    assert set(server.logins) == {USERNAME}


async def test_a_server_without_tls_gets_nothing_where_tls_is_demanded(tmp_path: Path) -> None:
    message = compose(_claimed(), to="ada@example.com", letter=LETTER, settings=MailSettings())
    async with mail_server(tmp_path) as server:
        sender = SMTPSender(MailSettings(transport="smtp", host="127.0.0.1", port=server.port, tls="starttls"))
        with pytest.raises(SenderUnavailable):
            await sender.send(message)
    assert server.received == []


async def test_no_text_gets_out_of_its_header(platform: PlatformUnderTest, tmp_path: Path) -> None:
    async with platform.database.work() as tx:
        outbox = platform.inner.edge.service(Outbox, tx)
        evil = Letter("Grüße\r\nBcc: eve@example.com", ".\r\nMAIL FROM:<eve@example.com>\r\n")
        await outbox.put("a", to="ädä@example.com", letter=evil)
        await outbox.put("b", to="ada@example.com\r\nBcc: eve@example.com", letter=evil)
    async with mail_server(tmp_path) as server:
        sending = worker(platform, tls="none", host="127.0.0.1", port=server.port)
        await sending.tick()
    [mail] = server.received
    assert (mail["Subject"], mail["Bcc"], mail["To"]) == ("Grüße Bcc: eve@example.com", None, "ädä@example.com")
    assert mail.get_content().splitlines() == [".", "MAIL FROM:<eve@example.com>"]
    assert [row.status for row in await rows(platform)] == ["sent", "dead"]


def _claimed() -> ClaimedMail:
    return ClaimedMail(uuid4(), attempt=1, content=b"", created_at=START, expires_at=START)


def _seconds(count: float) -> timedelta:
    return timedelta(seconds=count)
