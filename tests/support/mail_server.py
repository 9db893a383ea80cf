"""A real SMTP server on a free port of the loopback interface, with or without TLS and accounts."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USERNAME: Final = "zentry"
PASSWORD: Final = "mail-password-of-the-test"
_OK: Final = "250 OK"


@dataclass(slots=True)
class MailServer:
    """What the server got, and what it is to answer."""

    port: int = 0
    ca_file: str = ""
    received: list[EmailMessage] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    to_recipient: Callable[[str], str] = lambda _: _OK
    to_data: Callable[[], str] = lambda: _OK

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:  # noqa: N802 - the library's name
        """Answer a recipient."""
        answer = self.to_recipient(address)
        if answer == _OK:
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        """Take a mail."""
        answer = self.to_data()
        if answer == _OK:
            self.received.append(message_from_bytes(envelope.content, policy=default))
        return answer

    def authenticate(self, _: Any, __: Any, ___: Any, ____: str, given: Any) -> AuthResult:
        """Check an account."""
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login.decode())
        return AuthResult(success=given.password == PASSWORD.encode(), handled=False)


@contextlib.asynccontextmanager
async def mail_server(folder: Path, *, tls: str = "none", accounts: bool = False) -> AsyncIterator[MailServer]:
    """Run a server; `tls` is none, starttls or tls."""
    server = MailServer()
    context = None
    if tls != "none":
        server.ca_file, context = _certificate(folder)
    options: dict[str, Any] = {"hostname": "localhost", "enable_SMTPUTF8": True}
    if accounts:
        options |= {"authenticator": server.authenticate, "auth_require_tls": tls == "starttls"}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(server, loop=loop, **options), "127.0.0.1", 0, ssl=context if tls == "tls" else None
    )
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def _certificate(folder: Path) -> tuple[str, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "mail.crt", folder / "mail.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return str(certificate_file), context
