"""Who asks: signature, session, and how long an answer is trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from tests.unit.accounts.world import ADA, FAST, HOME, World, bearer, open_world
from zentry.accounts.errors import AccountDeactivated, InvalidAccessToken
from zentry.accounts.middleware import AuthenticationMiddleware, Authenticator
from zentry.accounts.tokens import AccessClaims
from zentry.accounts.types import IssuedTokens
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Database
from zentry.platform.errors import Unavailable
from zentry.platform.settings import DatabaseSettings
from zentry.platform.signals import Signals
from zentry.schema.accounts import sessions, users


@pytest.fixture
async def ada(world: World) -> IssuedTokens:
    return await world.auth.signup(**ADA, client=HOME)


async def caller_in_scope(middleware_of: Authenticator, *headers: tuple[bytes, bytes]) -> Any:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope.get("zentry.caller"), structlog.contextvars.get_contextvars().get("user_id")))

    await AuthenticationMiddleware(app, middleware_of)({"type": "http", "headers": list(headers)}, None, None)
    return seen[0]


def authorization(text: str) -> tuple[bytes, bytes]:
    return b"authorization", text.encode()


async def test_a_valid_token_puts_its_caller_on_the_request_and_in_the_log(world: World, ada: IssuedTokens) -> None:
    caller, logged = await caller_in_scope(world.authenticator(), authorization(f"bearer {ada.access_token}"))

    assert isinstance(caller, Caller)
    assert (caller.user_id, caller.role) == (ada.user.id, Role.USER)
    assert logged == str(ada.user.id)


async def test_a_request_without_a_token_has_no_caller(world: World, ada: IssuedTokens) -> None:
    await caller_in_scope(world.authenticator(), authorization(f"Bearer {ada.access_token}"))

    assert await caller_in_scope(world.authenticator()) == (None, None)


@pytest.mark.parametrize("text", ["", "Bearer", "Bearer ", "Bearer undefined", "Basic YTpi", "Token x", "Bearer a b"])
async def test_another_header_is_an_error_on_the_request(world: World, text: str) -> None:
    caller, _ = await caller_in_scope(world.authenticator(), authorization(text))

    assert isinstance(caller, InvalidAccessToken)


async def test_two_headers_are_an_error(world: World, ada: IssuedTokens) -> None:
    header = authorization(f"Bearer {ada.access_token}")

    caller, _ = await caller_in_scope(world.authenticator(), header, header)

    assert isinstance(caller, InvalidAccessToken)


async def test_a_revoked_token_is_refused_at_once(world: World, ada: IssuedTokens) -> None:
    authenticator = world.authenticator()
    caller = await authenticator.authenticate(ada.access_token)

    await world.auth.logout(caller)

    with pytest.raises(InvalidAccessToken):
        await authenticator.authenticate(ada.access_token)


@pytest.mark.parametrize("is_heard_by_another", [False, True])
async def test_what_was_seen_while_access_changed_is_not_remembered(
    world: World, ada: IssuedTokens, *, is_heard_by_another: bool
) -> None:
    class Overtaken(Authenticator):
        """One whose row changes between the look and its end."""

        async def _caller_of(self, claims: AccessClaims) -> Caller:
            caller = await super()._caller_of(claims)
            await world.auth.logout(caller)
            if is_heard_by_another:
                with pytest.raises(InvalidAccessToken):
                    await self.authenticate("of another request")
            return caller

    authenticator = world.authenticator(Overtaken)
    await authenticator.authenticate(ada.access_token)

    with pytest.raises(InvalidAccessToken):
        await authenticator.authenticate(ada.access_token)


async def test_a_revoked_token_is_refused_within_a_second_in_every_process(world: World, ada: IssuedTokens) -> None:
    processes = [world.authenticator(), world.authenticator(signals=Signals())]
    callers = [await process.authenticate(ada.access_token) for process in processes]

    await world.auth.logout(callers[0])
    world.clock.advance(timedelta(seconds=1))

    for process in processes:
        with pytest.raises(InvalidAccessToken):
            await process.authenticate(ada.access_token)


async def test_the_database_is_asked_once_a_second(world: World, ada: IssuedTokens) -> None:
    authenticator = world.authenticator(signals=Signals())
    caller = await authenticator.authenticate(ada.access_token)

    await world.auth.logout(caller)
    world.clock.advance(timedelta(seconds=0.999))

    assert await authenticator.authenticate(ada.access_token) == caller


async def test_a_remembered_token_expires_to_the_second(world: World, ada: IssuedTokens) -> None:
    authenticator = world.authenticator()
    world.clock.advance(timedelta(seconds=3599.5))
    await authenticator.authenticate(ada.access_token)

    world.clock.advance(timedelta(seconds=0.5))

    with pytest.raises(InvalidAccessToken):
        await authenticator.authenticate(ada.access_token)


async def test_a_deactivated_account_is_told_so(world: World, ada: IssuedTokens) -> None:
    await world.change(sa.update(users).values(is_active=False))

    with pytest.raises(AccountDeactivated):
        await world.authenticator().authenticate(ada.access_token)


async def test_a_change_of_role_is_seen(world: World, ada: IssuedTokens) -> None:
    authenticator = world.authenticator()
    await authenticator.authenticate(ada.access_token)
    await world.change(sa.update(users).values(role="admin"))
    world.clock.advance(timedelta(seconds=1))

    assert (await authenticator.authenticate(ada.access_token)).is_admin


async def test_a_session_of_another_account_is_no_session(world: World, ada: IssuedTokens) -> None:
    eve = await world.auth.signup(email="eve@example.com", name="Eve", password=ADA["password"], client=HOME)
    claims = world.tokens.verify(ada.access_token)
    mixed, _ = world.tokens.issue(
        user_id=eve.user.id,
        session_id=claims.session_id,
        now=world.clock.now(),
        not_after=world.clock.now() + timedelta(days=1),
    )

    with pytest.raises(InvalidAccessToken):
        await world.authenticator().authenticate(mixed)


async def test_an_expired_session_is_refused(world: World, ada: IssuedTokens) -> None:
    await world.change(sa.update(sessions).values(expires_at=world.clock.now()))

    with pytest.raises(InvalidAccessToken):
        await world.authenticator().authenticate(ada.access_token)


async def test_what_is_remembered_is_bounded(database_url: str) -> None:
    security = FAST.model_copy(update={"token_cache_size": 2})
    async with open_world(database_url, security=security) as world:
        authenticator = world.authenticator()
        for n in range(5):
            issued = await world.auth.signup(email=f"u{n}@example.com", name="Ada", password="a long one", client=HOME)
            await authenticator.authenticate(issued.access_token)

        assert len(authenticator._verified) == 2


@pytest.fixture
async def lost_database(world: World, tmp_path: Path) -> AsyncIterator[Database]:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path / 'nowhere' / 'lost.db'}")
    database = Database(settings, clock=world.clock, random=Random(1), signals=Signals())
    yield database
    await database.close()


async def test_without_a_database_protected_routes_are_unavailable_and_public_ones_answer(
    world: World, ada: IssuedTokens, lost_database: Database
) -> None:
    authenticator = Authenticator(
        lost_database, tokens=world.tokens, clock=world.clock, settings=FAST, signals=Signals()
    )

    caller, _ = await caller_in_scope(authenticator, authorization(f"Bearer {ada.access_token}"))
    public = await world.client.get("/public", headers=bearer("forged"))

    assert isinstance(caller, Unavailable)
    assert public.status_code == 200
