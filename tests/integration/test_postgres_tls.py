"""TLS to PostgreSQL: the certificate of a real server is checked, its authority and its name."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.postgres import PostgresServer, start_postgres
from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals


class Authority:
    """A throw-away certificate authority."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self._name, self._key, authority=True, names=())

    def write(self, file: Path) -> Path:
        file.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return file

    def issue(self, folder: Path, *names: x509.GeneralName) -> tuple[Path, Path]:
        """Write a server's certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "database")])
        certificate = self._sign(subject, key, authority=False, names=names)
        (folder / "server.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "server.key").write_bytes(pem)
        return folder / "server.crt", folder / "server.key"

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
        names: tuple[x509.GeneralName, ...],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("Zentry tests")


@pytest.fixture(scope="module")
def server(trusted: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server whose certificate is for 127.0.0.1 alone."""
    certificate, key = trusted.issue(tmp_path_factory.mktemp("tls"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    running = start_postgres(tls=(certificate, key))
    yield running
    running.stop()


async def _protocol(url: str) -> str | None:
    """Connect as the platform does, and return by which version of TLS."""
    settings = DatabaseSettings(url=url, pool_size=1, pool_overflow=0)
    database = Database(settings, clock=SystemClock(), random=Random(1), signals=Signals())
    try:
        async with database.read() as tx:
            query = sa.text("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl")
            return (await tx.execute(query)).scalar_one_or_none()
    finally:
        await database.close()


async def test_a_server_is_spoken_to_when_its_certificate_is_the_right_one(
    server: PostgresServer, trusted: Authority, tmp_path: Path
) -> None:
    root = trusted.write(tmp_path / "root.crt")

    assert await _protocol(f"{server.url}?sslmode=verify-full&sslrootcert={root}") in {"TLSv1.2", "TLSv1.3"}


async def test_another_name_or_another_authority_is_refused(
    server: PostgresServer, trusted: Authority, tmp_path: Path
) -> None:
    root = trusted.write(tmp_path / "root.crt")
    foreign = Authority("Somebody else").write(tmp_path / "foreign.crt")
    by_name = server.url.replace("127.0.0.1", "localhost")

    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get"):
        await _protocol(f"{server.url}?sslmode=verify-full&sslrootcert={foreign}")
    with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
        await _protocol(f"{by_name}?sslmode=verify-full&sslrootcert={root}")
    assert await _protocol(f"{by_name}?sslmode=verify-ca&sslrootcert={root}") is not None
