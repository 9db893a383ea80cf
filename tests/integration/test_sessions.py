"""Sessions: one line of refresh tokens each, an end to each, and their owner in charge of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import joserfc.jwk
import joserfc.jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.platform import PASSWORD, PlatformUnderTest, open_under_test
from zentry.accounts.sessions import MOST_SESSIONS
from zentry.accounts.sweep import sweep_counters
from zentry.schema.accounts import refresh_tokens, sessions

DAY = timedelta(days=1)


@pytest.fixture
def overrides() -> dict[str, Any]:
    """Tokens of an hour, as in production; other tests let them live for a day."""
    return {"security": {"access_token_seconds": 3600}}


async def refresh(platform: PlatformUnderTest, token: str, **headers: str) -> Any:
    return await platform.client.post("/auth/refresh", json={"refresh_token": token}, headers=headers)


async def refresh_patiently(platform: PlatformUnderTest, token: str) -> Any:
    """Refresh as a client does that is told to come back: a busy machine has no connection for fifty within seconds."""
    for _ in range(10):
        answer = await refresh(platform, token)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return answer
        assert "Retry-After" in answer.headers
    raise AssertionError("the platform had no connection ten times in a row")


async def login(platform: PlatformUnderTest, email: str, **headers: str) -> dict[str, Any]:
    answer = await platform.client.post("/auth/login", json={"email": email, "password": PASSWORD}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def scalars(platform: PlatformUnderTest, query: sa.Select[Any]) -> list[Any]:
    async with platform.database.read() as tx:
        return list((await tx.execute(query)).scalars())


@pytest.mark.parametrize("rounds", [10, pytest.param(200, marks=pytest.mark.long)])
async def test_however_many_refresh_at_once_the_session_goes_on_in_one_line(
    platform: PlatformUnderTest, rounds: int
) -> None:
    """R14: fifty requests with one token, as often as it says."""
    tokens = (await platform.signup()).tokens
    unused = sa.select(refresh_tokens.c.hash).where(refresh_tokens.c.used_at.is_(None))
    branches, revoked = [], []

    for _ in range(rounds):
        answers = await asyncio.gather(*(refresh_patiently(platform, tokens["refresh_token"]) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        branches.append(len({answer.json()["refresh_token"] for answer in answers}))
        assert len(await scalars(platform, unused)) == 1
        revoked += await scalars(platform, sa.select(sessions.c.id).where(sessions.c.revoked_at.is_not(None)))
        tokens = answers[0].json()
        platform.clock.advance(timedelta(seconds=11))

    assert branches == [1] * rounds
    assert revoked == []
    salts = sa.select(refresh_tokens.c.salt).where(refresh_tokens.c.salt.is_not(None))
    assert len(await scalars(platform, salts)) == 1, "what followed older tokens cannot be found any more"


async def test_an_answer_that_got_lost_comes_again_even_when_the_session_has_gone_on(
    platform: PlatformUnderTest,
) -> None:
    first = (await platform.signup()).tokens
    second = (await refresh(platform, first["refresh_token"])).json()
    third = (await refresh(platform, second["refresh_token"])).json()

    again = await refresh(platform, first["refresh_token"])
    onwards = await refresh(platform, again.json()["refresh_token"])

    assert again.json()["refresh_token"] == second["refresh_token"]
    assert onwards.json()["refresh_token"] == third["refresh_token"]


async def test_a_session_ends_when_it_is_not_used_and_when_it_is_used_for_too_long(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    idle, busy = await login(platform, account.email), account.tokens
    for _ in range(5):
        platform.clock.advance(6 * DAY - timedelta(hours=1))
        busy = (await refresh(platform, busy["refresh_token"])).json()
    late_idle = await refresh(platform, idle["refresh_token"])
    [shown] = (await platform.client.get("/auth/sessions", headers=bearer(busy))).json()
    platform.clock.advance(timedelta(hours=5))
    late_busy = await refresh(platform, busy["refresh_token"])
    async with platform.database.work() as tx:
        await sweep_counters(tx)

    assert (late_idle.status_code, late_busy.status_code) == (401, 401)
    assert shown["is_current"], "the idle one is over, so it is not shown"
    assert await scalars(platform, sa.select(sessions.c.id)) == await scalars(
        platform, sa.select(refresh_tokens.c.hash)
    ), "both are forgotten with their tokens"


async def test_an_owner_sees_and_ends_sessions_and_nobody_else_does(platform: PlatformUnderTest) -> None:
    account, stranger = await platform.signup(), await platform.signup()
    phone = await login(platform, account.email, **{"User-Agent": "Phone/1.0\x7f"})
    platform.clock.advance(timedelta(minutes=5))
    phone = (await refresh(platform, phone["refresh_token"], **{"User-Agent": "Phone/2.0"})).json()
    laptop = await login(platform, account.email, **{"User-Agent": "Laptop"})
    listed = (await platform.client.get("/auth/sessions", headers=bearer(laptop))).json()
    on_phone = next(session for session in listed if session["user_agent"] == "Phone/2.0")
    path = f"/auth/sessions/{on_phone['id']}"

    foreign = await platform.client.delete(path, headers=stranger.headers)
    ended = await platform.client.delete(path, headers=bearer(laptop))
    once_more = await platform.client.delete(path, headers=bearer(laptop))
    platform.clock.advance(timedelta(seconds=1))
    phone_inside = await platform.client.get("/auth/me", headers=bearer(phone))
    phone_refresh = await refresh(platform, phone["refresh_token"])
    others = await platform.client.delete("/auth/sessions", headers=bearer(laptop))
    platform.clock.advance(timedelta(seconds=1))
    first_inside = await platform.client.get("/auth/me", headers=account.headers)
    left = (await platform.client.get("/auth/sessions", headers=bearer(laptop))).json()

    assert [session["is_current"] for session in listed] == [True, False, False]
    assert on_phone["address"] == "127.0.0.1"
    assert on_phone["last_used_at"] > on_phone["created_at"]
    assert (foreign.status_code, ended.status_code, once_more.status_code) == (404, 200, 404)
    assert (phone_inside.status_code, phone_refresh.status_code) == (401, 401)
    assert (others.status_code, first_inside.status_code) == (200, 401)
    assert [session["user_agent"] for session in left] == ["Laptop"]
    assert (await platform.client.get("/auth/me", headers=stranger.headers)).status_code == 200


async def test_an_account_has_a_bounded_number_of_sessions(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with platform.database.work() as tx:
        template = (await tx.execute(sa.select(sessions))).one()._asdict()
        for number in range(MOST_SESSIONS):
            at = platform.clock.now() + timedelta(seconds=number + 1)
            await tx.execute(sa.insert(sessions).values(**{**template, "id": tx.new_id(), "created_at": at}))
    platform.clock.advance(timedelta(minutes=5))

    await login(platform, account.email)

    first = await platform.client.get("/auth/me", headers=account.headers)
    assert first.status_code == 401
    live = sa.select(sessions.c.id).where(sessions.c.revoked_at.is_(None))
    assert len(await scalars(platform, live)) == MOST_SESSIONS


async def test_what_ends_in_one_process_has_ended_in_another_within_a_second(platform: PlatformUnderTest) -> None:
    account = await platform.signup()
    async with open_under_test(platform.settings, clock=platform.clock) as other:
        before = await other.client.get("/auth/me", headers=account.headers)
        await platform.client.post("/auth/logout", headers=account.headers)
        platform.clock.advance(timedelta(seconds=1))
        after = await other.client.get("/auth/me", headers=account.headers)

    assert (before.status_code, after.status_code) == (200, 401)


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # Its name is; the library that signs knows no other.
async def test_keys_are_changed_without_logging_anybody_out_and_published_where_they_are_public(
    platform: PlatformUnderTest,
) -> None:
    account = await platform.signup()
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    old, new = platform.settings.security.signing_key.get_secret_value(), pem
    now_public = platform.settings.model_copy(
        update={
            "security": platform.settings.security.model_validate(
                {
                    **platform.settings.security.model_dump(),
                    "signing_key": new,
                    "previous_signing_keys": [old],
                }
            )
        }
    )

    async with open_under_test(now_public, clock=platform.clock) as renewed:
        still_inside = await renewed.client.get("/auth/me", headers=account.headers)
        tokens = (await refresh(renewed, account.tokens["refresh_token"])).json()
        inside = await renewed.client.get("/auth/me", headers=bearer(tokens))
        published = (await renewed.client.get("/.well-known/jwks.json")).json()
    secret = await platform.client.get("/.well-known/jwks.json")
    unknown = await platform.client.get("/auth/me", headers=bearer(tokens))

    assert (still_inside.status_code, inside.status_code) == (200, 200)
    checked = joserfc.jwt.decode(
        tokens["access_token"], joserfc.jwk.KeySet.import_key_set(published), algorithms=["EdDSA"]
    )
    assert checked.claims["sub"] == account.id
    assert checked.header["kid"] == published["keys"][0]["kid"]
    assert secret.json() == {"keys": []}
    assert unknown.status_code == 401, "a process that does not have the key does not believe it"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/auth/sessions/{session}", None),
        ("DELETE", "/auth/sessions", None),
        ("DELETE", "/auth/tokens/{token}", None),
        ("POST", "/auth/tokens/{token}/rotate", None),
        ("PUT", "/auth/password", {"current_password": PASSWORD, "new_password": "a quite different one"}),
        ("POST", "/auth/account/deactivate", {"password": PASSWORD}),
        ("POST", "/auth/account/delete", {"password": PASSWORD}),
    ],
)
async def test_what_ends_an_access_ends_it_at_once(
    platform: PlatformUnderTest, method: str, path: str, body: dict[str, Any] | None
) -> None:
    ada = await platform.signup()
    elsewhere = bearer(await login(platform, ada.email))
    made = await platform.client.post(
        "/auth/tokens", json={"name": "script", "scopes": ["account:read"]}, headers=ada.headers
    )
    script = {"Authorization": f"Bearer {made.json()['token']}"}
    listed = (await platform.client.get("/auth/sessions", headers=ada.headers)).json()
    [other] = [session["id"] for session in listed if not session["is_current"]]
    ended = script if "{token}" in path else elsewhere
    assert (await platform.client.get("/auth/me", headers=ended)).status_code == 200

    place = path.format(session=other, token=made.json()["id"])
    answer = await platform.client.request(method, place, json=body, headers=ada.headers)

    assert answer.status_code == 200, answer.text
    assert (await platform.client.get("/auth/me", headers=ended)).status_code in {401, 403}
