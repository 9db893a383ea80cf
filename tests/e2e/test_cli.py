"""The program as it is installed: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
from pathlib import Path

import httpx
import pytest

import zentry
from tests.support.program import run, serving

_SECRET = "0f4e7a90c1b24f6d8e3a5b7c9d1e2f30"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_where_it_is_and_stops_cleanly(tmp_path: Path, number: int) -> None:
    with serving("--data-dir", "cloud", cwd=tmp_path) as server:
        health = httpx.get(f"{server.url}/health")
        code = server.stop(number)

        assert health.status_code == 200
        assert f"{server.url}/docs" in server.announcement
        assert str(tmp_path / "cloud") in server.announcement
        assert code == 0
        assert "Traceback" not in server.log()


def test_a_first_start_makes_a_private_directory_with_a_private_key(tmp_path: Path) -> None:
    with serving("--data-dir", "cloud", cwd=tmp_path):
        directory = tmp_path / "cloud"

        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE((directory / "signing.key").stat().st_mode) == 0o600
        assert (directory / "zentry.db").exists()


def test_a_token_outlives_a_restart(tmp_path: Path) -> None:
    person = {"email": "ada@example.com", "name": "Ada Lovelace", "password": "correct-horse-battery-7"}
    with serving("--data-dir", "cloud", cwd=tmp_path) as first:
        token = httpx.post(f"{first.url}/auth/signup", json=person).json()["access_token"]
        first.stop(signal.SIGTERM)
    with serving("--data-dir", "cloud", cwd=tmp_path) as second:
        answer = httpx.get(f"{second.url}/auth/me", headers={"Authorization": f"Bearer {token}"})

        assert answer.status_code == 200, answer.text


def test_what_is_no_http_is_answered_in_the_envelope(tmp_path: Path) -> None:
    with serving("--data-dir", "cloud", cwd=tmp_path) as server:
        answers = [
            _talk(server.port, b"NONSENSE\r\n\r\n"),
            _talk(server.port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"),
            _talk(server.port, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000),
        ]

        assert [answer[0] for answer in answers] == [400, 431, 431]
        assert all(answer[1]["status"] == answer[0] and answer[1]["request_id"] for answer in answers)


def test_a_port_in_use_is_one_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port), "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use by another program." in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_second_process_on_one_data_directory_is_one_message(tmp_path: Path) -> None:
    with serving("--data-dir", "cloud", cwd=tmp_path) as server:
        ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path)

        assert ended.returncode == 1
        assert f"is in use by process {server.process.pid}." in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_a_second_process_on_one_sqlite_file_is_one_message(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/cloud/zentry.db"
    with serving("--data-dir", "cloud", cwd=tmp_path):
        ended = run("serve", "--port", "0", "--data-dir", "other", cwd=tmp_path, ZENTRY_DATABASE__URL=url)

        assert ended.returncode == 1
        assert "is in use by process" in ended.stderr


@pytest.mark.parametrize(
    ("place", "why"), [("a-file", "File exists"), ("a-file/below", "Not a directory"), ("/proc/zentry", "No such file")]
)
def test_a_data_directory_that_cannot_be_made_is_one_message(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "a-file").touch()

    ended = run("serve", "--port", "0", "--data-dir", place, cwd=tmp_path)

    assert ended.returncode == 1
    assert f"cannot be used: {why}" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write where the mode forbids it")
def test_a_read_only_data_directory_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir(mode=0o500)

    ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "cannot be used: Permission denied" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_every_bad_setting_is_named_at_once(tmp_path: Path) -> None:
    ended = run(
        "serve",
        "--data-dir",
        "cloud",
        cwd=tmp_path,
        ZENTRY_SERVER__PORT="70000",
        ZENTRY_SERVER__HOTS="0.0.0.0",
        ZENTRY_LOG__LEVEL="loud",
        ZENTRY_ENV="prod",
    )

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "ZENTRY_SERVER__PORT (--port): must be a whole number from 0 to 65535 (it is '70000')." in ended.stderr
    assert "ZENTRY_SERVER__HOTS: there is no such setting. Did you mean ZENTRY_SERVER__HOST?" in ended.stderr
    assert "ZENTRY_LOG__LEVEL: must be debug, info, warning or error (it is 'loud')." in ended.stderr
    assert "ZENTRY_ENV: must be development, test or production (it is 'prod')." in ended.stderr
    assert not (tmp_path / "cloud").exists()


def test_a_secret_that_does_not_fit_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"ZENTRY_SECURITY__SIGNING_KEY={_SECRET}\nZENTRY_SECURITY__BCRYPT_COST=99\n")

    ended = run("serve", cwd=tmp_path)

    assert ended.returncode == 1
    assert "ZENTRY_SECURITY__BCRYPT_COST" in ended.stderr
    assert _SECRET not in ended.stderr + ended.stdout


def test_an_unsafe_production_is_refused_with_every_reason(tmp_path: Path) -> None:
    ended = run(
        "serve",
        cwd=tmp_path,
        ZENTRY_ENV="production",
        ZENTRY_SECURITY__SIGNING_KEY="changeme",
        ZENTRY_SERVER__CORS_ORIGINS='["*"]',
    )

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    for setting in ("SECURITY__SIGNING_KEY", "SERVER__CORS_ORIGINS", "DATABASE__URL", "BILLING__SELF_SERVICE_CREDIT"):
        assert f"ZENTRY_{setting}\n" in ended.stderr
    assert "changeme" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_an_exposed_signing_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "signing.key").write_text("k" * 64)
    (tmp_path / "cloud" / "signing.key").chmod(0o644)

    ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "can be read by other accounts (mode 0644)" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_database_of_a_newer_schema_is_one_message(tmp_path: Path) -> None:
    assert run("db", "upgrade", "--data-dir", "cloud", cwd=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "cloud" / "zentry.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "revision 9999" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "cloud").mkdir()
    (tmp_path / "cloud" / "zentry.db").write_text("This is a letter, and no database. " * 100)

    ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "The database cannot be used: file is not a database" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("ZENTRY_DATABASE__URL", "postgresql://zentry@127.0.0.1:1/zentry", "The database cannot be used:"),
        (
            "ZENTRY_DATABASE__URL",
            "mysql://localhost/zentry",
            "ZENTRY_DATABASE__URL: must be sqlite:///PATH or postgresql://",
        ),
        ("ZENTRY_COMPUTE__DRIVER", "clouds", "There is no compute driver 'clouds'; installed: simulator."),
        ("ZENTRY_SERVER__HOST", "256.0.0.1", "cannot be listened on"),
    ],
)
def test_what_cannot_be_reached_or_found_is_one_message(tmp_path: Path, setting: str, value: str, message: str) -> None:
    ended = run("serve", "--port", "0", "--data-dir", "cloud", cwd=tmp_path, **{setting: value})

    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_environment_test_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(cwd=tmp_path, ZENTRY_ENV="test") as server:
        directory = next(
            line.split()[1] for line in server.announcement.splitlines() if line.strip().startswith("Data")
        )
        existed = Path(directory).is_dir()
        code = server.stop(signal.SIGTERM)

        assert (existed, code) == (True, 0)
        assert not Path(directory).exists()
        assert not (tmp_path / "data").exists()


def test_api_and_worker_need_a_migrated_database(tmp_path: Path) -> None:
    ended = run("worker", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "Run `zentry db upgrade`." in ended.stderr


async def test_api_and_worker_share_a_data_directory_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    from tests.support.databases import empty_postgresql

    async with empty_postgresql(postgres_url) as url:
        upgraded = run("db", "upgrade", cwd=tmp_path, ZENTRY_DATABASE__URL=url)
        with (
            serving(cwd=tmp_path, command="api", ZENTRY_DATABASE__URL=url) as api,
            serving(cwd=tmp_path, command="worker", ZENTRY_DATABASE__URL=url) as worker,
        ):
            async with httpx.AsyncClient() as client:
                health = await client.get(f"{api.url}/health")
            codes = [api.stop(signal.SIGTERM), worker.stop(signal.SIGTERM)]

    assert upgraded.returncode == 0, upgraded.stderr
    assert health.status_code == 200
    assert codes == [0, 0]


def test_the_database_commands_tell_the_state_of_the_schema(tmp_path: Path) -> None:
    before = run("db", "current", "--data-dir", "cloud", cwd=tmp_path)
    missing = run("db", "check", "--data-dir", "cloud", cwd=tmp_path)
    first = run("db", "upgrade", "--data-dir", "cloud", cwd=tmp_path)
    second = run("db", "upgrade", "--data-dir", "cloud", cwd=tmp_path)
    check = run("db", "check", "--data-dir", "cloud", cwd=tmp_path)

    assert "database none" in before.stdout
    assert (missing.returncode, "There is no database" in missing.stderr) == (1, True)
    assert first.stdout.startswith("Upgraded to revision")
    assert second.stdout.startswith("Already at revision")
    assert (check.returncode, check.stdout) == (0, "The database is as the program declares it.\n")


def test_the_database_check_names_a_difference(tmp_path: Path) -> None:
    run("db", "upgrade", "--data-dir", "cloud", cwd=tmp_path)
    with sqlite3.connect(tmp_path / "cloud" / "zentry.db") as connection:
        connection.execute("DROP INDEX ix_sessions_user_id")
    connection.close()

    ended = run("db", "check", "--data-dir", "cloud", cwd=tmp_path)

    assert ended.returncode == 1
    assert "ix_sessions_user_id" in ended.stdout


def test_the_openapi_document_is_printed_without_a_trace(tmp_path: Path) -> None:
    ended = run("openapi", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["info"]["version"] == zentry.__version__
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_printed(tmp_path: Path) -> None:
    ended = run("version", cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (0, f"{zentry.__version__}\n")


def test_the_doctor_finds_nothing_wrong_with_a_fresh_machine_and_leaves_no_trace(tmp_path: Path) -> None:
    ended = run("doctor", "--port", "0", cwd=tmp_path)

    assert ended.returncode == 0, ended.stdout
    assert "Everything that was looked at is well." in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_lists_every_problem(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(
            "doctor",
            "--port",
            str(taken.getsockname()[1]),
            cwd=tmp_path,
            ZENTRY_ENV="production",
            ZENTRY_COMPUTE__DRIVER="clouds",
            ZENTRY_DATABASE__URL="postgresql://zentry@127.0.0.1:1/zentry",
        )

    assert ended.returncode == 1
    for text in ("ZENTRY_SECURITY__SIGNING_KEY", "is in use", "'clouds'", "The database cannot be used", "LOG__FORMAT"):
        assert text in ended.stdout


def test_the_doctor_reads_settings_that_do_not_fit(tmp_path: Path) -> None:
    ended = run("doctor", cwd=tmp_path, ZENTRY_SECURITY__BCRYPT_COST="many")

    assert ended.returncode == 1
    assert "must be a whole number from 4 to 16" in ended.stdout


def test_an_administrator_is_made_beside_a_running_server(tmp_path: Path) -> None:
    password = "correct-horse-battery-7"
    with serving("--data-dir", "cloud", cwd=tmp_path) as server:
        made = run(
            *("admin", "create", "--email", "root@example.com", "--password-stdin", "--data-dir", "cloud"),
            cwd=tmp_path,
            given=f"{password}\n",
        )
        login = httpx.post(f"{server.url}/auth/login", json={"email": "root@example.com", "password": password})

        assert made.returncode == 0, made.stderr
        assert "root@example.com is an administrator now." in made.stdout
        assert login.status_code == 200


@pytest.mark.parametrize(
    ("email", "password", "message"),
    [("nobody", "correct-horse-battery-7", "e-mail"), ("root@example.com", "short", "at least 8 characters")],
)
def test_an_administrator_that_cannot_be_is_one_message(
    tmp_path: Path, email: str, password: str, message: str
) -> None:
    ended = run("admin", "create", "--email", email, "--password-stdin", cwd=tmp_path, given=f"{password}\n")

    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def _talk(port: str, sent: bytes) -> tuple[int, dict[str, object]]:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65_536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
