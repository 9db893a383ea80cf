"""The HTTP shell through the front door, around routes of its own."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
import structlog
import zstandard
from fastapi import APIRouter, FastAPI, Query, Request
from starlette.middleware import Middleware
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentry.api.app import create_app
from zentry.api.docs import vendor_directory
from zentry.platform.caching import cached_json
from zentry.platform.caller import Caller, Role
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database
from zentry.platform.db.service import HealthStatus
from zentry.platform.errors import Conflict, NotFound, TooManyRequests
from zentry.platform.logging import configure_logging
from zentry.platform.settings import LogSettings, Settings
from zentry.platform.signals import Signals
from zentry.platform.web import CallerDep, Edge, EdgeDep
from zentry.platform.wire import WriteModel
from zentry.schema.metadata import metadata

ORIGIN: Final = "http://localhost:3000"
START: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
SETTINGS: Final = Settings(_env_file=None)
ENVELOPE: Final = {
    "success",
    "error_code",
    "message",
    "details",
    "timestamp",
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "request_id",
}
notes = sa.Table("shell_notes", sa.MetaData(), sa.Column("text", sa.Text, nullable=False))


class Note(WriteModel):
    text: str
    depth: Any = None


class WellDatabase:
    """A database service that is well, or says why not."""

    def __init__(self, error: str | None = None) -> None:
        self._error = error

    async def health_check(self) -> HealthStatus:
        return HealthStatus(
            status="unhealthy" if self._error else "healthy",
            type="sqlite",
            response_time_ms=0.5,
            users_count=None if self._error else 0,
            schema_revision="0001",
            pool={"limit": 9, "in_use": 0, "idle": 1},
            error=self._error,
        )

    async def statistics(self) -> dict[str, int]:
        return {"users": 2, "vms": 3}

    async def optimize(self) -> dict[str, Any]:
        return {"action": "analyze"}

    async def run_migrations(self) -> bool:
        return False


async def clean_nothing(*, retention_days: int) -> Mapping[str, int]:
    return {"vm_metrics": retention_days}


def routes() -> APIRouter:  # noqa: C901  # a list of small routes
    """Return a route for each thing that the shell does."""
    router = APIRouter()
    failures: dict[str, Callable[[], Exception]] = {  # Made anew for each request.
        "not-found": lambda: NotFound("Thing"),
        "conflict": lambda: Conflict("It is taken.", blocking=UUID(int=7)),
        "limited": lambda: TooManyRequests("Slow down.", retry_after_seconds=7),
        "unexpected": lambda: RuntimeError("the secret of the house"),
        "pool": lambda: sa.exc.TimeoutError("QueuePool limit"),
        "lost": lambda: sa.exc.OperationalError("SELECT 1", {"p": "hunter2"}, Exception("server closed")),
        "deadlock": lambda: sa.exc.DBAPIError("UPDATE", {}, asyncpg.DeadlockDetectedError("deadlock")),
        "refused": lambda: ConnectionRefusedError(111, "refused"),
        "integrity": lambda: sa.exc.IntegrityError("INSERT", {"email": "ann@example.com"}, Exception("unique")),
    }

    @router.get("/failures/{kind}")
    async def fail(kind: str) -> None:
        error = failures[kind]()
        raise error

    @router.post("/notes")
    async def write_note(note: Note) -> dict[str, str]:
        return {"text": note.text}

    @router.get("/notes")
    async def list_notes(limit: Annotated[int, Query(ge=1, le=500)] = 5) -> dict[str, int]:
        return {"limit": limit}

    @router.delete("/notes/{note_id}")
    async def delete_note(note_id: str) -> dict[str, str]:
        return {"deleted": note_id}

    @router.get("/notes/{note_id}")
    async def get_note(note_id: str) -> dict[str, str]:
        return {"id": note_id}

    @router.post("/commit")
    async def commit(edge: EdgeDep) -> dict[str, bool]:
        async with edge.work() as tx:
            await tx.execute(sa.insert(notes).values(text="never"))
        return {"done": True}

    @router.get("/mine")
    async def mine(caller: CallerDep) -> dict[str, str]:
        return {"user_id": str(caller.user_id)}

    @router.get("/large")
    async def large() -> list[str]:
        return ["the same again"] * 500

    @router.get("/auth/large")
    async def tokens() -> list[str]:
        return ["a token"] * 500

    @router.get("/fixed")
    async def fixed() -> Response:
        return Response(
            b"[" + b"1," * 2000 + b"1]", media_type="application/json", headers={"Cache-Control": "no-transform"}
        )

    @router.get("/shared")
    async def shared(request: Request) -> Response:
        return cached_json(request, b'{"price":' + b" " * 2000 + b"1}", max_age_seconds=60)

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 2000

        return StreamingResponse(pieces(), media_type="application/json")

    @router.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the rest is lost")

        return StreamingResponse(pieces(), media_type="text/plain")

    return router


class Impersonate:
    """Stands where authentication does: the header names the role."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"x-role":
                scope["zentry.caller"] = Caller(UUID(int=1), UUID(int=2), Role(value.decode()))
        await self._app(scope, receive, send)


def database_at(path: Path, clock: ManualClock) -> Database:
    settings = SETTINGS.database.model_copy(update={"url": f"sqlite:///{path / 'shell.db'}"})
    return Database(settings, clock=clock, random=Random(1), signals=Signals())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = database_at(tmp_path, ManualClock(START))
    async with database.writer.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.run_sync(notes.metadata.create_all)
    yield database
    await database.close()


MakeApp = Callable[..., FastAPI]


@pytest.fixture
def make_app(database: Database) -> MakeApp:
    def make(*, settings: Settings = SETTINGS, **others: Any) -> FastAPI:
        others.setdefault("database_service", WellDatabase())
        others.setdefault("middleware", (Impersonate,))
        return create_app(
            settings=settings,
            edge=Edge(database, {}),
            routers=[routes()],
            clock=ManualClock(START),
            cleanup=clean_nothing,
            **others,
        )

    return make


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://zentry",
        headers={"Origin": ORIGIN, "Accept-Encoding": "identity"},
    )


@pytest.fixture
async def client(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app()) as client:
        yield client


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logging(LogSettings(level="info", format="json"), stream=stream)
    yield stream
    configure_logging(LogSettings(level="error", format="json"), stream=io.StringIO())
    structlog.reset_defaults()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in lines if "logger" not in line]  # The client under test has a log of its own.


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Hold an error to the one envelope, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in response.headers["access-control-expose-headers"].lower()
    assert_security_headers(response)
    body: dict[str, Any] = response.json()
    assert set(body) == ENVELOPE
    assert body["error_code"] == code
    assert body["type"] == "urn:zentry:error:" + code.lower().replace("_", "-")
    assert body["success"] is False
    assert body["status"] == status
    assert body["detail"] == body["message"]
    assert body["message"]
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["timestamp"] == "2026-01-31T12:00:00Z"
    return body


def assert_security_headers(response: httpx.Response) -> None:
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]
    assert response.headers["cache-control"]
    assert "server" not in response.headers


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("not-found", 404, "NOT_FOUND"),
        ("conflict", 409, "CONFLICT"),
        ("limited", 429, "RATE_LIMIT_EXCEEDED"),
        ("unexpected", 500, "INTERNAL_SERVER_ERROR"),
        ("pool", 503, "SERVICE_UNAVAILABLE"),
        ("lost", 503, "SERVICE_UNAVAILABLE"),
        ("deadlock", 503, "SERVICE_UNAVAILABLE"),
        ("refused", 503, "SERVICE_UNAVAILABLE"),
        ("integrity", 500, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_every_failure_of_a_route_has_the_envelope(
    client: httpx.AsyncClient, kind: str, status: int, code: str
) -> None:
    response = await client.get(f"/failures/{kind}")

    body = assert_problem(response, status, code)
    assert body["instance"] == f"/failures/{kind}"
    if status in {429, 503}:
        assert int(response.headers["retry-after"]) >= 1
    assert "secret" not in response.text
    assert "ann@" not in response.text


async def test_facts_of_an_error_stand_under_details(client: httpx.AsyncClient) -> None:
    body = (await client.get("/failures/conflict")).json()

    assert body["details"] == {"blocking": "00000000-0000-0000-0000-000000000007"}


async def test_what_is_logged_of_a_failed_statement_holds_no_values(
    client: httpx.AsyncClient, log: io.StringIO
) -> None:
    await client.get("/failures/integrity")

    (failure,) = [line for line in lines_of(log) if line["event"] == "http.failed"]
    assert "IntegrityError" in failure["exception"]
    assert "ann@example.com" not in log.getvalue()


async def test_an_unknown_path_is_404(client: httpx.AsyncClient) -> None:
    body = assert_problem(await client.get("/v1/nowhere/"), 404, "NOT_FOUND")

    assert body["instance"] == "/v1/nowhere/"


async def test_a_wrong_method_names_all_methods_of_the_path(client: httpx.AsyncClient) -> None:
    collection = await client.patch("/notes")
    item = await client.request("OPTIONS", "/v1/notes/7/")

    assert_problem(collection, 405, "METHOD_NOT_ALLOWED")
    assert collection.headers["allow"] == "GET, HEAD, POST"
    assert_problem(item, 405, "METHOD_NOT_ALLOWED")
    assert item.headers["allow"] == "DELETE, GET, HEAD"


@pytest.mark.parametrize("path", ["/notes", "/notes/", "/v1/notes", "/v1/notes/"])
async def test_every_spelling_of_a_path_answers_directly(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert response.status_code == 200
    assert response.json() == {"limit": 5}


async def test_the_version_prefix_alone_is_the_root(client: httpx.AsyncClient) -> None:
    answers = [(await client.get(path)).json() for path in ("/", "/v1", "/v1/")]

    assert answers[0]["message"] == "Zentry Cloud API"
    assert answers[0] == answers[1] == answers[2]


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    get, head = await client.get("/notes"), await client.head("/notes")

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_schema_errors_name_each_field_and_never_its_value(client: httpx.AsyncClient) -> None:
    response = await client.post("/notes", json={"text": 12, "password": "hunter2"})

    body = assert_problem(response, 400, "VALIDATION_ERROR")
    assert {error["field"] for error in body["details"]["validation_errors"]} == {"text", "password"}
    assert all(set(error) == {"field", "message", "type"} for error in body["details"]["validation_errors"])
    assert "hunter2" not in response.text
    assert "12" not in body["detail"]


async def test_query_errors_are_schema_errors(client: httpx.AsyncClient) -> None:
    body = assert_problem(await client.get("/notes?limit=9999"), 400, "VALIDATION_ERROR")

    assert body["details"]["validation_errors"][0]["field"] == "limit"


async def test_the_number_of_reported_fields_is_bounded(client: httpx.AsyncClient) -> None:
    response = await client.post("/notes", json={"text": "a", **{f"unknown_{number}": 1 for number in range(3000)}})

    body = assert_problem(response, 400, "VALIDATION_ERROR")
    assert len(body["details"]["validation_errors"]) == 50


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"null",
        b'{"text": "a"} trailing',
        b'{"text": NaN}',
        b'{"text": ' + b"9" * 100_000 + b"}",
        b'{"text": 1E+1000000}',
        b'{"depth": ' + b"[" * 100_000 + b"]" * 100_000 + b', "text": "a"}',
        b'{"text": "a", "depth": ' + b"[" * 33 + b"]" * 33 + b"}",
        b'{"text": "' + b'\\"' * 50_000 + b"[[[" * 30,
        b'{"text": "\\u0000"}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xff"}',
        b'{"text": "a\x00"}',
        "{}".encode("utf-16"),
        b'{"depth": [' + b"1," * 20_000 + b"1]}",
    ],
)
async def test_a_malformed_body_is_a_schema_error(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/notes", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "' + b"[" * 1000 + b'"}',
        b'{"text": "a", "depth": ' + b"[" * 31 + b"]" * 31 + b"}",
        b'{"text": "a", "depth": [' + b"[]," * 100 + b"[]]}",
        b'{"text": "\\\\u0000 is only text"}',
        b'{"text": "\\ud83d\\ude00"}',
        b'{"text": "' + b"," * 9000 + b'"}',
        '{"text": "\N{SNOWMAN}"}'.encode(),
    ],
)
async def test_a_body_within_the_limits_passes(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/notes", content=body, headers={"Content-Type": "application/json; charset=utf-8"})

    assert response.status_code == 200, response.text
    assert response.json()["text"] == json.loads(body)["text"]


async def test_a_body_beyond_the_limit_is_413_however_it_is_sent(client: httpx.AsyncClient) -> None:
    body = b'{"text": "' + b"a" * SETTINGS.server.max_body_bytes + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    whole = await client.post("/notes", content=body, headers={"Content-Type": "application/json"})
    chunked = await client.post("/notes", content=pieces(), headers={"Content-Type": "application/json"})

    assert_problem(whole, 413, "PAYLOAD_TOO_LARGE")
    assert_problem(chunked, 413, "PAYLOAD_TOO_LARGE")
    assert whole.headers["connection"] == "close"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None]
)
async def test_only_json_bodies_are_taken(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    response = await client.post("/notes", content=b'{"text": "a"}', headers=headers)

    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br", "deflate", "identity, gzip"])
async def test_a_coded_body_is_refused_unread(client: httpx.AsyncClient, coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}

    response = await client.post("/notes", content=gzip.compress(b'{"text": "a"}'), headers=headers)

    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_json_content_type_without_a_body_is_fine(client: httpx.AsyncClient) -> None:
    response = await client.get("/notes", headers={"Content-Type": "application/json"})

    assert response.status_code == 200


async def test_a_vendor_json_type_is_json(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}

    response = await client.post("/notes", content=b'{"text": "a"}', headers=headers)

    assert response.status_code == 200


@pytest.mark.parametrize(
    "path", ["/notes/%00", "/notes/%FF", "/notes?limit=%00", "/notes?limit=%FF", "/notes?" + "a=1&" * 101]
)
async def test_a_target_that_is_no_text_or_too_much_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 400, "VALIDATION_ERROR")


async def test_two_framings_of_one_body_are_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "13", "Transfer-Encoding": "chunked"}

    response = await client.post("/notes", content=b'{"text": "a"}', headers=headers)

    assert_problem(response, 400, "VALIDATION_ERROR")


async def test_a_body_that_does_not_arrive_is_408(make_app: MakeApp) -> None:
    server = SETTINGS.server.model_copy(update={"body_timeout_seconds": 0.05})
    app = make_app(settings=SETTINGS.model_copy(update={"server": server}))
    sent: list[Message] = []
    never = _Never()

    await app(_post_scope(), never, _collect(sent))

    assert sent[0]["status"] == 408
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert json.loads(sent[1]["body"])["error_code"] == "REQUEST_TIMEOUT"


async def test_bodies_that_many_requests_hold_at_once_are_bounded(make_app: MakeApp) -> None:
    app = make_app()
    piece = b"[" + b"1" * (SETTINGS.server.max_body_bytes - 2)
    held = [_Slow(piece) for _ in range(40)]
    answers: list[list[Message]] = [[] for _ in held]
    async with _running(app(_post_scope(), slow, _collect(sent)) for slow, sent in zip(held, answers, strict=True)):
        await _until(lambda: any(answers))
        small: list[Message] = []

        await app(_post_scope(), _Whole(b'{"text": "small"}'), _collect(small))

    assert small[0]["status"] == 200
    refused = [sent for sent in answers if sent]
    assert refused
    assert all(sent[0]["status"] == 503 for sent in refused)


@pytest.mark.parametrize(
    "path", ["/notes", "/nowhere", "/failures/unexpected", "/docs", "/redoc", "/openapi.json", "/health"]
)
async def test_every_answer_carries_the_headers(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)

    assert_security_headers(response)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "strict-transport-security" not in response.headers


async def test_private_answers_are_not_stored(client: httpx.AsyncClient) -> None:
    response = await client.get("/mine", headers={"X-Role": "user"})

    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"


async def test_hsts_is_sent_where_the_settings_say_so(make_app: MakeApp) -> None:
    security = SETTINGS.security.model_copy(update={"hsts": True})
    async with client_of(make_app(settings=SETTINGS.model_copy(update={"security": security}))) as client:
        response = await client.get("/nowhere")

    assert response.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_a_preflight_of_a_listed_origin_allows_methods_and_headers(client: httpx.AsyncClient) -> None:
    response = await client.options("/notes", headers={"Access-Control-Request-Method": "PATCH"})

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert set(response.headers["access-control-allow-methods"].split(", ")) >= {"GET", "PUT", "PATCH", "DELETE"}
    allowed = response.headers["access-control-allow-headers"].lower()
    for header in ("authorization", "content-type", "idempotency-key", "prefer", "if-match", "last-event-id"):
        assert header in allowed


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://localhost:3000",
        "http://localhost:3000.evil.example",
        "http://evil.example/http://localhost:3000",
        "http://LOCALHOST:3000",
        "http://localhost:30000",
        "http://localhost",
        "http://xlocalhost:3000",
        "*",
    ],
)
async def test_a_foreign_origin_is_never_reflected(client: httpx.AsyncClient, origin: str) -> None:
    preflight = await client.options("/notes", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    answer = await client.get("/notes", headers={"Origin": origin})
    error = await client.get("/nowhere", headers={"Origin": origin})

    assert preflight.status_code == 400
    assert preflight.json()["error_code"] == "ORIGIN_REFUSED"
    for response in (preflight, answer, error):
        assert "access-control-allow-origin" not in response.headers
        assert "origin" in response.headers["vary"].lower()


async def test_a_wildcard_never_goes_with_credentials(make_app: MakeApp) -> None:
    server = SETTINGS.server.model_copy(update={"cors_origins": ("*",), "cors_credentials": True})
    async with client_of(make_app(settings=SETTINGS.model_copy(update={"server": server}))) as client:
        response = await client.get("/notes")

    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers


async def test_a_request_id_goes_in_and_out(client: httpx.AsyncClient) -> None:
    response = await client.get("/nowhere", headers={"X-Request-Id": "build-42.retry_1"})

    assert response.headers["x-request-id"] == "build-42.retry_1"
    assert response.json()["request_id"] == "build-42.retry_1"


@pytest.mark.parametrize("forged", ["short", "a" * 65, 'quote"quote"quote', "<script>alert(1)</script>", "space space"])
async def test_a_forged_request_id_is_replaced(client: httpx.AsyncClient, forged: str) -> None:
    response = await client.get("/notes", headers={"X-Request-Id": forged})

    assert response.headers["x-request-id"] != forged
    assert len(response.headers["x-request-id"]) == 20


@pytest.mark.parametrize(
    ("accepted", "coding"), [("zstd, gzip", "zstd"), ("gzip", "gzip"), ("zstd;q=0, gzip;q=0.5", "gzip")]
)
async def test_large_answers_are_compressed_and_come_back_whole(
    client: httpx.AsyncClient, accepted: str, coding: str
) -> None:
    async with client.stream("GET", "/large", headers={"Accept-Encoding": accepted}) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])

    assert response.headers["content-encoding"] == coding
    assert "accept-encoding" in response.headers["vary"].lower()
    assert int(response.headers["content-length"]) == len(raw)
    plain = zstandard.ZstdDecompressor().decompress(raw) if coding == "zstd" else gzip.decompress(raw)
    assert json.loads(plain) == ["the same again"] * 500


@pytest.mark.parametrize("path", ["/auth/large", "/fixed", "/stream", "/notes"])
async def test_tokens_streams_and_small_answers_are_not_compressed(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Accept-Encoding": "gzip, zstd"})

    assert response.status_code == 200
    assert "content-encoding" not in response.headers


async def test_who_accepts_nothing_gets_plain_text(client: httpx.AsyncClient) -> None:
    response = await client.get("/large")

    assert "content-encoding" not in response.headers
    assert "accept-encoding" in response.headers["vary"].lower()


@pytest.mark.parametrize("accepted", ["identity", "gzip", "zstd"])
async def test_a_shared_answer_is_revalidated(client: httpx.AsyncClient, accepted: str) -> None:
    first = await client.get("/shared", headers={"Accept-Encoding": accepted})

    again = await client.get("/shared", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    stale = await client.get("/shared", headers={"If-None-Match": '"other"'})

    assert first.headers["cache-control"] == "public, max-age=60"
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"].removeprefix("W/") == first.headers["etag"].removeprefix("W/")
    assert stale.status_code == 200


async def test_a_failed_commit_is_never_reported_as_success(make_app: MakeApp, database: Database) -> None:
    def refuse(_connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk full"))

    sa.event.listen(database.writer.sync_engine, "commit", refuse)
    async with client_of(make_app()) as client:
        response = await client.post("/commit")
    sa.event.remove(database.writer.sync_engine, "commit", refuse)

    assert_problem(response, 503, "SERVICE_UNAVAILABLE")
    async with database.read() as tx:
        assert (await tx.execute(sa.select(notes))).all() == []


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("error", [RuntimeError("layer"), NotFound("Layer"), sa.exc.TimeoutError("pool")])
async def test_what_middleware_raises_has_the_envelope(make_app: MakeApp, position: int, error: Exception) -> None:
    layers: list[Callable[[ASGIApp], ASGIApp]] = [_pass_on, _pass_on]
    layers.insert(position, _raising(error))
    async with client_of(make_app(middleware=layers)) as client:
        response = await client.get("/notes")

    status = {RuntimeError: 500, NotFound: 404, sa.exc.TimeoutError: 503}[type(error)]
    assert_problem(response, status, response.json()["error_code"])


@pytest.mark.parametrize("layer", range(8))
async def test_what_any_layer_of_the_shell_raises_is_answered(make_app: MakeApp, layer: int) -> None:
    app = make_app()
    assert layer < len(app.user_middleware) + 2
    app.user_middleware.insert(
        min(layer + 1, len(app.user_middleware)), _as_middleware(_raising(RuntimeError("layer")))
    )
    async with client_of(app) as client:
        response = await client.get("/notes")

    assert response.status_code == 500
    assert set(response.json()) == ENVELOPE
    assert response.headers["x-request-id"] == response.json()["request_id"]
    assert_security_headers(response)


async def test_an_answer_that_breaks_off_is_not_given_a_second_one(make_app: MakeApp, log: io.StringIO) -> None:
    sent: list[Message] = []
    scope = {**_post_scope(), "method": "GET", "path": "/broken-stream", "headers": []}

    with pytest.raises(RuntimeError, match="the rest is lost"):
        await make_app()(scope, _Whole(b""), _collect(sent))

    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert [line["event"] for line in lines_of(log)] == ["http.broken_off", "http.request"]


async def test_a_request_writes_one_access_line_without_its_query(client: httpx.AsyncClient, log: io.StringIO) -> None:
    await client.get("/v1/notes/7/?refresh_token=hunter2", headers={"X-Request-Id": "request-0001"})

    (line,) = lines_of(log)
    assert line["event"] == "http.request"
    assert line["method"] == "GET"
    assert line["route"] == "/notes/{note_id}"
    assert line["status"] == 200
    assert line["bytes"] == len(b'{"id":"7"}')
    assert line["request_id"] == "request-0001"
    assert "took_ms" in line
    assert "hunter2" not in log.getvalue()


async def test_a_forged_line_stays_inside_its_field(client: httpx.AsyncClient, log: io.StringIO) -> None:
    await client.get("/nowhere%0A%7B%22event%22:%22forged%22%7D%E2%80%A8%1B[31m")
    await client.post("/api/deprecation-notice", params={"feature": 'x\n{"event":"forged"}', "version": "1.0.0"})

    lines = lines_of(log)
    assert [line["event"] for line in lines] == ["http.request", "api.deprecation_notice", "http.request"]
    assert "\u2028" not in log.getvalue()
    assert lines[1]["feature"] == 'x\n{"event":"forged"}'


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/v1/docs/"])
async def test_the_documentation_loads_nothing_from_elsewhere(client: httpx.AsyncClient, page: str) -> None:
    response = await client.get(page)

    assert response.status_code == 200
    assert "//" not in response.text
    assert "unsafe-inline" not in response.headers["content-security-policy"].partition("style-src")[0]
    assert "<script>" not in response.text
    loaded = [part.split('"')[0] for part in response.text.split('src="')[1:]]
    loaded += [part.split('"')[0] for part in response.text.split('<link rel="stylesheet" href="')[1:]]
    assert len(loaded) >= 2
    for address in loaded:
        asset = await client.get(address)
        assert asset.status_code == 200, address
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["content-type"].split(";")[0] in {"text/javascript", "text/css"}


@pytest.mark.parametrize("name", ["LICENSE", "..%2FREADME.md", "swagger-ui-bundle.js.map"])
async def test_only_the_listed_assets_are_served(client: httpx.AsyncClient, name: str) -> None:
    assert_problem(await client.get(f"/docs/assets/{name}"), 404, "NOT_FOUND")


async def test_the_documentation_can_be_turned_off(make_app: MakeApp) -> None:
    server = SETTINGS.server.model_copy(update={"docs": False})
    async with client_of(make_app(settings=SETTINGS.model_copy(update={"server": server}))) as client:
        statuses = {path: (await client.get(path)).status_code for path in ("/docs", "/redoc", "/openapi.json")}

    assert set(statuses.values()) == {404}


def test_the_vendored_assets_come_with_their_licences() -> None:
    for name in ("swagger-ui/LICENSE", "redoc/LICENSE", "README.md"):
        assert (vendor_directory() / name).is_file()


async def test_health_is_503_with_its_reason_while_the_database_is_away(make_app: MakeApp) -> None:
    async with client_of(make_app(database_service=WellDatabase("The database did not answer."))) as client:
        answers = {
            path: await client.get(path)
            for path in (
                "/health",
                "/health-simple",
                "/health/database",
                "/health/ready",
                "/system/health",
                "/health/live",
            )
        }

    assert answers.pop("/health/live").status_code == 200
    for path, response in answers.items():
        assert response.status_code == 503, path
    assert answers["/health"].json()["status"] == "unhealthy"
    assert answers["/health"].json()["database"]["error"] == "The database did not answer."


async def test_health_answers_while_all_is_well(client: httpx.AsyncClient) -> None:
    health = (await client.get("/health")).json()
    simple = (await client.get("/health-simple")).json()
    platform = (await client.get("/system/health")).json()

    assert health["status"] == "healthy"
    assert health["version"] == "1.0.0"
    assert health["database"]["type"] == "sqlite"
    assert {simple[name] for name in ("active_users", "total_vms", "running_vms")} == {0}
    assert platform["status"] == "idle"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/database/statistics"),
        ("POST", "/health/database/optimize"),
        ("POST", "/health/database/migrations"),
        ("POST", "/health/cleanup"),
    ],
)
async def test_upkeep_is_for_administrators(client: httpx.AsyncClient, method: str, path: str) -> None:
    nobody = await client.request(method, path)
    user = await client.request(method, path, headers={"X-Role": "user"})
    admin = await client.request(method, path, headers={"X-Role": "admin"})

    assert_problem(nobody, 401, "AUTHENTICATION_ERROR")
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert_problem(user, 403, "AUTHORIZATION_ERROR")
    assert admin.status_code == 200, admin.text


async def test_cleanup_bounds_its_retention(client: httpx.AsyncClient) -> None:
    headers = {"X-Role": "admin"}

    done = await client.post("/health/cleanup?retention_days=30", headers=headers)
    refused = await client.post("/health/cleanup?retention_days=29", headers=headers)

    assert done.json()["data"] == {"retention_days": 30, "total": 30, "deleted": {"vm_metrics": 30}}
    assert_problem(refused, 400, "VALIDATION_ERROR")


async def test_records_of_health_are_an_array(client: httpx.AsyncClient) -> None:
    response = await client.get("/health/system?component=database&hours=168", headers={"X-Role": "user"})

    assert response.json() == []


async def test_versions_are_told_and_unknown_ones_are_404(client: httpx.AsyncClient) -> None:
    current = (await client.get("/api/version")).json()
    every = (await client.get("/api/versions")).json()
    one = (await client.get("/api/version/1.0.0")).json()
    same = (await client.get("/api/compatibility?from_version=1.0.0&to_version=1.0.0")).json()
    changes = (await client.get("/api/changelog?limit=1")).json()
    unknown = assert_problem(await client.get("/api/version/9"), 404, "NOT_FOUND")

    assert (current["current_version"], current["api_status"], current["release_date"]) == (
        "1.0.0",
        "stable",
        "2024-01-15",
    )
    assert list(every["versions"]) == ["1.0.0"]
    assert one["is_current"]
    assert one["is_supported"]
    assert same["compatible"]
    assert not same["migration_required"]
    assert changes["changelog"][0]["version"] == "1.0.0"
    assert unknown["details"] == {"available_versions": ["1.0.0"]}


def _pass_on(app: ASGIApp) -> ASGIApp:
    async def passing(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return passing


def _raising(error: Exception) -> Callable[[ASGIApp], ASGIApp]:
    def wrap(_app: ASGIApp) -> ASGIApp:
        async def raising(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        return raising

    return wrap


def _as_middleware(wrap: Callable[[ASGIApp], ASGIApp]) -> Any:

    return Middleware(wrap)


def _post_scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/notes",
        "raw_path": b"/notes",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")],
        "client": ("192.0.2.1", 1),
        "server": ("zentry", 80),
    }


def _collect(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


class _Whole:
    """A body that arrives in one piece; then the client waits."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> Message:
        if self._body is None:
            return await _Never()()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


class _Never:
    """A body that never arrives."""

    async def __call__(self) -> Message:

        await asyncio.Event().wait()
        raise AssertionError


class _Slow:
    """A body of which nearly all arrives, and then nothing."""

    def __init__(self, piece: bytes) -> None:
        self._piece: bytes | None = piece

    async def __call__(self) -> Message:
        if self._piece is None:
            return await _Never()()
        piece, self._piece = self._piece, None
        return {"type": "http.request", "body": piece, "more_body": True}


def _running(coroutines: Iterator[Any]) -> AbstractAsyncContextManager[None]:

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return running()


async def _until(condition: Callable[[], bool]) -> None:

    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is waited for is an answer, which sets no event
            await asyncio.sleep(0.01)
