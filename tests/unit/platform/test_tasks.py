"""Loops that pause until they are told to stop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import pytest

from zentry.platform.tasks import Stop


class _GoneWrongError(Exception):
    pass


async def _raise(error: Exception) -> None:
    raise error


async def _soon() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("waits", [1, 2])
async def test_a_pause_ends_when_everybody_is_told_to_stop(waits: int) -> None:
    stop = Stop()
    loops = [asyncio.create_task(stop.pause(*(asyncio.sleep(3600) for _ in range(waits)))) for _ in range(3)]
    await _soon()

    stop.set()
    stop.set()

    async with asyncio.timeout(5):
        await asyncio.gather(*loops)


async def test_a_pause_ends_with_the_first_that_it_waits_for() -> None:
    stop = Stop()

    async with asyncio.timeout(5):
        await stop.pause(_soon())
        await stop.pause(asyncio.sleep(3600), _soon())

    assert not stop.is_set()


@pytest.mark.parametrize("error", [_GoneWrongError(), TimeoutError()])
async def test_what_is_waited_for_may_raise(error: Exception) -> None:
    with pytest.raises(type(error)):
        await Stop().pause(_raise(error))


async def test_after_the_word_nothing_is_begun() -> None:
    stop = Stop()
    stop.set()
    begun: list[Coroutine[Any, Any, None]] = [_raise(_GoneWrongError()), _raise(_GoneWrongError())]

    await stop.pause(*begun)

    assert {inspect.getcoroutinestate(coroutine) for coroutine in begun} == {inspect.CORO_CLOSED}


async def test_a_loop_that_is_cancelled_in_a_pause_ends_as_cancelled() -> None:
    stop = Stop()
    loop = asyncio.create_task(stop.pause(asyncio.sleep(3600)))
    await _soon()

    loop.cancel()

    with pytest.raises(asyncio.CancelledError):
        await loop
    stop.set()
