"""Acts that give power away ask whoever has signed in a while ago to prove once more who it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from tests.support.contents import contents
from tests.support.platform import PASSWORD, Account, PlatformUnderTest
from tests.support.totp import code_at
from zentry.accounts.dependencies import PROVEN_LATELY

GUARDED: Final = {
    "DELETE /auth/sessions",
    "DELETE /auth/sessions/{session_id}",
    "POST /admin/users/{user_id}/second-factor/reset",
    "POST /auth/tokens",
    "POST /auth/tokens/{token_id}/rotate",
    "POST /projects/{project_id}/transfer",
    "POST /projects/{project_id}/transfer/accept",
    "PUT /admin/users/{user_id}/role",
}
NEW_PASSWORD: Final = "quite another horse, stapled"
TOKEN: Final = {"name": "script", "scopes": ["vms:read"]}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_acts_that_give_power_away_are_done_after_a_recent_proof_alone(platform: PlatformUnderTest) -> None:
    assert set(_guarded(platform)) == GUARDED

    admin = await platform.given_admin()
    project = await platform.given_project(admin)
    member = await platform.given_member(admin, project, role="admin")
    token = (await platform.client.post("/auth/tokens", json=TOKEN, headers=admin.headers)).json()
    ids = {"user_id": member.id, "token_id": token["id"], "project_id": project, "session_id": token["id"]}
    bodies: dict[str, Any] = {
        "POST /auth/tokens": {**TOKEN, "name": "another"},
        "POST /projects/{project_id}/transfer": {"member_id": member.id},
        "PUT /admin/users/{user_id}/role": {"role": "admin"},
    }
    platform.clock.advance(timedelta(seconds=platform.settings.security.proof_seconds))
    before = await contents(platform.database)

    for operation in sorted(GUARDED):
        method, path = operation.split(" ")
        answer = await platform.client.request(
            method, path.format(**ids), json=bodies.get(operation), headers=admin.headers
        )
        told = answer.json()
        assert (answer.status_code, told["error_code"]) == (403, "REAUTHENTICATION_REQUIRED"), (operation, told)
        assert told["details"] == {"proof_seconds": platform.settings.security.proof_seconds}
    assert await contents(platform.database) == before


async def test_a_password_sent_once_more_is_a_proof_and_a_refresh_is_none(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    life = timedelta(seconds=platform.settings.security.proof_seconds)
    platform.clock.advance(life - timedelta(seconds=1))
    in_time = await _make(platform, account, "in time")
    platform.clock.advance(timedelta(seconds=1))
    refreshed = await platform.client.post("/auth/refresh", json={"refresh_token": account.tokens["refresh_token"]})
    late = await _make(platform, account, "late")
    wrong = await _prove(platform, account, f"{PASSWORD}x")
    still_late = await _make(platform, account, "still late")
    right = await _prove(platform, account, PASSWORD)
    proven = await _make(platform, account, "proven")
    by_token = await platform.client.post(
        "/auth/reauthenticate",
        json={"password": PASSWORD},
        headers={"Authorization": f"Bearer {proven.json()['token']}"},
    )
    platform.clock.advance(life)
    over = await _make(platform, account, "over")

    made = [in_time, late, still_late, proven, over]
    assert [answer.status_code for answer in made] == [201, 403, 403, 201, 403]
    assert (refreshed.status_code, right.status_code, by_token.status_code) == (200, 200, 403)
    assert wrong.json()["error_code"] == "WRONG_PASSWORD"
    assert PASSWORD not in right.text


async def test_who_has_a_second_factor_proves_with_both_and_a_reset_passes_by_neither(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    enrolled = await platform.client.post("/auth/second-factor", json={"password": PASSWORD}, headers=account.headers)
    secret = enrolled.json()["secret"]
    confirmed = await platform.client.post(
        "/auth/second-factor/confirm", json={"code": code_at(platform, secret)}, headers=account.headers
    )
    platform.clock.advance(timedelta(seconds=platform.settings.security.proof_seconds))

    alone = await _prove(platform, account, PASSWORD)
    wrong = await _prove(platform, account, PASSWORD, code="000000")
    refused = await _make(platform, account, "refused")
    both = await _prove(platform, account, PASSWORD, code=code_at(platform, secret))
    once_more = await _prove(platform, account, PASSWORD, code=code_at(platform, secret))
    made = await _make(platform, account, "made")
    recovered = await _prove(platform, account, PASSWORD, code=confirmed.json()["recovery_codes"][0])

    assert {answer.json()["error_code"] for answer in (alone, wrong, once_more)} == {"WRONG_CODE"}
    assert (refused.status_code, both.status_code, made.status_code, recovered.status_code) == (403, 200, 201, 200)

    await platform.client.post("/auth/password/forgot", json={"email": account.email})
    mailed = [mail.get_content() for mail in await platform.mails() if mail["Subject"] == "Choose another password"]
    token = re.findall(r"zl_[A-Za-z0-9_-]{43}", mailed[-1])[0]
    reset = await platform.client.post("/auth/password/reset", json={"token": token, "new_password": NEW_PASSWORD})
    login = await platform.client.post("/auth/login", json={"email": account.email, "password": NEW_PASSWORD})
    assert (reset.status_code, login.json()["error_code"]) == (200, "SECOND_FACTOR_REQUIRED")
    assert "token" not in str(reset.json().get("data")), "the link chooses a password and opens no session"


async def _make(platform: PlatformUnderTest, account: Account, name: str) -> httpx.Response:
    return await platform.client.post("/auth/tokens", json={**TOKEN, "name": name}, headers=account.headers)


async def _prove(platform: PlatformUnderTest, account: Account, password: str, **more: str) -> httpx.Response:
    return await platform.client.post(
        "/auth/reauthenticate", json={"password": password, **more}, headers=account.headers
    )


def _guarded(platform: PlatformUnderTest) -> Iterator[str]:
    """Return the routes before which the check stands."""
    for route in platform.inner.app.routes:
        if isinstance(route, APIRoute) and PROVEN_LATELY.dependency in _calls(route.dependant):
            yield from (f"{method} {route.path}" for method in route.methods or ())


def _calls(dependant: Dependant) -> set[Any]:
    return {dependant.call, *(call for one in dependant.dependencies for call in _calls(one))}
