"""Posts over TLS: to the address that was resolved once, with the name of the URL asked for and checked."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.support.certificates import Authority
from tests.support.receiver import Receiver, receiving
from zentry.platform.settings import WebhookSettings
from zentry.webhooks.sender import HTTPSender

NAME = "hooks.example.test"


@contextlib.asynccontextmanager
async def listening(authority: Authority, folder: Path, name: str) -> AsyncIterator[tuple[Receiver, list[str | None]]]:
    """Receive over TLS with a certificate for `name`; yield the receiver and the names that were asked for."""
    certificate, key = authority.issue(folder, x509.DNSName(name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    asked: list[str | None] = []

    def note(_socket: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(server_name)

    context.sni_callback = note
    async with receiving(tls=context) as receiver:
        yield receiver, asked


@pytest.mark.parametrize(
    ("certified", "is_trusted", "is_taken"),
    [(NAME, True, True), ("other.example.test", True, False), (NAME, False, False)],
)
async def test_the_name_of_the_url_is_asked_for_and_checked_at_the_address_that_was_resolved_once(
    tmp_path: Path, certified: str, is_trusted: bool, is_taken: bool
) -> None:
    authority, stranger = Authority("Receivers"), Authority("Somebody else")
    trusted = (authority if is_trusted else stranger).write(tmp_path / "ca.crt")
    resolved: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        resolved.append((host, port))
        return ["127.0.0.1"]

    settings = WebhookSettings(allowed_networks=("127.0.0.0/8",), ca_file=str(trusted))
    sender = HTTPSender(settings, resolve=resolve)
    async with listening(authority, tmp_path, certified) as (receiver, asked):
        port = httpx.URL(receiver.url).port or 0

        posted = await sender.post(f"https://{NAME}:{port}/in", b"{}", {"webhook-id": "a"})
        await sender.close()

    assert (resolved, asked) == ([(NAME, port)], [NAME])
    assert posted.is_taken is is_taken
    assert [message.headers["host"] for message in receiver.messages] == [f"{NAME}:{port}"] * is_taken
    if not is_taken:
        assert "certificate" in (posted.error or "").lower()
