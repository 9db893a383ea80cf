"""R13: hundreds of named forgeries and thousands of mutations of a token, none of which opens anything."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from functools import partial
from typing import Any, Final

import jwt
import pytest

from tests.support.jwt_corpus import Material, mutations, named_cases
from tests.support.platform import PASSWORD, PlatformUnderTest
from zentry.accounts.middleware import Authenticator
from zentry.platform.errors import NotAuthenticated

SEED: Final = int(os.environ.get("ZENTRY_TEST_SEED", "20261125"))
NAMED: Final = 300


def authenticator_of(platform: PlatformUnderTest) -> Authenticator:
    """Return the one that stands before the routes."""
    wraps: list[Any] = [middleware.cls for middleware in platform.inner.app.user_middleware]
    found = next(
        wrap.keywords["authenticator"]
        for wrap in wraps
        if isinstance(wrap, partial) and "authenticator" in wrap.keywords
    )
    assert isinstance(found, Authenticator)
    return found


async def material_of(platform: PlatformUnderTest, *, sentinel: str) -> Material:
    account, other = await platform.signup(), await platform.signup()
    again = await platform.client.post("/auth/login", json={"email": account.email, "password": PASSWORD})
    ended = again.json()["access_token"]
    await platform.client.post("/auth/logout", headers={"Authorization": f"Bearer {ended}"})
    platform.clock.advance(timedelta(seconds=2))  # What was verified is trusted for a second.
    return Material(
        good=account.tokens["access_token"],
        key=platform.settings.security.signing_key.get_secret_value(),
        now=int(platform.clock.now().timestamp()),
        other_user=other.id,
        other_session=_session_of(other.tokens["access_token"]),
        ended_session=_session_of(ended),
        refresh_token=account.tokens["refresh_token"],
        sentinel=sentinel,
    )


def _session_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["sid"])


async def accepted(authenticator: Authenticator, cases: dict[str, str]) -> list[str]:
    """Return the names of what was accepted, or refused in another way than any bad token is."""
    wrong = []
    for name, token in cases.items():
        try:
            await authenticator.authenticate(token)
        except NotAuthenticated:
            continue
        wrong.append(name)
    return wrong


def mutated(material: Material, *, count: int, seed: int) -> dict[str, str]:
    return {token: token for token in mutations(material, count=count, seed=seed)}


async def test_no_forged_token_is_accepted(platform: PlatformUnderTest) -> None:
    calls: list[object] = []
    async with await asyncio.start_server(lambda *_: calls.append(1), "127.0.0.1", 0) as sentinel:
        port = sentinel.sockets[0].getsockname()[1]
        material = await material_of(platform, sentinel=f"http://127.0.0.1:{port}")
        cases = named_cases(material)
        authenticator = authenticator_of(platform)

        assert len(cases) >= NAMED
        assert str((await authenticator.authenticate(material.good)).user_id) == material.claims["sub"]
        assert await accepted(authenticator, cases) == []
        assert await accepted(authenticator, mutated(material, count=2_000, seed=SEED)) == []
        statuses = {name: await _through_http(platform, token) for name, token in list(cases.items())[::9]}

    assert {name: status for name, status in statuses.items() if status not in {400, 401, 431}} == {}
    assert calls == []


@pytest.mark.long
async def test_no_mutation_of_a_token_is_accepted(platform: PlatformUnderTest) -> None:
    material = await material_of(platform, sentinel="http://127.0.0.1:9")

    assert await accepted(authenticator_of(platform), mutated(material, count=20_000, seed=SEED + 1)) == []


async def _through_http(platform: PlatformUnderTest, token: str) -> int:
    value = b"Bearer " + token.encode("utf-8", "surrogatepass").replace(b"\n", b"").replace(b"\r", b"")[:60_000]
    if token.strip() != token or not token:
        value += b"x"  # What surrounds a header's value is not part of it.
    answer = await platform.client.get("/auth/me", headers=[(b"Authorization", value)])
    return answer.status_code
