"""Routes of webhooks."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput
from zentry.platform.ids import parse_id
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.errors import ProjectNotFound
from zentry.schema.webhooks import DeliveryStatus
from zentry.webhooks.errors import (
    DeliveryNotFound,
    TooManyWebhooks,
    WebhookDisabled,
    WebhookNotFound,
    WebhookTargetRefused,
)
from zentry.webhooks.schemas import (
    AttemptResponse,
    DeliveryDetails,
    DeliveryList,
    DeliveryResponse,
    WebhookCreate,
    WebhookResponse,
    WebhookUpdate,
    WebhookWithSecret,
)
from zentry.webhooks.service import WebhookService
from zentry.webhooks.types import Changes, Endpoint

router = APIRouter(prefix="/webhooks", tags=["Webhooks"])

_NO_ID: Final = UUID(int=0)
_EXAMPLE: Final = "01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"
WebhookId = Annotated[str, Path(description="Id of a webhook.", examples=[_EXAMPLE])]
DeliveryId = Annotated[str, Path(description="Id of a delivery.", examples=[_EXAMPLE])]


def _with_secret(service: WebhookService, webhook: Endpoint) -> WebhookWithSecret:
    shown = WebhookResponse.model_validate(webhook).model_dump()
    return WebhookWithSecret(**shown, secret=service.secret_of(webhook))


@router.get("", summary="List webhooks")
async def list_webhooks(caller: CallerDep, edge: EdgeDep) -> list[WebhookResponse]:
    """Your webhooks, the newest first."""
    async with edge.read() as tx:
        found = await edge.service(WebhookService, tx).list_webhooks(caller=caller)
    return [WebhookResponse.model_validate(webhook) for webhook in found]


@router.post(
    "",
    summary="Add a webhook",
    status_code=201,
    responses=raises(InvalidInput, WebhookTargetRefused, ProjectNotFound, TooManyWebhooks, IdempotencyMismatch),
)
async def create_webhook(
    body: WebhookCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> WebhookWithSecret:
    """Have events posted to a URL from now on, signed with the secret of the answer as Standard Webhooks defines it."""
    project_id = None
    if body.project_id is not None and (project_id := parse_id(body.project_id)) is None:
        raise ProjectNotFound
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)

        async def add() -> UUID:
            return await service.add_webhook(
                url=body.url,
                kinds=body.kinds,
                description=body.description,
                project_id=project_id,
                caller=caller,
            )

        webhook = await service.get_webhook(await once.resource(tx, add), caller=caller)
        shown = _with_secret(service, webhook)
    response.headers.update({"Location": f"/webhooks/{webhook.id}", **once.headers})
    return shown


@router.get("/{webhook_id}", summary="Show a webhook", responses=raises(WebhookNotFound))
async def get_webhook(webhook_id: WebhookId, caller: CallerDep, edge: EdgeDep) -> WebhookResponse:
    """One webhook of yours, without its secret."""
    async with edge.read() as tx:
        webhook = await edge.service(WebhookService, tx).get_webhook(parse_id(webhook_id), caller=caller)
    return WebhookResponse.model_validate(webhook)


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    responses=raises(InvalidInput, WebhookTargetRefused, WebhookNotFound, IdempotencyMismatch),
)
async def update_webhook(
    webhook_id: WebhookId, body: WebhookUpdate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> WebhookResponse:
    """Change where and what is posted, or stop and begin again; what waits is kept meanwhile."""
    changes = Changes(url=body.url, description=body.description, kinds=body.kinds, status=body.status)
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)
        changed = await once.resource(tx, lambda: service.change_webhook(parse_id(webhook_id), changes, caller=caller))
        webhook = await service.get_webhook(changed, caller=caller)
    response.headers.update(once.headers)
    return WebhookResponse.model_validate(webhook)


@router.delete("/{webhook_id}", summary="Delete a webhook", responses=raises(WebhookNotFound, IdempotencyMismatch))
async def delete_webhook(
    webhook_id: WebhookId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Post nothing more to it; its deliveries and their log go with it."""
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)
        await once.resource(tx, lambda: service.delete_webhook(parse_id(webhook_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Webhook deleted", timestamp=tx.now)


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Rotate the secret of a webhook",
    responses=raises(WebhookNotFound, IdempotencyMismatch),
)
async def rotate_webhook_secret(
    webhook_id: WebhookId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> WebhookWithSecret:
    """Sign with a new secret. The old one signs beside it until `old_secret_until`, so that no message is refused."""
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)
        rotated = await once.resource(tx, lambda: service.rotate_secret(parse_id(webhook_id), caller=caller))
        shown = _with_secret(service, await service.get_webhook(rotated, caller=caller))
    response.headers.update(once.headers)
    return shown


@router.post(
    "/{webhook_id}/ping",
    summary="Ping a webhook",
    status_code=202,
    responses=raises(WebhookNotFound, WebhookDisabled, IdempotencyMismatch),
)
async def ping_webhook(
    webhook_id: WebhookId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> DeliveryResponse:
    """Post a message of the kind `webhook.ping`; its delivery shows how the receiver has answered."""
    wanted = parse_id(webhook_id)
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)
        made = await once.resource(tx, lambda: service.ping(wanted, caller=caller))
        delivery, _ = await service.get_delivery(wanted, made, caller=caller)
    response.headers.update(once.headers)
    return DeliveryResponse.of(delivery)


@router.get("/{webhook_id}/deliveries", summary="List deliveries", responses=raises(WebhookNotFound))
async def list_webhook_deliveries(
    webhook_id: WebhookId,
    caller: CallerDep,
    edge: EdgeDep,
    status: Annotated[DeliveryStatus | None, Query(description="Only deliveries in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Deliveries per page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> DeliveryList:
    """What was posted to a webhook, the newest first; `status=dead` is what was given up."""
    after = None if cursor is None else parse_id(cursor) or _NO_ID
    async with edge.read() as tx:
        found = await edge.service(WebhookService, tx).list_deliveries(
            parse_id(webhook_id), status=status, after=after, limit=limit + 1, caller=caller
        )
    more = len(found) > limit
    return DeliveryList(
        deliveries=[DeliveryResponse.of(delivery) for delivery in found[:limit]],
        next_cursor=found[limit - 1].id if more else None,
    )


@router.get(
    "/{webhook_id}/deliveries/{delivery_id}",
    summary="Show a delivery",
    responses=raises(WebhookNotFound, DeliveryNotFound),
)
async def get_webhook_delivery(
    webhook_id: WebhookId, delivery_id: DeliveryId, caller: CallerDep, edge: EdgeDep
) -> DeliveryDetails:
    """One delivery with every attempt: when, how long it took, and what the receiver answered."""
    async with edge.read() as tx:
        delivery, attempts = await edge.service(WebhookService, tx).get_delivery(
            parse_id(webhook_id), parse_id(delivery_id), caller=caller
        )
    shown = DeliveryResponse.of(delivery).model_dump()
    return DeliveryDetails(**shown, log=[AttemptResponse.of(attempt) for attempt in attempts])


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    summary="Make a delivery again",
    status_code=202,
    responses=raises(WebhookNotFound, DeliveryNotFound, WebhookDisabled, IdempotencyMismatch),
)
async def redeliver(
    webhook_id: WebhookId,
    delivery_id: DeliveryId,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> DeliveryResponse:
    """Post an event again under its old `webhook-id`, with all attempts anew, whatever became of it before."""
    wanted, which = parse_id(webhook_id), parse_id(delivery_id)
    async with edge.work() as tx:
        service = edge.service(WebhookService, tx)
        again = await once.resource(tx, lambda: service.redeliver(wanted, which, caller=caller))
        delivery, _ = await service.get_delivery(wanted, again, caller=caller)
    response.headers.update(once.headers)
    return DeliveryResponse.of(delivery)
