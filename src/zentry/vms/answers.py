"""How a lifecycle call answers: after the commit it waits a moment, then tells what is true."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request, Response
from pydantic import JsonValue

from zentry.operations.types import Operation
from zentry.operations.waiting import OperationWaiter
from zentry.platform.clock import Clock
from zentry.platform.errors import InvalidInput
from zentry.platform.wire import APIResponse
from zentry.schema.operations import OperationStatus

MAX_WAIT_SECONDS: Final = 30.0
_WAIT: Final = re.compile(r"wait=(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Preference:
    """What the client prefers (RFC 7240): not to wait, or how long."""

    respond_async: bool = False
    wait_seconds: float | None = None


def parse_preference(header: str | None) -> Preference:
    """Return what a Prefer header says; preferences that we do not know are passed over."""
    if header is None:
        return Preference()
    words = [word.strip().lower() for word in header.split(",")]
    wait: float | None = None
    for word in words:
        if word.startswith("wait"):
            match = _WAIT.fullmatch(word.replace(" ", ""))
            if match is None:
                raise InvalidInput.at("Prefer", "Send wait=SECONDS with whole seconds, at most 30.")
            wait = min(MAX_WAIT_SECONDS, float(match[1]))
    return Preference(respond_async="respond-async" in words, wait_seconds=wait)


class Waiting:
    """Waits for one request's operation, as the settings and the client say."""

    def __init__(
        self, waiter: OperationWaiter, clock: Clock, *, default_seconds: float, preference: Preference
    ) -> None:
        self._waiter = waiter
        self._clock = clock
        self._preference = preference
        self._seconds = default_seconds if preference.wait_seconds is None else preference.wait_seconds

    @property
    def respond_async(self) -> bool:
        """Tell whether the client wants a 202 at once."""
        return self._preference.respond_async

    async def for_end(self, operation: Operation) -> Operation:
        """Wait for the operation to end, as long as is wanted; return it as it is then."""
        if self.respond_async:
            return operation
        return await self._waiter.wait(operation.id, seconds=self._seconds) or operation

    async def answer(self, operation: Operation, response: Response, *, done: str, underway: str) -> APIResponse:
        """Return the answer of a power call; `success` is false only when the operation has failed."""
        if self.respond_async:
            response.status_code = 202
        response.headers["Vary"] = "Prefer"
        now_is = await self.for_end(operation)
        data: dict[str, JsonValue] = {
            "vm_id": str(now_is.vm_id),
            "operation_id": str(now_is.id),
            "operation_status": str(now_is.status),
        }
        if now_is.status is OperationStatus.FAILED:
            text = now_is.error_message or "The operation failed."
            return APIResponse(success=False, message=text, data=data, errors=[text], timestamp=self._clock.now())
        message = done if now_is.status is OperationStatus.SUCCEEDED else underway
        return APIResponse(success=True, message=message, data=data, timestamp=self._clock.now())


@dataclass(frozen=True, slots=True)
class WaitingFactory:
    """Builds a request's `Waiting`; the entry point puts one on the application."""

    waiter: OperationWaiter
    clock: Clock
    default_seconds: float

    def build(self, preference: Preference) -> Waiting:
        """Return the waiting of one request."""
        return Waiting(self.waiter, self.clock, default_seconds=self.default_seconds, preference=preference)


async def _waiting(
    request: Request,
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            max_length=200,
            description="`wait=SECONDS` (at most 30) or `respond-async` (RFC 7240).",
            examples=["wait=5"],
        ),
    ] = None,
) -> Waiting:
    factory = cast("WaitingFactory", request.app.state.waiting)
    return factory.build(parse_preference(prefer))


WaitDep = Annotated[Waiting, Depends(_waiting)]
