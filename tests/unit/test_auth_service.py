"""The use cases of accounts, below HTTP."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.unit.accounts.world import ADA, HOME, PASSWORD, World, open_world
from zentry.accounts.errors import (
    AccountDeactivated,
    EmailTaken,
    InvalidRefreshToken,
    RateLimited,
    TooManyFailures,
    WeakPassword,
    WrongCredentials,
)
from zentry.accounts.passwords import PasswordHasher
from zentry.accounts.repository import SessionRepository
from zentry.accounts.tokens import hash_refresh_token
from zentry.accounts.types import Client, IssuedTokens
from zentry.platform.caller import Caller, Role
from zentry.platform.db import Transaction
from zentry.platform.errors import InvalidInput
from zentry.platform.settings import LimitSettings, SecuritySettings
from zentry.schema.accounts import login_failures, refresh_tokens, sessions, users
from zentry.schema.events import events

ELSEWHERE = Client(address="198.51.100.1", user_agent="tests")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


async def signup(world: World, email: str = ADA["email"]) -> IssuedTokens:
    return await world.auth.signup(email=email, name=ADA["name"], password=PASSWORD, client=HOME)


async def login(
    world: World, *, email: str = ADA["email"], password: str = PASSWORD, client: Client = HOME
) -> IssuedTokens:
    return await world.auth.login(email=email, password=password, client=client)


def caller(world: World, issued: IssuedTokens) -> Caller:
    claims = world.tokens.verify(issued.access_token)
    return Caller(user_id=claims.user_id, session_id=claims.session_id, role=Role.USER)


async def kinds(world: World) -> list[str]:
    return await world.scalars(sa.select(events.c.kind).order_by(events.c.created_at, events.c.id))


# Sign-up


async def test_a_sign_up_makes_an_account_with_the_welcome_credit_and_logs_it_in(world: World) -> None:
    issued = await world.auth.signup(email="Ada@EXAMPLE.com", name="  Ada ", password=PASSWORD, client=HOME)

    assert (issued.user.email, issued.user.name) == ("Ada@example.com", "Ada")
    assert issued.user.credits == 50_000_000
    assert issued.user.role is Role.USER
    assert issued.user.last_login == world.clock.now()
    assert issued.expires_in_seconds == 3600
    assert world.tokens.verify(issued.access_token).user_id == issued.user.id
    assert sorted(await kinds(world)) == ["account.logged_in", "account.signed_up"]


async def test_an_email_makes_one_account_in_any_case(world: World) -> None:
    await signup(world)

    with pytest.raises(EmailTaken):
        await signup(world, "ADA@Example.COM")


async def test_of_parallel_sign_ups_with_one_email_one_succeeds(world: World) -> None:
    outcomes = await asyncio.gather(*(signup(world) for _ in range(10)), return_exceptions=True)

    assert sum(isinstance(outcome, IssuedTokens) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, EmailTaken) for outcome in outcomes) == 9
    assert await world.scalar(sa.select(sa.func.count()).select_from(users)) == 1


async def test_a_hook_that_fails_undoes_the_sign_up(world: World) -> None:
    async def no_books(tx: Transaction, user_id: UUID) -> None:
        raise RuntimeError("the books are closed")

    world.hooks.append(no_books)

    with pytest.raises(RuntimeError):
        await signup(world)

    assert await world.scalars(sa.select(users.c.id)) == []
    assert await kinds(world) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"email": "nobody"}, InvalidInput),
        ({"name": "<b>"}, InvalidInput),
        ({"password": "password1"}, WeakPassword),
        ({"password": "short"}, WeakPassword),
    ],
)
async def test_a_bad_sign_up_changes_nothing(world: World, changes: dict[str, str], error: type[InvalidInput]) -> None:
    with pytest.raises(error):
        await world.auth.signup(**{**ADA, **changes}, client=HOME)

    assert await world.scalars(sa.select(users.c.id)) == []


async def test_sign_ups_of_a_network_are_limited_even_when_they_fail(database_url: str) -> None:
    async with open_world(database_url, limits=LimitSettings(signin_per_minute=2)) as world:
        for _ in range(2):
            with pytest.raises(InvalidInput):
                await signup(world, "nobody")

        with pytest.raises(RateLimited):
            await signup(world)


# Login


async def test_a_login_opens_another_session_and_is_noted(world: World) -> None:
    first = await signup(world)
    world.clock.advance(timedelta(minutes=10))

    second = await login(world, email="ADA@example.com")

    assert second.user.last_login == world.clock.now()
    assert caller(world, first).session_id != caller(world, second).session_id
    assert (await kinds(world))[-1] == "account.logged_in"


async def test_a_wrong_password_and_an_unknown_email_are_refused_alike(world: World) -> None:
    await signup(world)

    with pytest.raises(WrongCredentials) as wrong:
        await login(world, password="wrong horse battery")
    with pytest.raises(WrongCredentials) as unknown:
        await login(world, email="eve@example.com")

    assert wrong.value.message == unknown.value.message == "Invalid email or password"
    assert (await kinds(world)).count("account.login_refused") == 2


@pytest.mark.parametrize("email", ["", "no address", "ada\0@example.com", "x" * 254])
async def test_a_login_with_what_is_no_email_is_a_wrong_login(world: World, email: str) -> None:
    with pytest.raises(WrongCredentials):
        await login(world, email=email)


async def test_an_unknown_email_costs_the_work_of_a_wrong_password(database_url: str) -> None:
    async with open_world(database_url, security=SecuritySettings(bcrypt_cost=9, login_failures=100)) as world:
        await signup(world)
        took: dict[str, list[float]] = {ADA["email"]: [], "eve@example.com": []}

        for _ in range(5):
            for email, times in took.items():
                started = time.perf_counter()
                with pytest.raises(WrongCredentials):
                    await login(world, email=email, password="wrong horse battery")
                times.append(time.perf_counter() - started)

        known, unknown = (statistics.median(times) for times in took.values())
        assert unknown > known / 2


@pytest.mark.parametrize("email", ["ada@example.com", "unknown@example.com"])
async def test_too_many_failures_pause_known_and_unknown_emails_alike(world: World, email: str) -> None:
    await signup(world)
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await login(world, email=email, password="wrong horse battery")
    world.clock.advance(timedelta(seconds=60))

    with pytest.raises(TooManyFailures) as caught:
        await login(world, email=email.upper())

    assert caught.value.headers["Retry-After"] == "840"


async def test_a_pause_ends(world: World) -> None:
    await signup(world)
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await login(world, password="wrong horse battery")

    world.clock.advance(timedelta(seconds=900))

    assert (await login(world)).user.email == ADA["email"]


async def test_a_pause_holds_for_one_network_only(world: World) -> None:
    await signup(world)
    for _ in range(5):
        with pytest.raises(WrongCredentials):
            await login(world, password="wrong horse battery", client=ELSEWHERE)

    assert (await login(world)).user.email == ADA["email"]


async def test_success_forgets_the_failures_before_it(world: World) -> None:
    await signup(world)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(WrongCredentials):
                await login(world, password="wrong horse battery")
        await login(world)

    assert await world.scalars(sa.select(login_failures.c.key)) == []


async def test_parallel_guesses_get_no_more_tries_than_the_limit(world: World) -> None:
    await signup(world)

    guesses = (login(world, password=f"wrong horse {n}") for n in range(40))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)

    assert sum(isinstance(outcome, WrongCredentials) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, TooManyFailures) for outcome in outcomes) == 35


async def test_a_deactivated_account_is_told_so_after_the_right_password_only(world: World) -> None:
    await signup(world)
    await world.change(sa.update(users).values(is_active=False))

    with pytest.raises(WrongCredentials):
        await login(world, password="wrong horse battery")
    with pytest.raises(AccountDeactivated):
        await login(world)

    assert await world.scalar(sa.select(sa.func.count()).select_from(sessions)) == 1
    assert (await kinds(world)).count("account.login_refused") == 2


async def test_a_login_brings_the_hash_to_the_present_cost(world: World) -> None:
    await signup(world)
    before = await world.scalar(sa.select(users.c.hashed_password))
    old = world.hasher
    world.hasher = PasswordHasher(SecuritySettings(bcrypt_cost=5))

    outcomes = await asyncio.gather(login(world), login(world))
    after = await world.scalar(sa.select(users.c.hashed_password))
    old.close()

    assert len(outcomes) == 2
    assert before.startswith("$2b$04$")
    assert after.startswith("$2b$05$")
    assert (await login(world)).user.email == ADA["email"]


# Refresh


async def test_a_refresh_hands_out_new_tokens_of_the_same_session(world: World) -> None:
    first = await signup(world)
    world.clock.advance(timedelta(minutes=50))

    second = await world.auth.refresh_token(first.refresh_token, client=HOME)

    assert second.refresh_token != first.refresh_token
    assert caller(world, second) == caller(world, first)
    assert world.tokens.verify(second.access_token).expires_at == world.clock.now() + timedelta(hours=1)


async def test_refresh_tokens_are_nowhere_in_the_database(world: World) -> None:
    issued = await signup(world)

    stored = await world.scalar(sa.select(refresh_tokens.c.hash))

    assert issued.refresh_token not in stored
    assert len(stored) == 64


async def test_parallel_refreshes_of_one_token_end_no_session(world: World) -> None:
    first = await signup(world)

    issued = await asyncio.gather(*(world.auth.refresh_token(first.refresh_token, client=HOME) for _ in range(20)))
    again = await world.auth.refresh_token(issued[7].refresh_token, client=HOME)

    assert len({tokens.refresh_token for tokens in issued}) == 1
    assert caller(world, again) == caller(world, first)
    assert await world.scalars(sa.select(sessions.c.revoked_at)) == [None]


async def test_of_parallel_uses_of_one_token_one_is_the_first(world: World) -> None:
    first = await signup(world)

    async def use() -> bool:
        async with world.database.work() as tx:
            return (
                await SessionRepository(tx).use_refresh_token(hash_refresh_token(first.refresh_token), salt="salt")
                is not None
            )

    assert sum(await asyncio.gather(*(use() for _ in range(20)))) == 1


async def test_a_token_that_comes_back_after_the_grace_ends_the_session(world: World) -> None:
    first = await signup(world)
    second = await world.auth.refresh_token(first.refresh_token, client=HOME)
    world.clock.advance(timedelta(seconds=10.001))

    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(first.refresh_token, client=HOME)
    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(second.refresh_token, client=HOME)

    assert await world.scalars(sa.select(sessions.c.revoked_reason)) == ["refresh_token_reuse"]
    assert (await kinds(world)).count("account.session_revoked") == 1


async def test_a_token_that_comes_back_within_the_grace_is_honoured(world: World) -> None:
    first = await signup(world)
    await world.auth.refresh_token(first.refresh_token, client=HOME)
    world.clock.advance(timedelta(seconds=10))

    again = await world.auth.refresh_token(first.refresh_token, client=HOME)

    assert caller(world, again) == caller(world, first)


async def test_a_stolen_token_ends_its_own_session_only(world: World) -> None:
    first, other = await signup(world), await login(world)
    await world.auth.refresh_token(first.refresh_token, client=HOME)
    world.clock.advance(timedelta(minutes=1))

    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(first.refresh_token, client=HOME)

    assert caller(world, await world.auth.refresh_token(other.refresh_token, client=HOME)) == caller(world, other)


@pytest.mark.parametrize("text", ["", "zr_unknown", "zr_" + "a" * 43, "zr_\0", "a.b.c"])
async def test_an_unknown_refresh_token_is_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(text, client=HOME)


async def test_an_access_token_is_no_refresh_token(world: World) -> None:
    issued = await signup(world)

    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(issued.access_token, client=HOME)


async def test_a_deactivated_account_cannot_refresh(world: World) -> None:
    issued = await signup(world)
    await world.change(sa.update(users).values(is_active=False))

    with pytest.raises(AccountDeactivated):
        await world.auth.refresh_token(issued.refresh_token, client=HOME)


# Logout and profile


async def test_a_logout_ends_the_session_once(world: World) -> None:
    issued = await signup(world)

    for _ in range(2):
        await world.auth.logout(caller(world, issued))

    with pytest.raises(InvalidRefreshToken):
        await world.auth.refresh_token(issued.refresh_token, client=HOME)
    assert (await kinds(world)).count("account.logged_out") == 1


async def test_a_logout_beside_refreshes_leaves_no_way_in(world: World) -> None:
    issued = await signup(world)
    refreshes = [world.auth.refresh_token(issued.refresh_token, client=HOME) for _ in range(5)]

    *outcomes, _ = await asyncio.gather(*refreshes, world.auth.logout(caller(world, issued)), return_exceptions=True)

    for outcome in outcomes:
        token = outcome.refresh_token if isinstance(outcome, IssuedTokens) else issued.refresh_token
        with pytest.raises(InvalidRefreshToken):
            await world.auth.refresh_token(token, client=HOME)


async def test_a_profile_changes_its_name_and_is_noted_when_it_changed(world: World) -> None:
    issued = await signup(world)
    world.clock.advance(timedelta(minutes=1))

    user = await world.auth.update_profile(caller(world, issued), name=" Ada King ")
    same = await world.auth.update_profile(caller(world, issued), name="Ada King")
    untouched = await world.auth.update_profile(caller(world, issued), name=None)

    assert (user.name, user.updated_at) == ("Ada King", world.clock.now())
    assert same == untouched == user == await world.auth.get_current_user(caller(world, issued))
    assert (await kinds(world)).count("account.profile_updated") == 1
