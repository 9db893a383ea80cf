"""Makes deliveries of events, and attempts of deliveries.

A delivery is a row from the moment its event is seen; the cursor moves in the same transaction, so
each event becomes one delivery for each endpoint, whoever dies. An attempt is claimed with a lease,
posted with no transaction open, and recorded; a worker that dies in between leaves a lease behind,
and the attempt is made again: at least once, always under the same id.

Of one resource the earliest delivery that is pending is the only one that is due, so the events of
a resource arrive in order as long as they are taken. One that waits for its next attempt holds back
what came after it; one that is dead does not.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Counts
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Final
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Counter, Histogram

from zentry.events.reading import LogReader
from zentry.events.recorder import EventRecorder
from zentry.events.types import LoggedEvent
from zentry.platform.clock import Clock
from zentry.platform.db import Database, Transaction
from zentry.platform.sealing import Sealer, Unreadable
from zentry.platform.settings import WebhookSettings
from zentry.platform.signals import EVENTS_LOGGED, WEBHOOKS_DUE, Signals
from zentry.platform.tasks import Stop
from zentry.webhooks.repository import DeliveryRepository, EndpointRepository
from zentry.webhooks.sender import Sender
from zentry.webhooks.signing import sign
from zentry.webhooks.types import Delivery, Endpoint, Posted

_log = structlog.get_logger(__name__)

POSTS: Final = Counter("zentry_webhook_posts_total", "Attempts to post an event.", ["outcome"])
POST_SECONDS: Final = Histogram("zentry_webhook_post_seconds", "Time that receivers took.")
_BATCH: Final = 500
_CANDIDATES: Final = 200
_SWEEP: Final = 1000
_PATIENT_FAILURES: Final = 5
_MOST_PAUSE_SECONDS: Final = 900.0
_JITTER: Final = 0.2
_GONE: Final = 410


class WebhookDeliverer:
    """One worker's share of the posts."""

    def __init__(
        self,
        *,
        database: Database,
        settings: WebhookSettings,
        clock: Clock,
        random: Random,
        signals: Signals,
        sealer: Sealer,
        sender: Sender,
        owner: str,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._random = random
        self._signals = signals
        self._sealer = sealer
        self._sender = sender
        self._owner = owner
        self._under_way: dict[asyncio.Task[None], UUID] = {}

    async def close(self) -> None:
        """Let go of connections."""
        await self._sender.close()

    async def run(self, stop: Stop) -> None:
        """Work until told to stop, then finish the posts that are under way."""
        with self._signals.listen(EVENTS_LOGGED) as logged, self._signals.listen(WEBHOOKS_DUE) as due:
            while not stop.is_set():
                try:
                    await self.match()
                    claimed = await self._claim()
                except Exception:  # noqa: BLE001 - a process edge: the next tick is the retry
                    _log.exception("webhooks.tick_failed")
                    claimed = []
                for delivery in claimed:
                    self._start(delivery)
                if not claimed or len(self._under_way) >= self._settings.concurrency:
                    poll = self._settings.poll_seconds
                    await stop.pause(logged.wait(poll), due.wait(poll))
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._settings.timeout_seconds)

    async def run_once(self) -> int:
        """Make deliveries of what is logged and one attempt of each that is due; return how many."""
        await self.match()
        claimed = await self._claim()
        for delivery in claimed:
            await self._attempt(delivery)
        return len(claimed)

    async def match(self) -> int:
        """Make deliveries of the events that were logged since the last time; return how many events."""
        seen = 0
        while True:
            async with self._database.read() as tx:
                newest = (await LogReader(tx).get_bounds()).newest
                if not await DeliveryRepository(tx).is_behind(newest):
                    return seen
            async with self._database.work() as tx:
                batch = await _match(tx)
            seen += batch
            if batch < _BATCH:
                return seen

    async def claim(self) -> Sequence[Delivery]:
        """Claim what is due without posting it, as a worker that dies right afterwards does."""
        return await self._claim()

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._attempt(delivery), name=f"webhook {delivery.id}")
        self._under_way[task] = delivery.endpoint_id

        def ended(task: asyncio.Task[None]) -> None:
            del self._under_way[task]
            self._signals.poke(WEBHOOKS_DUE)

        task.add_done_callback(ended)

    async def _claim(self) -> list[Delivery]:
        busy = Counts(self._under_way.values())
        free = self._settings.concurrency - len(self._under_way)
        most = self._settings.concurrency_per_webhook
        if free <= 0:
            return []
        full = {endpoint_id for endpoint_id, count in busy.items() if count >= most}
        async with self._database.read() as tx:
            due = await DeliveryRepository(tx).list_due(leaving_out=full, most=_CANDIDATES)
        chosen: list[UUID] = []
        for delivery_id, endpoint_id in due:
            if busy[endpoint_id] < most and len(chosen) < free:
                busy[endpoint_id] += 1
                chosen.append(delivery_id)
        if not chosen:
            return []
        claimed = []
        async with self._database.work() as tx:
            deliveries = DeliveryRepository(tx)
            lease_until = tx.now + timedelta(seconds=self._settings.lease_seconds)
            for delivery_id in chosen:
                delivery = await deliveries.claim(delivery_id, owner=self._owner, lease_until=lease_until)
                if delivery is not None:
                    claimed.append(delivery)
        return claimed

    async def _attempt(self, delivery: Delivery) -> None:
        """Post a claimed delivery and record what came of it; trouble leaves the lease, and so another attempt."""
        try:
            async with self._database.read() as tx:
                endpoint = await EndpointRepository(tx).get(delivery.endpoint_id)
                event = None if delivery.position is None else await LogReader(tx).find(delivery.position)
            if endpoint is None:
                return  # Deleted, and its deliveries with it.
            posted = await self._post(endpoint, delivery, event)
            POSTS.labels("taken" if posted.is_taken else "failed").inc()
            POST_SECONDS.observe(posted.took_ms / 1000)
            async with self._database.work() as tx:
                await self._record(tx, delivery, posted)
        except Exception:  # noqa: BLE001 - a process edge: the lease runs out, and the attempt is made again
            _log.exception("webhooks.attempt_failed", delivery_id=str(delivery.id))

    async def _post(self, endpoint: Endpoint, delivery: Delivery, event: LoggedEvent | None) -> Posted:
        now = self._clock.now()
        if delivery.position is not None and event is None:
            return Posted(None, "The event is no longer kept.", took_ms=0)
        body = msgspec.json.encode(
            {
                "type": delivery.kind,
                "timestamp": delivery.created_at if event is None else event.created_at,
                "data": {"webhook_id": endpoint.id} if event is None else event,
            }
        )
        try:
            secrets = [self._sealer.unseal(sealed, owner=endpoint.id) for sealed in endpoint.secrets_at(now)]
        except Unreadable:
            return Posted(None, "The secret cannot be read: rotate it.", took_ms=0)
        headers = sign(secrets, message_id=str(delivery.id), timestamp=int(now.timestamp()), body=body)
        return await self._sender.post(endpoint.url, body, headers)

    async def _record(self, tx: Transaction, delivery: Delivery, posted: Posted) -> None:
        pauses = self._settings.retry_seconds
        retry_at = None
        if delivery.attempts <= len(pauses):
            pause = pauses[delivery.attempts - 1] * (1 + _JITTER * self._random.random())
            retry_at = tx.now + timedelta(seconds=pause)
        if not await DeliveryRepository(tx).record(delivery, posted, retry_at=retry_at):
            return
        endpoints = EndpointRepository(tx)
        endpoint = await endpoints.get(delivery.endpoint_id)
        if endpoint is None:
            return
        if posted.is_taken:
            if endpoint.failures:
                await endpoints.update(endpoint.id, failures=0, failing_since=None, retry_at=None)
            return
        await self._note_failure(tx, endpoint, posted)

    async def _note_failure(self, tx: Transaction, endpoint: Endpoint, posted: Posted) -> None:
        """Leave an endpoint alone for a while that fails again and again, and for good that has failed for days."""
        endpoints = EndpointRepository(tx)
        failures, since = endpoint.failures + 1, endpoint.failing_since or tx.now
        pause = None
        if failures >= _PATIENT_FAILURES:
            seconds = min(_MOST_PAUSE_SECONDS, 2.0 ** (failures - _PATIENT_FAILURES))
            pause = tx.now + timedelta(seconds=seconds)
        await endpoints.update(endpoint.id, failures=failures, failing_since=since, retry_at=pause)
        is_over = tx.now - since >= timedelta(days=self._settings.disable_after_days)
        if not is_over and posted.status != _GONE:
            return
        reason = "gone" if posted.status == _GONE else "failing"
        if await endpoints.disable(endpoint.id, reason=reason):
            await EventRecorder(tx).record(
                "webhook.disabled",
                resource_type="webhook",
                resource_id=endpoint.id,
                user_id=endpoint.user_id,
                project_id=endpoint.project_id,
                cause="webhooks",
                data={"reason": reason, "failing_since": since.isoformat()},
            )


async def _match(tx: Transaction) -> int:
    """Make deliveries of the next events, and move the cursor; 0 where there are none, or another does it."""
    deliveries = DeliveryRepository(tx)
    position = await deliveries.lock_cursor()
    if position is None:
        return 0
    events = await LogReader(tx).list_all_after(position, most=_BATCH)
    if not events:
        return 0
    endpoints = await EndpointRepository(tx).list_for(
        users={event.user_id for event in events if event.user_id is not None},
        projects={event.project_id for event in events if event.project_id is not None},
    )
    rows = [
        deliveries.of_event(endpoint.id, event)
        for event in events
        for endpoint in endpoints
        if _is_wanted(endpoint, event)
    ]
    await deliveries.insert(rows)
    await deliveries.move_cursor(events[-1].position)
    if rows:
        tx.after_commit(WEBHOOKS_DUE)
    return len(events)


def _is_wanted(endpoint: Endpoint, event: LoggedEvent) -> bool:
    if endpoint.project_id is None:
        is_in_scope = event.user_id == endpoint.user_id
    else:
        is_in_scope = event.project_id == endpoint.project_id
    return is_in_scope and (not endpoint.kinds or event.kind.startswith(tuple(endpoint.kinds)))


async def sweep_deliveries(tx: Transaction, settings: WebhookSettings) -> int:
    """Forget old deliveries that have ended; return how many."""
    return await DeliveryRepository(tx).forget(before=tx.now - timedelta(days=settings.keep_days), most=_SWEEP)
