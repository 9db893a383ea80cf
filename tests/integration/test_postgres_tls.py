"""TLS to PostgreSQL: the certificate of a real server is checked, its authority and its name."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from cryptography import x509

from tests.support.certificates import Authority
from tests.support.postgres import PostgresServer, start_postgres
from zentry.platform.clock import SystemClock
from zentry.platform.db import Database
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals


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
