"""Personal access tokens: what their scopes say and no more, until they end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.document import operations
from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from zentry.accounts.personal_tokens import MOST_TOKENS, hash_personal_token, new_personal_token
from zentry.accounts.tokens import SystemSecrets
from zentry.platform.scopes import LIMITABLE, SCOPES, SESSIONS_ONLY, scope_of
from zentry.schema.accounts import personal_tokens, users

UNKNOWN = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"


async def make(platform: PlatformUnderTest, account: Account, *scopes: str, **more: Any) -> dict[str, Any]:
    body = {"name": more.pop("name", "script"), "scopes": list(scopes), **more}
    answer = await platform.client.post("/auth/tokens", json=body, headers=account.headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def bearer(token: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token['token']}"}


async def login(platform: PlatformUnderTest, account: Account) -> dict[str, str]:
    answer = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def status(platform: PlatformUnderTest, token: dict[str, Any], path: str, method: str = "GET") -> int:
    return (await platform.client.request(method, path, headers=bearer(token))).status_code


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_every_route_that_asks_who_it_is_has_a_scope_or_is_for_sessions_alone(
    platform: PlatformUnderTest,
) -> None:
    without = {
        str(operation)
        for operation in operations(platform)
        if operation.is_secured and scope_of(operation.method.upper(), operation.path) is None
    }

    assert {name for name in without if not name.split(" /")[1].startswith(SESSIONS_ONLY)} == set()
    assert scope_of("POST", "/vms/{vm_id}/stop") == "vms:write"
    assert scope_of("GET", "/elsewhere") is None


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_token_opens_no_route_without_the_scope_of_it(platform: PlatformUnderTest) -> None:
    """Each secured route with a token that has every scope but its own, and one that has it alone."""
    admin = await platform.given_admin()
    per_scope = {
        scope: (
            await make(platform, admin, *(SCOPES - {scope}), name=f"all but {scope}"),
            await make(platform, admin, scope, name=f"only {scope}"),
        )
        for scope in sorted(SCOPES)
        if any(scope_of(one.method.upper(), one.path) == scope for one in operations(platform))
    }
    everything = await make(platform, admin, *SCOPES, name="everything")
    tried = 0

    for operation in operations(platform):
        if not operation.is_secured:
            continue
        method, path = operation.method.upper(), operation.path
        needed = scope_of(method, path)
        for name in ("vm_id", "project_id", "snapshot_id", "operation_id", "key_id", "template_id", "session_id"):
            path = path.replace(f"{{{name}}}", UNKNOWN)
        if needed is None:
            answer = await platform.client.request(method, path, headers=bearer(everything))
            assert (answer.status_code, answer.json()["error_code"]) == (403, "INSUFFICIENT_SCOPE"), operation
            continue
        others, own = per_scope[needed]
        refused = await platform.client.request(method, path, headers=bearer(others))
        assert (refused.status_code, refused.json()["error_code"]) == (403, "INSUFFICIENT_SCOPE"), operation
        assert refused.json()["details"]["required_scope"] == needed
        assert f'scope="{needed}"' in refused.headers["www-authenticate"]
        opened = await platform.client.request(method, path, headers=bearer(own))
        assert "INSUFFICIENT_SCOPE" not in opened.text, operation
        tried += 1
    assert tried > 40


async def test_a_token_is_used_noted_rotated_and_revoked(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    token = await make(platform, account, "vms:read", "account:read", expires_in_days=30)
    path = f"/auth/tokens/{token['id']}"

    assert await status(platform, token, "/vms") == 200
    assert await status(platform, token, "/v1/vms/") == 200
    assert (await platform.client.get("/auth/me", headers=bearer(token))).json()["id"] == account.id
    assert await status(platform, token, "/auth/logout", "POST") == 403
    assert await status(platform, token, "/auth/tokens") == 403
    shown = (await platform.client.get(path, headers=account.headers)).json()
    foreign = [
        (await platform.client.request(method, place, headers=stranger.headers)).status_code
        for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/rotate"))
    ]
    platform.clock.advance(timedelta(seconds=59))
    assert await status(platform, token, "/vms") == 200
    unchanged = (await platform.client.get(path, headers=account.headers)).json()
    platform.clock.advance(timedelta(days=29))
    headers = await login(platform, account)
    rotated = (await platform.client.post(f"{path}/rotate", headers=headers)).json()
    platform.clock.advance(timedelta(seconds=1))

    assert shown["last_used_at"] == unchanged["last_used_at"] == "2026-03-02T12:00:00Z"
    assert "token" not in shown
    assert (shown["ending"], shown["scopes"]) == (token["token"][-4:], ["account:read", "vms:read"])
    assert foreign == [404, 404, 404]
    assert await status(platform, token, "/vms") == 401
    assert await status(platform, rotated, "/vms") == 200
    [listed] = (await platform.client.get("/auth/tokens", headers=headers)).json()
    assert listed["ending"] == rotated["token"][-4:]
    platform.clock.advance(timedelta(days=29, hours=23))
    assert await status(platform, rotated, "/vms") == 200
    platform.clock.advance(timedelta(hours=1))
    assert await status(platform, rotated, "/vms") == 401, "it has expired"
    headers = await login(platform, account)
    again = await platform.client.post(f"{path}/rotate", headers=headers)
    gone = await platform.client.delete(path, headers=headers)
    platform.clock.advance(timedelta(seconds=1))
    assert (again.status_code, gone.status_code) == (200, 200)
    assert await status(platform, again.json(), "/vms") == 401


async def test_a_token_is_as_good_as_its_account(platform: PlatformUnderTest) -> None:
    admin = await platform.given_admin()
    plain = await make(platform, admin, "monitoring:read", "monitoring:write", name="plain")
    chosen = await make(platform, admin, "admin:read", name="chosen")
    assert await status(platform, plain, "/health/database/statistics") == 403, "it was not made to administer"
    assert await status(platform, chosen, "/admin/simulator") == 200

    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).values(role="user"))
    platform.clock.advance(timedelta(seconds=1))
    assert await status(platform, chosen, "/admin/simulator") == 403
    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).values(is_active=False))
    platform.clock.advance(timedelta(seconds=1))
    assert await status(platform, plain, "/monitoring/dashboard") == 403


async def test_what_no_token_may_be_is_refused(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    token = await make(platform, account, "vms:read", name="Straße")
    refused = [
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["vms:*"]},
        {"name": "x", "scopes": ["vms:read", "auth:write"]},
        {"name": " x", "scopes": ["vms:read"]},
        {"name": "a\u202eb", "scopes": ["vms:read"]},
        {"name": "x", "scopes": ["vms:read"], "expires_in_days": 0},
        {"name": "x", "scopes": ["vms:read"], "user_id": UNKNOWN},
    ]

    answers = [await platform.client.post("/auth/tokens", json=body, headers=account.headers) for body in refused]
    same_name = await platform.client.post(
        "/auth/tokens", json={"name": "STRASSE", "scopes": ["vms:read"]}, headers=account.headers
    )
    key = {**account.headers, "Idempotency-Key": "one-token-of-mine"}
    body = {"name": "once", "scopes": ["vms:read"]}
    first, repeat = [await platform.client.post("/auth/tokens", json=body, headers=key) for _ in range(2)]
    async with platform.database.work() as tx:
        row = (await tx.execute(sa.select(personal_tokens).limit(1))).one()._asdict()
        for number in range(MOST_TOKENS - 2):
            text = f"filler {number}"
            await tx.execute(
                sa.insert(personal_tokens).values(
                    **{**row, "id": tx.new_id(), "name": text, "name_key": text, "hash": text}
                )
            )
    too_many = await platform.client.post(
        "/auth/tokens", json={"name": "more", "scopes": ["vms:read"]}, headers=account.headers
    )

    assert [answer.status_code for answer in answers] == [400] * len(refused)
    assert (same_name.status_code, too_many.status_code) == (409, 409)
    assert first.json()["id"] == repeat.json()["id"]
    assert (first.json()["token"] is None, repeat.json()["token"]) == (False, None)
    async with platform.database.read() as tx:
        stored = str((await tx.execute(sa.select(personal_tokens))).all())
    assert token["token"] not in stored


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_text_with_a_wrong_checksum_is_refused_without_a_look(platform: PlatformUnderTest) -> None:
    good = new_personal_token(SystemSecrets())
    hash_personal_token(good)

    for bad in (
        good[:-1],
        good + "0",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.swapcase(),
        "zpat_",
        "zpat_é",
    ):
        answer = await platform.client.get("/vms", headers={b"Authorization": f"Bearer {bad}".encode()})
        assert answer.status_code == 401
    unknown = await platform.client.get("/vms", headers={"Authorization": f"Bearer {good}"})
    assert unknown.status_code == 401


async def test_a_token_that_is_limited_to_projects_sees_nothing_beyond_them(platform: PlatformUnderTest) -> None:
    """That nothing beyond is seen through any route, the access matrix tries."""
    owner, account = await platform.signup(), await platform.signup()
    inside, outside = [await platform.given_project(owner, name) for name in ("inside", "outside")]
    here, there = [await platform.given_vm(owner, project_id=project) for project in (inside, outside)]
    invited = await platform.given_member(owner, inside, role="member")
    own, shared = [
        await make(platform, one, *LIMITABLE, project_ids=[inside, inside.upper()]) for one in (owner, invited)
    ]
    body = {"name": "refused", "scopes": ["vms:read"], "project_ids": [inside]}
    refused = [
        await platform.client.post("/auth/tokens", json={**body, "project_ids": ids}, headers=account.headers)
        for ids in ([inside], [UNKNOWN], ["none"], [])
    ]
    beyond = await platform.client.post(
        "/auth/tokens", json={**body, "scopes": ["vms:read", "billing:read"]}, headers=owner.headers
    )

    for token in (own, shared):
        listed = (await platform.client.get("/vms", headers=bearer(token))).json()
        projects = (await platform.client.get("/projects", headers=bearer(token))).json()
        summary = (await platform.client.get("/vms/status/summary", headers=bearer(token))).json()
        assert ([vm["id"] for vm in listed["vms"]], listed["total_count"]) == ([here["id"]], 1)
        assert (outside in str(projects), inside in str(projects)) == (False, True)
        assert "outside" not in str(summary)
        assert await status(platform, token, f"/vms/{there['id']}/stop", "POST") == 404
        assert await status(platform, token, f"/vms/{here['id']}/restart", "POST") == 200
        await platform.settle()
        assert token["project_ids"] == [inside]
    assert await status(platform, shared, f"/projects/{inside}/invitations") == 403, "a member does not manage"
    assert [answer.status_code for answer in refused] == [404, 404, 404, 400]
    assert (beyond.status_code, "billing:read" in beyond.json()["detail"]) == (400, True)

    await platform.client.delete(f"/projects/{inside}/members/{invited.id}", headers=owner.headers)
    platform.clock.advance(timedelta(seconds=1))
    assert await status(platform, shared, f"/vms/{here['id']}") == 404, "its account sees it no more"
