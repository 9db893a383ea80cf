"""R19: a real server and clients that mean it no good. It refuses them, goes on answering, and does not grow."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from tests.support.program import Running, serving

_SETTINGS: Final = {
    "ZENTRY_SECURITY__BCRYPT_COST": "4",
    "ZENTRY_SERVER__BODY_TIMEOUT_SECONDS": "2",
    "ZENTRY_LOG__LEVEL": "error",
}
_REFUSED: Final = {400, 404, 408, 411, 413, 414, 415, 422, 431, 501, 505}
_CLOSED: Final = 0
_GROWTH_BYTES: Final = 64 * 1024 * 1024
_POST: Final = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_GET: Final = "GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with serving("--data-dir", folder / "data", cwd=folder, **_SETTINGS) as running:
        yield running


@contextlib.contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.port)), timeout=30) as connection:
        yield connection


def statuses_of(server: Running, *pieces: bytes) -> list[int]:
    """Send bytes and return the status of every answer; 0 where the server closes without one."""
    with connected(server) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except (ConnectionError, TimeoutError):
            pass
    found = [int(line.split()[1]) for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return found or [_CLOSED]


@pytest.mark.parametrize(
    "message",
    [
        _POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\n\r\n",
        _POST + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        _POST + "Content-Length: 2, 40\r\n\r\n{}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        _POST + "Content-Length: +2\r\n\r\n{}",
        _POST + "Content-Length: -1\r\n\r\n{}",
        _POST + "Content-Length: 0x2\r\n\r\n{}",
        _POST + "Content-Length: 2 2\r\n\r\n{}",
        _POST + f"Content-Length: {'9' * 400}\r\n\r\n{{}}",
        _POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        _POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        _POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        _POST + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        _POST + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n",
        _GET.replace("HTTP/1.1", "HTTP/9.9") + "\r\n",
        "GET /health\r\n\r\n",
        "GET  /health  HTTP/1.1\r\nHost: x\r\n\r\n",
        _GET + "X: a\r\n\0b: c\r\n\r\n",
        "\0" * 4096,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_a_message_has_one_end(server: Running, message: str) -> None:
    found = statuses_of(server, message.encode("latin-1"))

    assert len(found) == 1
    assert found[0] in _REFUSED | {_CLOSED}


def test_what_is_too_much_is_refused_and_the_server_does_not_grow(server: Running) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    login = {"email": "a@example.com", "password": "x"}
    megabyte = 1024 * 1024
    bodies = {
        "deep": b"[" * 100_000,
        "many members": json.dumps({f"k{number}": 0 for number in range(50_000)}).encode(),
        "many digits": b'{"email":"a@example.com","password":' + b"9" * 100_000 + b"}",
        "an exponent": b'{"email":"a@example.com","password":1E+1000000}',
        "not text": b"\xff\xfe\x00{",
        "a body beyond the limit": b'{"email":"' + b"a" * (2 * megabyte) + b'"}',
    }
    with httpx.Client(base_url=server.url, timeout=60) as client:
        answers = {name: _post(client, body) for name, body in bodies.items()}
        answers["a bomb"] = _post(client, gzip.compress(b" " * (50 * megabyte)), **{"Content-Encoding": "gzip"})
        answers["zstd"] = _post(client, b"x" * 100, **{"Content-Encoding": "zstd"})
        answers["a form"] = client.post("/auth/login", data=login).status_code
        answers["a far offset"] = client.get(f"/health/audit?offset={2**63}", headers=_signed_up(client)).status_code
    raw = {
        "ten thousand parameters": f"GET /vms?{'&'.join(f'a{n}=1' for n in range(10_000))} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a long path": f"GET /{'a' * 60_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        "64 KiB of header": _GET + f"X: {'a' * 65_536}\r\n\r\n",
        "a megabyte of header": _GET + f"X: {'a' * megabyte}\r\n\r\n",
        "ten thousand headers": _GET + "".join(f"X{n}: a\r\n" for n in range(10_000)) + "\r\n",
        "100 MB announced": _POST + f"Content-Length: {100 * megabyte}\r\n\r\n{{",
        "chunks without end": _POST + "Transfer-Encoding: chunked\r\n\r\n" + "10000\r\n" + "a" * 65_536 + "\r\n",
    }
    for name, text in raw.items():
        pieces = (
            [text.encode()] if "chunks" not in name else [text.encode(), *[b"10000\r\n" + b"a" * 65_536 + b"\r\n"] * 40]
        )
        answers[name] = statuses_of(server, *pieces)[0]

    assert {name: status for name, status in answers.items() if status not in _REFUSED | {_CLOSED}} == {}
    assert process.memory_info().rss - before < _GROWTH_BYTES
    assert httpx.get(f"{server.url}/health").status_code == 200


def test_health_answers_while_connections_are_slow_or_idle(server: Running) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with contextlib.ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(connected(server))
            if number % 3 == 1:
                connection.sendall(_GET.encode() + b"X-Slow: ")
            elif number % 3 == 2:
                connection.sendall(_POST.encode() + b"Content-Length: 100\r\n\r\n{")
        with httpx.Client(base_url=server.url, timeout=60) as client:
            found = [client.get("/health").status_code for _ in range(30)]

    assert found == [200] * 30
    assert process.memory_info().rss - before < _GROWTH_BYTES


def _post(client: httpx.Client, body: bytes, **headers: str) -> int:
    try:
        return client.post(
            "/auth/login", content=body, headers={"Content-Type": "application/json", **headers}
        ).status_code
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return _CLOSED


def _signed_up(client: httpx.Client) -> dict[str, str]:
    person = {"email": "mallory@example.com", "name": "Mallory Test", "password": "correct-horse-battery-7"}
    answer = client.post("/auth/signup", json=person)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
