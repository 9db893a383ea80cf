"""What every router shares: the unit of work at the edge, who asks, and answers as bytes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, TypeVar, cast

import msgspec
from fastapi import Depends, Header, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.responses import Response

from zentry.platform.caller import Caller
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.errors import NotAllowed, NotAuthenticated, ZentryError
from zentry.platform.etags import Precondition, parse_if_match
from zentry.platform.scopes import ensure_scope
from zentry.platform.sealing import Sealer

Service = TypeVar("Service")
Factories = Mapping[type[Any], Callable[[Transaction], Any]]


class _NothingRemains(Exception):
    """Takes back a unit of work."""


class Edge:
    """Where requests open their unit of work and build the service that runs inside it."""

    def __init__(self, database: Database, factories: Factories) -> None:
        self._database = database
        self._factories = factories

    def work(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a unit of work that commits at the end of the block."""
        return self._database.work()

    @contextlib.asynccontextmanager
    async def rehearse(self) -> AsyncIterator[Transaction]:
        """Open a unit of work of which nothing remains: what would be refused is refused."""
        with contextlib.suppress(_NothingRemains):
            async with self._database.work() as tx:
                yield tx
                raise _NothingRemains

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a connection for looking only."""
        return self._database.read()

    def service(self, kind: type[Service], tx: Transaction) -> Service:
        """Build a domain's service inside a transaction; the entry point said how."""
        return cast("Service", self._factories[kind](tx))


async def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


ClockDep = Annotated[Clock, Depends(_clock)]


async def _edge(request: Request) -> Edge:
    return cast("Edge", request.app.state.edge)


EdgeDep = Annotated[Edge, Depends(_edge)]


class BearerScheme(SecurityBase):
    """Gives a route its caller, and the OpenAPI document its lock."""

    def __init__(self) -> None:
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="The `access_token` of sign-up or login, or a personal access token: "
            "`Authorization: Bearer <token>`.",
        )
        self.scheme_name = "BearerAuth"

    async def __call__(self, request: Request) -> Caller:
        """Return who asks, as the authentication middleware found out, or raise."""
        caller = request.scope.get("zentry.caller")
        if isinstance(caller, Caller):
            if caller.scopes is not None:
                ensure_scope(
                    caller.scopes,
                    is_limited=caller.only is not None,
                    method=request.method,
                    path=request.scope["route"].path,
                )
            return caller
        if isinstance(caller, ZentryError):
            raise caller
        raise NotAuthenticated("Send an access token: Authorization: Bearer <token>.")


bearer = BearerScheme()
CallerDep = Annotated[Caller, Depends(bearer)]


async def _admin(caller: CallerDep) -> Caller:
    if not caller.is_admin:
        raise NotAllowed("Only an administrator may do this.")
    return caller


AdminDep = Annotated[Caller, Depends(_admin)]


async def _sealer(request: Request) -> Sealer:
    return cast("Sealer", request.app.state.sealer)


SealerDep = Annotated[Sealer, Depends(_sealer)]


_encode = msgspec.json.Encoder().encode


async def _match(
    header: Annotated[
        str | None,
        Header(
            alias="If-Match",
            max_length=1000,
            description="`ETag` of the version that is meant; 412 when it is another by now.",
            examples=["*"],
        ),
    ] = None,
) -> Precondition:
    return parse_if_match(header)


MatchDep = Annotated[Precondition, Depends(_match)]

WITH_ETAG: Final[dict[str, Any]] = {
    "headers": {
        "ETag": {
            "description": "Names this version; send it as `If-Match` with a change.",
            "schema": {"type": "string"},
        }
    }
}
"""For the `responses` of a route that shows a single resource."""


class JSONBytes(Response):
    """A JSON answer rendered by msgspec, for routes where the time of a response model shows."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode plain data, structs, dataclasses, times and ids."""
        return _encode(content)


def raises(*errors: type[ZentryError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may raise these errors, for the OpenAPI document."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = by_status.setdefault(error.status, {"description": "", "model": None, "codes": []})
        entry["codes"].append((error.code, (error.__doc__ or "").splitlines()[0]))
    return {status: _documented(entry["codes"]) for status, entry in by_status.items()}


def _documented(codes: list[tuple[str, str]]) -> dict[str, Any]:
    text = "; ".join(f"`{code}`: {sentence}" for code, sentence in codes)
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
    }
