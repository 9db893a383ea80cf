"""The rules of webhooks. Runs inside the caller's transaction and never commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from zentry.billing.service import BillingService
from zentry.events.changes import changes_of
from zentry.events.recorder import EventRecorder
from zentry.platform.caller import Caller
from zentry.platform.db import Transaction
from zentry.platform.sealing import Sealer
from zentry.platform.settings import Settings
from zentry.platform.signals import WEBHOOKS_DUE
from zentry.projects.service import ProjectService
from zentry.schema.webhooks import DeliveryStatus, EndpointStatus
from zentry.webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from zentry.webhooks.repository import DeliveryRepository, EndpointRepository
from zentry.webhooks.signing import KEY_BYTES, secret_text
from zentry.webhooks.targets import parse_target
from zentry.webhooks.types import Attempt, Changes, Delivery, Endpoint

PING: Final = "webhook.ping"
NewKey = Callable[[int], bytes]


async def forget_webhooks(tx: Transaction, user_id: UUID) -> None:
    """Remove the webhooks of an account that is deleted."""
    await EndpointRepository(tx).delete_all(user_id)


class WebhookService:
    """Endpoints of an account, and what was posted to them."""

    def __init__(
        self, tx: Transaction, *, settings: Settings, sealer: Sealer, new_key: NewKey, projects: ProjectService
    ) -> None:
        self._tx = tx
        self._settings = settings.webhooks
        self._sealer = sealer
        self._new_key = new_key
        self._projects = projects
        self._billing = BillingService(tx, settings.billing)
        self._endpoints = EndpointRepository(tx)
        self._deliveries = DeliveryRepository(tx)
        self._events = EventRecorder(tx)

    async def list_webhooks(self, *, caller: Caller) -> Sequence[Endpoint]:
        """Return the caller's webhooks, the newest first."""
        return await self._endpoints.list_of(caller.user_id)

    async def get_webhook(self, webhook_id: UUID | None, *, caller: Caller) -> Endpoint:
        """Return a webhook of the caller, or raise `WebhookNotFound`."""
        found = None if webhook_id is None else await self._endpoints.find(webhook_id, user_id=caller.user_id)
        if found is None:
            raise WebhookNotFound
        return found

    def secret_of(self, webhook: Endpoint) -> str:
        """Return the secret that signs."""
        return self._sealer.unseal(webhook.secret, owner=webhook.id)

    async def add_webhook(
        self,
        *,
        url: str,
        kinds: Sequence[str],
        description: str,
        project_id: UUID | None,
        caller: Caller,
    ) -> UUID:
        """Post events of the account, or of one project, from now on."""
        parse_target(url, self._settings)
        if project_id is not None:
            await self._projects.get_project(project_id, caller=caller)
        await self._billing.lock_account(caller.user_id)  # The count holds for whoever comes next.
        if len(await self._endpoints.list_of(caller.user_id)) >= self._settings.webhooks_per_account:
            raise TooManyWebhooks(self._settings.webhooks_per_account)
        webhook_id = self._tx.new_id()
        await self._endpoints.insert(
            {
                "id": webhook_id,
                "user_id": caller.user_id,
                "project_id": project_id,
                "url": url,
                "description": description,
                "kinds": list(kinds),
                "secret": self._new_secret(webhook_id),
                "created_at": self._tx.now,
                "updated_at": self._tx.now,
            }
        )
        await self._record("webhook.added", webhook_id, project_id, caller=caller)
        return webhook_id

    async def change_webhook(self, webhook_id: UUID | None, changes: Changes, *, caller: Caller) -> UUID:
        """Change a webhook; one that is enabled again begins without its failures."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        changed: dict[str, object] = {"updated_at": self._tx.now}
        if changes.url is not None:
            parse_target(changes.url, self._settings)
            changed["url"] = changes.url
        if changes.description is not None:
            changed["description"] = changes.description
        if changes.kinds is not None:
            changed["kinds"] = list(changes.kinds)
        if changes.status is EndpointStatus.ENABLED:
            changed |= {"status": changes.status, "disabled_reason": None, "failures": 0}
            changed |= {"failing_since": None, "retry_at": None}
            self._tx.after_commit(WEBHOOKS_DUE)
        elif changes.status is EndpointStatus.DISABLED:
            changed |= {"status": changes.status, "disabled_reason": "owner"}
        await self._endpoints.update(webhook.id, **changed)
        before = {"kinds": list(webhook.kinds), "status": webhook.status}
        data = changes_of(before, {name: value for name, value in changed.items() if name in before})
        fields = sorted(changed.keys() & {"url", "description", "kinds", "status"})
        await self._record("webhook.changed", webhook.id, webhook.project_id, caller=caller, changed=fields, **data)
        return webhook.id

    async def rotate_secret(self, webhook_id: UUID | None, *, caller: Caller) -> UUID:
        """Sign with a new secret, and with the old one beside it for a while."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        await self._endpoints.update(
            webhook.id,
            secret=self._new_secret(webhook.id),
            old_secret=webhook.secret,
            old_secret_until=self._tx.now + timedelta(hours=self._settings.rotation_hours),
            updated_at=self._tx.now,
        )
        await self._record("webhook.secret_rotated", webhook.id, webhook.project_id, caller=caller)
        return webhook.id

    async def delete_webhook(self, webhook_id: UUID | None, *, caller: Caller) -> UUID:
        """Post nothing more, and forget what was posted."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        await self._endpoints.delete(webhook.id)
        await self._record("webhook.deleted", webhook.id, webhook.project_id, caller=caller)
        return webhook.id

    async def ping(self, webhook_id: UUID | None, *, caller: Caller) -> UUID:
        """Post a message that tells of nothing; return its delivery."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        if webhook.status is EndpointStatus.DISABLED:
            raise WebhookDisabled
        row = self._deliveries.row(webhook.id, kind=PING, resource_id=webhook.id, position=None)
        await self._deliveries.insert([row])
        self._tx.after_commit(WEBHOOKS_DUE)
        return UUID(str(row["id"]))

    async def list_deliveries(
        self, webhook_id: UUID | None, *, status: DeliveryStatus | None, after: UUID | None, limit: int, caller: Caller
    ) -> Sequence[Delivery]:
        """Return what was posted to a webhook, the newest first."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        return await self._deliveries.list_to(webhook.id, status=status, after=after, limit=limit)

    async def get_delivery(
        self, webhook_id: UUID | None, delivery_id: UUID | None, *, caller: Caller
    ) -> tuple[Delivery, Sequence[Attempt]]:
        """Return a delivery and its attempts, or raise `DeliveryNotFound`."""
        webhook = await self.get_webhook(webhook_id, caller=caller)
        found = None if delivery_id is None else await self._deliveries.find(delivery_id, endpoint_id=webhook.id)
        if found is None:
            raise DeliveryNotFound
        return found, await self._deliveries.list_attempts(found.id)

    async def redeliver(self, webhook_id: UUID | None, delivery_id: UUID | None, *, caller: Caller) -> UUID:
        """Make a delivery again, under its old id; one that is under way goes on at once."""
        delivery, _ = await self.get_delivery(webhook_id, delivery_id, caller=caller)
        webhook = await self.get_webhook(webhook_id, caller=caller)
        if webhook.status is EndpointStatus.DISABLED:
            raise WebhookDisabled
        await self._deliveries.revive(delivery.id)
        self._tx.after_commit(WEBHOOKS_DUE)
        return delivery.id

    def _new_secret(self, webhook_id: UUID) -> bytes:
        return self._sealer.seal(secret_text(self._new_key(KEY_BYTES)), owner=webhook_id)

    async def _record(
        self, kind: str, webhook_id: UUID, project_id: UUID | None, *, caller: Caller, **data: object
    ) -> None:
        await self._events.record(
            kind,
            resource_type="webhook",
            resource_id=webhook_id,
            user_id=caller.user_id,
            project_id=project_id,
            actor_id=caller.user_id,
            data=data,
        )
