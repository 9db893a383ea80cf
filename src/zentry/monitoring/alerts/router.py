"""Routes of alert policies, alerts and silences."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from zentry.monitoring.alerts.errors import (
    AlertPolicyNameTaken,
    AlertPolicyNotFound,
    SilenceNotFound,
    SilencePeriod,
    TooManyAlertPolicies,
    TooManySilences,
)
from zentry.monitoring.alerts.schemas import (
    AlertChangeList,
    AlertChangeResponse,
    AlertPolicyCreate,
    AlertPolicyResponse,
    AlertPolicyUpdate,
    CurrentAlertResponse,
    SilenceCreate,
    SilenceResponse,
)
from zentry.monitoring.alerts.service import AlertService, PolicyFields, SilenceFields
from zentry.operations.once import OnceDep
from zentry.platform.errors import IdempotencyMismatch, InvalidInput, NotFound, ZentryError
from zentry.platform.ids import parse_id
from zentry.platform.pagination import CURSOR_PATTERN, decode_cursor, encode_cursor
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.platform.wire import APIResponse
from zentry.projects.errors import ProjectNotFound

router = APIRouter(prefix="/alerts", tags=["Monitoring"])

_EXAMPLE = "01936b62-3e4f-7c33-9d6e-7f405b8c9d23"
PolicyId = Annotated[str, Path(description="Id of an alert policy.", examples=[_EXAMPLE])]
SilenceId = Annotated[str, Path(description="Id of a silence.", examples=[_EXAMPLE])]


@router.get("", summary="List alerts")
async def list_alerts(caller: CallerDep, edge: EdgeDep) -> list[CurrentAlertResponse]:
    """What is pending or fires now, what fires first; at most 500."""
    async with edge.read() as tx:
        found = await edge.service(AlertService, tx).list_current(caller=caller)
    return [CurrentAlertResponse.model_validate(one) for one in found]


@router.get("/history", summary="List what alerts have done", responses=raises(InvalidInput))
async def list_alert_history(
    caller: CallerDep,
    edge: EdgeDep,
    policy_id: Annotated[str | None, Query(max_length=64, description="Only changes of this policy.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Changes per page.")] = 50,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")
    ] = None,
) -> AlertChangeList:
    """Every change of state, the newest first, of deleted policies as well. It is kept for 90 days."""
    wanted = parse_id(policy_id) if policy_id is not None else None
    if policy_id is not None and wanted is None:
        return AlertChangeList(changes=[], next_cursor=None)
    after = None if cursor is None else decode_cursor(cursor)[1:]
    async with edge.read() as tx:
        found = await edge.service(AlertService, tx).list_changes(
            policy_id=wanted, limit=limit + 1, after=after, caller=caller
        )
    page = found[:limit]
    more = len(found) > limit
    return AlertChangeList(
        changes=[AlertChangeResponse.model_validate(one) for one in page],
        next_cursor=encode_cursor(0, page[-1].at, page[-1].id) if more else None,
    )


@router.get("/policies", summary="List alert policies")
async def list_alert_policies(caller: CallerDep, edge: EdgeDep) -> list[AlertPolicyResponse]:
    """Your policies by name; an account has 100 at most."""
    async with edge.read() as tx:
        found = await edge.service(AlertService, tx).list_policies(caller=caller)
    return [AlertPolicyResponse.model_validate(one) for one in found]


@router.post(
    "/policies",
    summary="Add an alert policy",
    status_code=201,
    responses=raises(
        InvalidInput, NotFound, ProjectNotFound, AlertPolicyNameTaken, TooManyAlertPolicies, IdempotencyMismatch
    ),
)
async def create_alert_policy(
    body: AlertPolicyCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> AlertPolicyResponse:
    """Say what you want to be told of: a metric, an event or a figure of billing, and when it is too much.

    It is judged about twice a minute. `alert.firing` and `alert.resolved` are events, so the stream and
    webhooks follow by themselves.
    """
    given = body.model_dump(exclude={"vm_id", "project_id"})
    fields = PolicyFields(
        **given, vm_id=_given(body.vm_id, NotFound("VM")), project_id=_given(body.project_id, ProjectNotFound())
    )
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)
        id_ = await once.resource(tx, lambda: service.add_policy(fields, caller=caller))
        policy = await service.get_policy(id_, caller=caller)
    response.headers.update({"Location": f"/alerts/policies/{policy.id}", **once.headers})
    return AlertPolicyResponse.model_validate(policy)


@router.get("/policies/{policy_id}", summary="Show an alert policy", responses=raises(AlertPolicyNotFound))
async def get_alert_policy(policy_id: PolicyId, caller: CallerDep, edge: EdgeDep) -> AlertPolicyResponse:
    """One policy of yours."""
    async with edge.read() as tx:
        policy = await edge.service(AlertService, tx).get_policy(parse_id(policy_id), caller=caller)
    return AlertPolicyResponse.model_validate(policy)


@router.patch(
    "/policies/{policy_id}",
    summary="Change an alert policy",
    responses=raises(InvalidInput, AlertPolicyNotFound, AlertPolicyNameTaken, IdempotencyMismatch),
)
async def change_alert_policy(
    policy_id: PolicyId,
    body: AlertPolicyUpdate,
    response: Response,
    caller: CallerDep,
    edge: EdgeDep,
    once: OnceDep,
) -> AlertPolicyResponse:
    """Change what is sent. What is pending or fires is settled, and the policy is judged afresh."""
    changes: dict[str, Any] = {name: value for name, value in body.model_dump().items() if value is not None}
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)

        async def change() -> UUID:
            return await service.change_policy(parse_id(policy_id), changes, caller=caller)

        policy = await service.get_policy(await once.resource(tx, change), caller=caller)
    response.headers.update(once.headers)
    return AlertPolicyResponse.model_validate(policy)


@router.delete(
    "/policies/{policy_id}",
    summary="Delete an alert policy",
    responses=raises(AlertPolicyNotFound, IdempotencyMismatch),
)
async def delete_alert_policy(
    policy_id: PolicyId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Judge no more. What fires is resolved; the history stays for 90 days."""
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)
        await once.resource(tx, lambda: service.delete_policy(parse_id(policy_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Alert policy deleted", timestamp=tx.now)


@router.post(
    "/policies/{policy_id}/test",
    summary="Try how you are told",
    responses=raises(AlertPolicyNotFound, IdempotencyMismatch),
)
async def test_alert_policy(
    policy_id: PolicyId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """Send `alert.test` the ways that `alert.firing` goes, whatever the policy finds and whatever is silenced."""
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)
        await once.resource(tx, lambda: service.test_policy(parse_id(policy_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Alert sent as a test", timestamp=tx.now)


@router.get("/silences", summary="List silences")
async def list_silences(caller: CallerDep, edge: EdgeDep) -> list[SilenceResponse]:
    """Your silences that are not over, the next to end first; an account has 100 at most."""
    async with edge.read() as tx:
        found = await edge.service(AlertService, tx).list_silences(caller=caller)
    return [SilenceResponse.model_validate(one) for one in found]


@router.post(
    "/silences",
    summary="Add a silence",
    status_code=201,
    responses=raises(InvalidInput, NotFound, AlertPolicyNotFound, SilencePeriod, TooManySilences, IdempotencyMismatch),
)
async def create_silence(
    body: SilenceCreate, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> SilenceResponse:
    """Be told nothing of a policy, of a VM, or of anything for a time. What still fires at its end is told then."""
    fields = SilenceFields(
        policy_id=_given(body.policy_id, AlertPolicyNotFound()),
        vm_id=_given(body.vm_id, NotFound("VM")),
        starts_at=None if body.starts_at is None else body.starts_at.astimezone(UTC),
        ends_at=body.ends_at.astimezone(UTC),
        comment=body.comment,
    )
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)
        id_ = await once.resource(tx, lambda: service.add_silence(fields, caller=caller))
        silence = await service.get_silence(id_, caller=caller)
    response.headers.update(once.headers)
    return SilenceResponse.model_validate(silence)


@router.delete(
    "/silences/{silence_id}", summary="End a silence", responses=raises(SilenceNotFound, IdempotencyMismatch)
)
async def delete_silence(
    silence_id: SilenceId, response: Response, caller: CallerDep, edge: EdgeDep, once: OnceDep
) -> APIResponse:
    """End a silence at once; what fires is told at the next judgement."""
    async with edge.work() as tx:
        service = edge.service(AlertService, tx)
        await once.resource(tx, lambda: service.delete_silence(parse_id(silence_id), caller=caller))
    response.headers.update(once.headers)
    return APIResponse(success=True, message="Silence ended", timestamp=tx.now)


def _given(text: str | None, unknown: ZentryError) -> UUID | None:
    """Return an id of a body; one in another form names nothing."""
    if text is None:
        return None
    if (parsed := parse_id(text)) is None:
        raise unknown
    return parsed
