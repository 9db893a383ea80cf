"""Accounts alone behind a small application: real database, real hashes, a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, cast
from uuid import UUID

import httpx
import sqlalchemy as sa
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from zentry.accounts.addresses import parse_networks
from zentry.accounts.letters import AccountLetters
from zentry.accounts.limits import SigninLimiter, WriteLimiter
from zentry.accounts.limits_middleware import RateLimitMiddleware
from zentry.accounts.middleware import AuthenticationMiddleware, Authenticator
from zentry.accounts.passwords import PasswordHasher
from zentry.accounts.proof import PasswordProof
from zentry.accounts.router import router
from zentry.accounts.service import AuthService
from zentry.accounts.tokens import AccessTokens, SystemSecrets
from zentry.accounts.types import Client, OnSignup
from zentry.platform.clock import ManualClock
from zentry.platform.db import Database, Transaction
from zentry.platform.errors import InvalidInput, ZentryError
from zentry.platform.sealing import Sealer
from zentry.platform.settings import DatabaseSettings, LimitSettings, SecuritySettings, ServerSettings
from zentry.platform.signals import Signals
from zentry.schema.accounts import users

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SIGNING_KEY = "a key of the tests, long enough to sign with"
PASSWORD = "correct horse battery"
ADA = {"email": "ada@example.com", "name": "Ada Lovelace", "password": PASSWORD}
HOME = Client(address="192.0.2.7", user_agent="tests")

SEALER = Sealer(SIGNING_KEY)
FAST = SecuritySettings(bcrypt_cost=4, token_cache_seconds=1.0)
NO_LIMITS = LimitSettings(signin_per_minute=0, writes_per_minute=0, reads_per_minute=0, anonymous_per_minute=0)


@dataclass
class World:
    """What a test of accounts needs."""

    clock: ManualClock
    database: Database
    hasher: PasswordHasher
    tokens: AccessTokens
    security: SecuritySettings
    limits: LimitSettings
    signals: Signals
    hooks: list[OnSignup] = field(default_factory=list)
    _client: httpx.AsyncClient | None = None

    @property
    def auth(self) -> AuthService:
        return AuthService(
            self.database,
            settings=self.security,
            hasher=self.hasher,
            tokens=self.tokens,
            secrets=SystemSecrets(),
            limiter=SigninLimiter(self.database, self.limits),
            proofs=PasswordProof(self.database, hasher=self.hasher, tokens=self.tokens, settings=self.security),
            letters=AccountLetters(server=ServerSettings(), sealer=SEALER, secrets=SystemSecrets()),
            sealer=SEALER,
            wall_clock=self.clock,
            on_signup=[self._grant, *self.hooks],
        )

    @property
    def client(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = httpx.ASGITransport(app=self.app(), client=(HOME.address, 4711))
            self._client = httpx.AsyncClient(transport=transport, base_url="http://zentry.test")
        return self._client

    def app(self) -> Any:
        app = FastAPI()
        app.include_router(router)
        app.state.auth = self.auth
        proxies = parse_networks(self.security.trusted_proxies)
        app.state.trusted_proxies = proxies
        app.state.count_write = WriteLimiter(self.limits).count

        @app.get("/public")
        async def public() -> str:
            return "open to all"

        @app.exception_handler(ZentryError)
        async def refuse(request: Request, error: ZentryError) -> JSONResponse:
            return JSONResponse(_envelope(error), status_code=error.status, headers=error.headers)

        @app.exception_handler(RequestValidationError)
        async def refuse_shape(request: Request, _: RequestValidationError) -> JSONResponse:
            return await refuse(request, InvalidInput.at("", "does not fit"))

        limited = RateLimitMiddleware(
            app, settings=self.limits, clock=self.clock, trusted_proxies=proxies, render_error=_render
        )
        return AuthenticationMiddleware(limited, self.authenticator())

    def authenticator(
        self, kind: type[Authenticator] = Authenticator, *, signals: Signals | None = None
    ) -> Authenticator:
        """Return one of this process, or of another one that hears other signals."""
        return kind(
            self.database,
            tokens=self.tokens,
            clock=self.clock,
            settings=self.security,
            signals=signals or self.signals,
        )

    async def scalar(self, statement: sa.Select[Any]) -> Any:
        async with self.database.read() as tx:
            return (await tx.execute(statement)).scalar_one()

    async def scalars(self, statement: sa.Select[Any]) -> list[Any]:
        async with self.database.read() as tx:
            return list((await tx.execute(statement)).scalars())

    async def change(self, statement: sa.Executable) -> None:
        async with self.database.work() as tx:
            await tx.execute(statement)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        self.hasher.close()
        await self.database.close()

    async def _grant(self, tx: Transaction, user_id: UUID) -> None:
        """Stand for billing, which grants the welcome credit in the same transaction."""
        await tx.execute(sa.update(users).where(users.c.id == user_id).values(credits=50_000_000))


@asynccontextmanager
async def open_world(
    url: str, *, security: SecuritySettings = FAST, limits: LimitSettings = NO_LIMITS
) -> AsyncIterator[World]:
    """Open a world on a migrated database."""
    clock = ManualClock(START)
    settings = DatabaseSettings(url=url)
    signals = Signals()
    database = Database(settings, clock=clock, random=Random(1), signals=signals)
    tokens = AccessTokens(SIGNING_KEY, clock=clock, life_seconds=security.access_token_seconds)
    world = World(clock, database, PasswordHasher(security), tokens, security, limits, signals)
    try:
        yield world
    finally:
        await world.close()


def bearer(answer: httpx.Response | str) -> dict[str, str]:
    token = answer if isinstance(answer, str) else cast("str", answer.json()["access_token"])
    return {"Authorization": f"Bearer {token}"}


def _envelope(error: ZentryError) -> dict[str, Any]:
    return {"error_code": error.code, "detail": error.message, "details": error.details}


def _render(_: Any, error: ZentryError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    headers = [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    return error.status, headers, json.dumps(_envelope(error)).encode()
