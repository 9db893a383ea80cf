"""Who may ask what: every operation of the document, enumerated.

An operation that is not in `PUBLIC` demands a token, and a path with an id tells nothing about what belongs
to somebody else. A new route that forgets either fails here without anyone thinking of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import jwt
import pytest
import sqlalchemy as sa

from tests.support.contents import contents
from tests.support.document import Operation, operations
from tests.support.platform import Account, PlatformUnderTest
from zentry.accounts.personal_tokens_schemas import PersonalTokenCreate
from zentry.billing.statements import StatementService
from zentry.monitoring.alerts.schemas import AlertPolicyCreate, SilenceCreate
from zentry.schema.billing import statement_schedule
from zentry.vms.schemas import SSHKeyCreate
from zentry.vms.templates_schemas import TemplateCreate

# Reviewed one by one: what anyone may call without an account.
PUBLIC: Final = frozenset(
    {
        "GET /",
        "GET /.well-known/jwks.json",
        "GET /api/changelog",
        "GET /api/compatibility",
        "GET /api/version",
        "GET /api/version/{version}",
        "GET /api/versions",
        "GET /health",
        "GET /health-simple",
        "GET /health/database",
        "GET /health/live",
        "GET /health/ready",
        "GET /images",
        "GET /instance-types",
        "GET /metrics",
        "GET /system/health",
        "GET /vms/pricing",
        "GET /vms/pricing/info",
        "POST /api/deprecation-notice",
        "POST /auth/email/confirm",
        "POST /auth/email/verify",
        "POST /auth/login",
        "POST /auth/login/second-factor",
        "POST /auth/password/forgot",
        "POST /auth/password/reset",
        "POST /auth/refresh",
        "POST /auth/signup",
    }
)
# Only administrators may call these.
ADMIN: Final = frozenset(
    {
        "DELETE /admin/simulator/faults",
        "DELETE /admin/simulator/faults/{fault_id}",
        "GET /admin/invariants",
        "GET /admin/simulator",
        "DELETE /admin/price-lists/{version}",
        "POST /admin/price-lists",
        "POST /admin/users/{user_id}/credits",
        "POST /admin/users/{user_id}/grants",
        "PUT /admin/users/{user_id}/discount",
        "GET /health/database/statistics",
        "GET /quotas/drift",
        "PATCH /admin/simulator/hosts/{host_name}",
        "DELETE /admin/vouchers/{voucher_id}",
        "GET /admin/vouchers",
        "POST /admin/billing/records/{record_id}/refund",
        "POST /admin/vouchers",
        "POST /admin/simulator/faults",
        "POST /health/cleanup",
        "POST /health/database/migrations",
        "POST /health/database/optimize",
    }
)
SSH_KEY: Final = SSHKeyCreate.model_json_schema()["examples"][0]
TOKEN: Final = PersonalTokenCreate.model_json_schema()["examples"][0]
POLICY: Final = AlertPolicyCreate.model_json_schema()["examples"][0]
SILENCE: Final = SilenceCreate.model_json_schema()["examples"][0]
TEMPLATE: Final = TemplateCreate.model_json_schema()["examples"][0]
BUDGET: Final = {"name": "given", "amount": 1, "thresholds": [{"percent": 100}]}
UNKNOWN: Final = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"
ENVELOPE: Final = frozenset(
    {
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
)


@pytest.fixture(params=["sqlite"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Tokens and routes are the same on both databases; the tests of foreign ids ask for both."""
    return str(request.param)


async def test_what_needs_no_account_is_what_was_reviewed(platform: PlatformUnderTest) -> None:
    public = {str(operation) for operation in operations(platform) if not operation.is_secured}

    assert public == PUBLIC


async def test_every_public_operation_answers_without_a_token_and_the_others_say_401(
    platform: PlatformUnderTest,
) -> None:
    """The document is what fastapi knows of a route; this is what the server does."""
    answers = {str(operation): (await _call(platform, operation)).status_code for operation in operations(platform)}

    refused = {name for name, status in answers.items() if status == httpx.codes.UNAUTHORIZED}
    assert refused == set(answers) - PUBLIC | {"POST /auth/refresh"}  # The example of a refresh token is nobody's.
    assert {status for status in answers.values() if status >= httpx.codes.INTERNAL_SERVER_ERROR} == set()


async def test_every_route_is_in_the_document_or_serves_it(platform: PlatformUnderTest) -> None:
    documented = {operation.path for operation in operations(platform)}

    there = {route.path for route in platform.inner.app.routes if hasattr(route, "path")}

    console = {"/console", "/console/{screen:path}", "/console/assets/{version}/{name:path}"}
    assert there - documented == {"/docs", "/redoc", "/openapi.json", "/docs/assets/{name}"} | console


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer garbage",
        "Bearer a.b.c",
        "Bearer " + "a" * 5_000,
        "Bearer {token}x",
        "Bearer {token} {token}",
        "Bearer {refresh}",
        "Bearer {unsigned}",
        "Bearer {forged}",
        "Basic {token}",
        "{token}",
    ],
)
async def test_every_secured_operation_refuses_what_is_no_valid_token(
    platform: PlatformUnderTest, authorization: str | None
) -> None:
    ada = await platform.signup()
    token = ada.tokens["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    head = jwt.get_unverified_header(token)
    headers = {}
    if authorization is not None:
        headers["Authorization"] = authorization.format(
            token=token,
            refresh=ada.tokens["refresh_token"],
            unsigned=jwt.encode(claims, "", algorithm="none", headers={**head, "alg": "none"}),
            forged=jwt.encode(claims, "x" * 64, headers=head),
        )

    await _refuses_all(platform, headers)


async def test_every_secured_operation_refuses_an_expired_token(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    platform.clock.advance(timedelta(seconds=platform.settings.security.access_token_seconds))

    await _refuses_all(platform, ada.headers)


async def test_every_secured_operation_refuses_the_token_of_a_session_that_has_ended(
    platform: PlatformUnderTest,
) -> None:
    ada = await platform.signup()

    await platform.client.post("/auth/logout", headers=ada.headers)
    platform.clock.advance(timedelta(seconds=platform.settings.security.token_cache_seconds))

    await _refuses_all(platform, ada.headers)


async def test_what_is_for_administrators_refuses_everybody_else(platform: PlatformUnderTest) -> None:
    ada = await platform.signup()

    answers = {
        str(operation): await _call(platform, operation, ada.headers)
        for operation in operations(platform)
        if str(operation) in ADMIN
    }

    assert answers.keys() == ADMIN
    for answer in answers.values():
        assert (answer.status_code, answer.json()["error_code"]) == (403, "AUTHORIZATION_ERROR")


async def test_nothing_else_refuses_an_ordinary_account(platform: PlatformUnderTest) -> None:
    statuses = {}

    for operation in operations(platform):
        ada = await platform.signup()  # Logout is among the operations.
        statuses[str(operation)] = (await _call(platform, operation, ada.headers)).status_code

    assert {name for name, status in statuses.items() if status == httpx.codes.FORBIDDEN} == ADMIN
    assert {status for status in statuses.values() if status >= httpx.codes.INTERNAL_SERVER_ERROR} == set()


@dataclass(frozen=True, slots=True)
class Owned:
    """What Ada has: the value of each parameter that names something of hers."""

    ada: Account
    ids: dict[str, str]


async def _given(platform: PlatformUnderTest, status: str) -> Owned:
    ada = await platform.signup("ada@example.com")
    project = await platform.given_project(ada)
    machine = await platform.given_vm(ada, project_id=project, status=status)
    done = await platform.client.get(f"/vms/{machine['id']}/operations", headers=ada.headers)
    operation_id = str(done.json()["operations"][0]["id"])
    source = await platform.given_vm(ada)
    taken = await platform.client.post(f"/vms/{source['id']}/snapshots", json={"name": "one"}, headers=ada.headers)
    if status != "creating":
        await platform.settle()
    kept = await platform.client.post("/ssh-keys", json=SSH_KEY, headers=ada.headers)
    template = await platform.client.post("/templates", json=TEMPLATE, headers=ada.headers)
    policy = await platform.client.post("/alerts/policies", json={**POLICY, "name": "given"}, headers=ada.headers)
    silence = await platform.client.post("/alerts/silences", json=SILENCE, headers=ada.headers)
    lines = await platform.client.get("/billing/history", headers=ada.headers)
    statement_id = await _given_statement(platform, ada)
    [session] = (await platform.client.get("/auth/sessions", headers=ada.headers)).json()
    token = await platform.client.post("/auth/tokens", json=TOKEN, headers=ada.headers)
    budget = await platform.client.post("/billing/budgets", json=BUDGET, headers=ada.headers)
    ids = {
        "statement_id": statement_id,
        "budget_id": str(budget.json()["id"]),
        "record_id": str(lines.json()["items"][0]["id"]),
        "session_id": session["id"],
        "token_id": str(token.json()["id"]),
        "project_id": project,
        "vm_id": str(machine["id"]),
        "operation_id": operation_id,
        "snapshot_id": str(taken.json()["id"]),
        "key_id": str(kept.json()["id"]),
        "template_id": str(template.json()["id"]),
        "policy_id": str(policy.json()["id"]),
        "silence_id": str(silence.json()["id"]),
    }
    return Owned(ada, ids)


async def _given_statement(platform: PlatformUnderTest, account: Account) -> str:
    """Close a month of Ada's that is not over: time stands still here, since tokens would not outlive it."""
    async with platform.database.work() as tx:
        tx.now = tx.now + timedelta(days=60)
        mine = sa.update(statement_schedule).where(statement_schedule.c.user_id == UUID(account.id))
        await tx.execute(mine.values(due_at=tx.now))
        await StatementService(tx, platform.settings.billing).close_next()
    answer = await platform.client.get("/billing/statements", headers=account.headers)
    return str(answer.json()["statements"][0]["id"])


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("status", ["creating", "running", "stopped", "terminated"])
async def test_an_id_of_somebody_else_is_answered_like_an_unknown_one(platform: PlatformUnderTest, status: str) -> None:
    owned = await _given(platform, status)
    eve = await platform.signup("eve@example.com")
    before = await contents(platform.database)

    for operation in operations(platform):
        for place in _places(operation, owned.ids):
            foreign = await _ask(platform, operation, place, owned.ids, eve)
            unknown = await _ask(platform, operation, place, dict.fromkeys(owned.ids, UNKNOWN), eve)
            assert _told(foreign, owned.ids) == _told(unknown, {"any": UNKNOWN}), operation
            if place[0] != "query" or operation.path == "/vms":  # A filter of what is one's own finds nothing.
                assert foreign.status_code == httpx.codes.NOT_FOUND, operation

    assert await contents(platform.database) == before


async def test_each_place_for_an_id_is_tried(platform: PlatformUnderTest) -> None:
    names = (
        "budget_id",
        "statement_id",
        "record_id",
        "project_id",
        "vm_id",
        "operation_id",
        "snapshot_id",
        "key_id",
        "template_id",
        "session_id",
        "token_id",
        "policy_id",
        "silence_id",
    )
    tried = {str(operation): _places(operation, names) for operation in operations(platform)}

    assert {name for name, places in tried.items() if places} == {
        *(
            str(operation)
            for operation in operations(platform)
            if operation.is_secured and "{" in operation.path and str(operation) not in ADMIN
        ),
        "GET /alerts/history",
        "GET /billing/history",
        "GET /billing/focus/export",
        "GET /billing/history/export",
        "GET /events",
        "GET /events/stream",
        "GET /operations",
        "GET /vms",
        "POST /vms",
    }


def _places(operation: Operation, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return where an operation takes the id of something owned."""
    if not operation.is_secured or str(operation) in ADMIN:
        return []  # What only administrators may ask belongs to nobody.
    known = set(names)
    assert operation.path_parameters <= known, f"{operation}: say in this test what the ids in its path are"
    return [
        *(("path", name) for name in sorted(operation.path_parameters)),
        *(("query", name) for name in sorted(operation.query_parameters & known)),
        *(("body", name) for name in sorted((operation.example_body or {}).keys() & known)),
    ]


async def _ask(
    platform: PlatformUnderTest, operation: Operation, place: tuple[str, str], ids: dict[str, str], account: Account
) -> httpx.Response:
    where, name = place
    body = {**(operation.example_body or {}), name: ids[name]} if where == "body" else None
    params = {name: ids[name]} if where == "query" else None
    return await _send(platform.client, operation, ids, account.headers, params=params, body=body)


async def _send(
    client: httpx.AsyncClient,
    operation: Operation,
    ids: dict[str, str],
    headers: dict[str, str],
    *,
    params: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> httpx.Response:
    return await client.request(
        operation.method,
        operation.path.format(**ids),
        params={**operation.example_query, **(params or {})},
        json=body if body is not None else operation.example_body,
        headers=headers,
    )


def _told(answer: httpx.Response, ids: dict[str, str]) -> tuple[int, list[str], str]:
    """Return what an answer tells, without what differs between any two answers."""
    body = answer.json() if "json" in answer.headers["content-type"] else answer.text
    for name in ("timestamp", "request_id"):
        if isinstance(body, dict):
            body.pop(name, None)
    text = json.dumps(body, sort_keys=True)
    for id_ in ids.values():
        text = text.replace(id_, "ID")
    return answer.status_code, sorted(answer.headers), text


async def _refuses_all(platform: PlatformUnderTest, headers: dict[str, str]) -> None:
    before = await contents(platform.database)
    for operation in _secured(platform):
        answer = await _call(platform, operation, headers)
        assert answer.status_code == httpx.codes.UNAUTHORIZED, operation
        assert answer.headers["www-authenticate"] == "Bearer", operation
        assert answer.headers["content-type"] == "application/problem+json", operation
        assert answer.json().keys() == ENVELOPE, operation
        assert answer.json()["error_code"] == "AUTHENTICATION_ERROR", operation
    assert await contents(platform.database) == before


def _secured(platform: PlatformUnderTest) -> Iterator[Operation]:
    return (operation for operation in operations(platform) if operation.is_secured)


async def _call(
    platform: PlatformUnderTest, operation: Operation, headers: dict[str, str] | None = None
) -> httpx.Response:
    ids = dict.fromkeys(operation.path_parameters, UNKNOWN)
    return await _send(platform.client, operation, ids, headers or {})
