"""What a route takes so that a write can be repeated: the `Idempotency-Key` of its request.

    async with edge.work() as tx:
        project_id = await once.resource(tx, lambda: edge.service(ProjectService, tx).create_project(...))
    response.headers.update(once.headers)

The first request with a key has its effect; later ones find what it brought about, and the route
shows that as it is now. What takes effect is counted against the rate limit of changes, in the
transaction of the effect: a refusal and a repeat count for nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final, TypeVar, cast
from uuid import UUID

from fastapi import Depends, Header, Request

from zentry.operations.idempotency import KEY_PATTERN, IdempotencyKey, IdempotencyStore, idempotency_key
from zentry.operations.queue import OperationQueue
from zentry.operations.types import Operation
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.web import CallerDep

REPLAYED: Final = "Idempotency-Replayed"

Asked = TypeVar("Asked", bound=Operation | None)
Count = Callable[[Transaction], Awaitable[None]]
"""Counts one change against a limit, or raises."""
CountWrite = Callable[[Any, Caller, Transaction], Awaitable[None]]
"""The same for the request of a scope and a caller."""


class Once:
    """One request's key, and whether its effect was there already."""

    def __init__(self, key: IdempotencyKey | None = None, *, count: Count | None = None) -> None:
        self._key = key
        self._count = count
        self.replayed = False

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says about the key."""
        return {REPLAYED: "true"} if self.replayed else {}

    async def resource(self, tx: Transaction, effect: Callable[[], Awaitable[UUID]]) -> UUID:
        """Have the effect once; return the id of the resource that it has made or changed."""
        replay = await IdempotencyStore(tx).find_or_begin(self._key)
        if replay is None:
            await self._counted(tx)
            resource_id = await effect()
            await IdempotencyStore(tx).complete(self._key, resource_id=resource_id, operation_id=None)
            return resource_id
        self.replayed = True
        assert replay.resource_id is not None, "a completed key names its resource"
        return replay.resource_id

    async def operation(self, tx: Transaction, effect: Callable[[], Awaitable[Asked]]) -> Asked:
        """Have the effect once; return the operation that it has asked for, as it is now."""
        replay = await IdempotencyStore(tx).find_or_begin(self._key)
        if replay is None:
            await self._counted(tx)
            operation = await effect()
            if operation is not None:
                await IdempotencyStore(tx).complete(self._key, resource_id=operation.vm_id, operation_id=operation.id)
            return operation
        self.replayed = True
        found = None if replay.operation_id is None else await OperationQueue(tx).find(replay.operation_id)
        return cast("Asked", found)

    async def _counted(self, tx: Transaction) -> None:
        if self._count is not None:
            await self._count(tx)


async def _once(
    request: Request,
    caller: CallerDep,
    header: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            pattern=KEY_PATTERN,
            description="Makes a repeat safe: the same key has one effect, for 24 hours.",
            examples=["b1946ac9-2492-4d23-8a4c-5c0e3f2a7d11"],
        ),
    ] = None,
) -> Once:
    count = partial(cast("CountWrite", request.app.state.count_write), request.scope, caller)
    if header is None:
        return Once(count=count)
    route = f"{request.method} {request.scope['route'].path}"
    content = request.url.path.encode() + b"\n" + await request.body()
    return Once(idempotency_key(caller.user_id, route=route, header=header, content=content), count=count)


OnceDep = Annotated[Once, Depends(_once)]
