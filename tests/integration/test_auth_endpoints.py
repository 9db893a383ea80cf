"""Accounts through HTTP, in front of the whole platform."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.platform import PASSWORD, PlatformUnderTest
from zentry.schema.accounts import users

ADA = {"email": "ada@example.com", "name": "Ada Lovelace", "password": PASSWORD}
USER_FIELDS = {
    "id",
    "email",
    "name",
    "credits",
    "total_spent",
    "vm_count",
    "project_count",
    "active_vm_count",
    "is_active",
    "email_verified",
    "has_second_factor",
    "role",
    "created_at",
    "updated_at",
    "last_login",
}


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Tokens of an hour, as in production; other tests let them live for a day."""
    return {"security": {"access_token_seconds": 3600}}


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def signup(platform: PlatformUnderTest) -> dict[str, Any]:
    answer = await platform.client.post("/auth/signup", json=ADA)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def deactivate_everybody(platform: PlatformUnderTest) -> None:
    async with platform.database.work() as tx:
        await tx.execute(sa.update(users).values(is_active=False))


async def count(platform: PlatformUnderTest, table: sa.Table) -> int:
    async with platform.database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def test_a_sign_up_answers_with_tokens_and_the_account(platform: PlatformUnderTest) -> None:
    answer = await platform.client.post("/auth/signup", json=ADA)
    tokens = answer.json()

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in", "user"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert set(tokens["user"]) == USER_FIELDS
    assert tokens["user"]["email"] == ADA["email"]
    assert (tokens["user"]["credits"], tokens["user"]["total_spent"]) == (50.0, 0.0)
    assert (tokens["user"]["role"], tokens["user"]["is_active"]) == ("user", True)
    assert tokens["user"]["created_at"].endswith("Z")


async def test_a_known_email_is_a_conflict(platform: PlatformUnderTest) -> None:
    await signup(platform)

    answer = await platform.client.post("/auth/signup", json={**ADA, "email": "ADA@EXAMPLE.COM"})

    assert answer.status_code == 409
    assert answer.json()["error_code"] == "CONFLICT"
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "nobody"},
        {"email": 7},
        {"email": None},
        {"name": " A "},
        {"name": "<script>"},
        {"name": "x" * 101},
        {"password": "short"},
        {"password": "password1"},
        {"password": "x" * 257},
        {"password": 12345678},
        {"role": "admin"},
        {"credits": 1_000_000},
        {"is_active": True},
        {"id": "01980f3c-7c1e-7d42-9a56-2f4f0f1f6a10"},
    ],
    ids=str,
)
async def test_a_bad_sign_up_is_refused_and_makes_nothing(
    platform: PlatformUnderTest, changes: dict[str, object]
) -> None:
    answer = await platform.client.post("/auth/signup", json={**ADA, **changes})

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["details"]["validation_errors"]
    assert await count(platform, users) == 0


async def test_a_zero_byte_is_refused(platform: PlatformUnderTest) -> None:
    answer = await platform.client.post("/auth/signup", json={**ADA, "email": "ada\0@example.com"})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_ERROR")


async def test_a_refused_password_is_not_repeated_in_the_answer(platform: PlatformUnderTest) -> None:
    answer = await platform.client.post("/auth/signup", json={**ADA, "password": "hunter2"})

    assert answer.status_code == 400
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("path", ["/auth/signup", "/auth/login"])
async def test_half_a_character_is_refused(platform: PlatformUnderTest, path: str) -> None:
    body = b'{"email":"ada@example.com","name":"Ada","password":"\\ud800 and more"}'

    answer = await platform.client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400


async def test_a_login_answers_as_a_sign_up_does(platform: PlatformUnderTest) -> None:
    first = await signup(platform)

    answer = await platform.client.post("/auth/login", json={"email": "Ada@example.com", "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == set(first)
    assert answer.json()["user"] == first["user"]


async def test_a_stale_token_does_not_stand_in_the_way_of_a_login(platform: PlatformUnderTest) -> None:
    await signup(platform)
    credentials = {"email": ADA["email"], "password": PASSWORD}

    answer = await platform.client.post("/auth/login", json=credentials, headers={"Authorization": "Bearer stale"})

    assert answer.status_code == 200


async def test_a_wrong_password_and_an_unknown_email_look_alike(platform: PlatformUnderTest) -> None:
    await signup(platform)

    wrong = await platform.client.post("/auth/login", json={"email": ADA["email"], "password": "wrong horse"})
    unknown = await platform.client.post("/auth/login", json={"email": "eve@example.com", "password": "wrong horse"})

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"] == "Invalid email or password"
    assert set(wrong.json()) == set(unknown.json())
    assert set(wrong.headers) == set(unknown.headers)
    assert wrong.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("email", ["ada@example.com", "eve@example.com"])
async def test_the_sixth_failure_is_told_to_wait(platform: PlatformUnderTest, email: str) -> None:
    await signup(platform)

    guesses = (platform.client.post("/auth/login", json={"email": email, "password": f"wrong {n}"}) for n in range(12))
    answers = await asyncio.gather(*guesses)
    right = await platform.client.post("/auth/login", json={"email": email, "password": PASSWORD})

    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7
    assert right.status_code == 429
    assert right.json()["error_code"] == "RATE_LIMIT_EXCEEDED"
    assert right.headers["retry-after"] == "900"


async def test_a_deactivated_account_is_forbidden_after_the_right_password(platform: PlatformUnderTest) -> None:
    tokens = await signup(platform)
    await deactivate_everybody(platform)

    wrong = await platform.client.post("/auth/login", json={"email": ADA["email"], "password": "wrong horse"})
    right = await platform.client.post("/auth/login", json={"email": ADA["email"], "password": PASSWORD})
    inside = await platform.client.get("/auth/me", headers=bearer(tokens))

    assert (wrong.status_code, right.status_code, inside.status_code) == (401, 403, 403)
    assert right.json()["error_code"] == "AUTHORIZATION_ERROR"


async def test_the_own_account_counts_what_is_alive(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    project = await platform.given_project(account)
    await platform.given_vm(account, project_id=project, status="running")
    await platform.given_vm(account, project_id=project, status="stopped")
    await platform.given_vm(account, project_id=project, status="terminated")
    doomed = await platform.given_project(account, "doomed")
    await platform.client.delete(f"/projects/{doomed}", headers=account.headers)

    user = (await platform.client.get("/auth/me", headers=account.headers)).json()

    assert set(user) == USER_FIELDS
    assert (user["vm_count"], user["active_vm_count"], user["project_count"]) == (2, 1, 1)
    assert user["credits"] < 50.0


@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/me"), ("PUT", "/auth/profile"), ("POST", "/auth/logout")])
@pytest.mark.parametrize("header", [None, "Bearer forged", "Bearer ", "Basic YTpi"])
async def test_without_a_valid_token_nothing_is_told(
    platform: PlatformUnderTest, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = await platform.client.request(method, path, headers=headers, json={} if method == "PUT" else None)

    assert answer.status_code == 401
    assert answer.json()["error_code"] == "AUTHENTICATION_ERROR"
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_an_access_token_ends_after_an_hour(platform: PlatformUnderTest) -> None:
    tokens = await signup(platform)

    platform.clock.advance(timedelta(seconds=3599))
    before = await platform.client.get("/auth/me", headers=bearer(tokens))
    platform.clock.advance(timedelta(seconds=1))
    after = await platform.client.get("/auth/me", headers=bearer(tokens))

    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_profile_takes_a_new_name_and_nothing_else(platform: PlatformUnderTest) -> None:
    headers = bearer(await signup(platform))

    renamed = await platform.client.put("/auth/profile", json={"name": " Ada King "}, headers=headers)
    untouched = await platform.client.put("/auth/profile", json={}, headers=headers)
    bodies: list[Any] = [
        {"role": "admin"},
        {"credits": 9},
        {"email": "eve@example.com"},
        {"name": 7},
        {"name": "<b>"},
        [],
    ]
    refused = [await platform.client.put("/auth/profile", json=body, headers=headers) for body in bodies]

    assert (renamed.status_code, renamed.json()["name"]) == (200, "Ada King")
    assert renamed.json()["updated_at"] is not None
    assert untouched.json() == renamed.json()
    assert {answer.status_code for answer in refused} == {400}


async def test_a_refresh_takes_the_token_from_the_body_or_from_the_query(platform: PlatformUnderTest) -> None:
    tokens = await signup(platform)

    body = await platform.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    query = await platform.client.post("/auth/refresh", params={"refresh_token": body.json()["refresh_token"]})
    both = await platform.client.post(
        "/auth/refresh",
        params={"refresh_token": "zr_stale"},
        json={"refresh_token": query.json()["refresh_token"]},
    )
    neither = await platform.client.post("/auth/refresh")

    assert [answer.status_code for answer in (body, query, both, neither)] == [200, 200, 200, 401]
    assert body.headers["cache-control"] == "no-store"
    assert set(body.json()) == set(tokens)
    me = await platform.client.get("/auth/me", headers=bearer(both.json()))
    assert me.json()["id"] == tokens["user"]["id"]


async def test_a_stolen_refresh_token_ends_the_session_for_thief_and_owner(platform: PlatformUnderTest) -> None:
    first = await signup(platform)
    second = (await platform.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    platform.clock.advance(timedelta(seconds=11))

    thief = await platform.client.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
    owner = await platform.client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
    inside = await platform.client.get("/auth/me", headers=bearer(second))

    assert (thief.status_code, owner.status_code, inside.status_code) == (401, 401, 401)
    assert thief.json()["detail"] == owner.json()["detail"]


async def test_after_a_logout_the_tokens_are_worth_nothing(platform: PlatformUnderTest) -> None:
    tokens = await signup(platform)

    answer = await platform.client.post("/auth/logout", headers=bearer(tokens))
    platform.clock.advance(timedelta(seconds=1))
    inside = await platform.client.get("/auth/me", headers=bearer(tokens))
    refreshed = await platform.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert answer.status_code == 200
    assert answer.json()["success"] is True
    assert set(answer.json()) == {"success", "message", "data", "errors", "timestamp"}
    assert (inside.status_code, refreshed.status_code) == (401, 401)


async def test_a_logout_leaves_other_sessions_alone(platform: PlatformUnderTest) -> None:
    tokens = await signup(platform)
    other = (await platform.client.post("/auth/login", json={"email": ADA["email"], "password": PASSWORD})).json()

    await platform.client.post("/auth/logout", headers=bearer(tokens))
    platform.clock.advance(timedelta(seconds=1))

    assert (await platform.client.get("/auth/me", headers=bearer(other))).status_code == 200
