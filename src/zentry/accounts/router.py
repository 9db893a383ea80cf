"""Routes of accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response, status
from pydantic import SecretStr

from zentry.accounts.account_schemas import SecondFactorLogin
from zentry.accounts.dependencies import AuthDep, ClientDep
from zentry.accounts.errors import (
    AccountDeactivated,
    EmailTaken,
    HashingBusy,
    InvalidAccessToken,
    InvalidLink,
    InvalidRefreshToken,
    RateLimited,
    SecondFactorRequired,
    TooManyFailures,
    WeakPassword,
    WrongCode,
    WrongCredentials,
)
from zentry.accounts.schemas import Token, TokenRefresh, UserLogin, UserResponse, UserSignup, UserUpdate
from zentry.operations.once import OnceDep
from zentry.platform.errors import (
    IdempotencyMismatch,
    InvalidInput,
    NotAuthenticated,
    PreconditionFailed,
    Unavailable,
)
from zentry.platform.web import WITH_ETAG, CallerDep, MatchDep, raises
from zentry.platform.wire import APIResponse

router = APIRouter(prefix="/auth", tags=["Authentication"])


@router.post(
    "/signup",
    status_code=status.HTTP_201_CREATED,
    summary="Sign up",
    response_description="The new account and its first tokens.",
    responses=raises(InvalidInput, WeakPassword, EmailTaken, RateLimited, HashingBusy),
)
async def signup(body: UserSignup, auth: AuthDep, client: ClientDep, response: Response) -> Token:
    """Create an account, credit it with the welcome grant, and log it in.

    An e-mail that is registered already is a conflict. Sign-ups and logins of one network share a
    rate limit.
    """
    issued = await auth.signup(
        email=body.email, name=body.name, password=body.password.get_secret_value(), client=client
    )
    return _answer(response, Token.of(issued))


@router.post(
    "/login",
    summary="Log in",
    response_description="The account and the tokens of a new session.",
    responses=raises(
        InvalidInput,
        WrongCredentials,
        SecondFactorRequired,
        AccountDeactivated,
        TooManyFailures,
        RateLimited,
        HashingBusy,
    ),
)
async def login(body: UserLogin, auth: AuthDep, client: ClientDep, response: Response) -> Token:
    """Exchange e-mail and password for tokens.

    An account with a second factor is answered with 401 `SECOND_FACTOR_REQUIRED` and a challenge in
    `details`. A wrong password and an unknown e-mail are answered alike. After several failures sign-in with
    this e-mail pauses for whoever asks from the same network; `Retry-After` says for how long.
    """
    issued = await auth.login(email=body.email, password=body.password.get_secret_value(), client=client)
    return _answer(response, Token.of(issued))


@router.post(
    "/login/second-factor",
    summary="Complete a login with a code",
    response_description="The account and the tokens of a new session.",
    responses=raises(InvalidInput, InvalidLink, WrongCode, AccountDeactivated, TooManyFailures, RateLimited),
)
async def complete_login(body: SecondFactorLogin, auth: AuthDep, client: ClientDep, response: Response) -> Token:
    """Send the challenge of the login with a code of the authenticator, or with a recovery code.

    The challenge takes the place of a token; it is good once, for five minutes.
    """
    issued = await auth.complete_login(challenge=body.challenge.get_secret_value(), code=body.code, client=client)
    return _answer(response, Token.of(issued))


@router.post(
    "/refresh",
    summary="Refresh the tokens",
    response_description="New tokens of the same session.",
    responses=raises(InvalidInput, InvalidRefreshToken, AccountDeactivated, Unavailable),
)
async def refresh(
    auth: AuthDep,
    client: ClientDep,
    response: Response,
    body: Annotated[TokenRefresh | None, Body(description="The refresh token; preferred over the query.")] = None,
    refresh_token: Annotated[
        SecretStr | None,
        Query(
            description="The refresh token, for clients that cannot send a body.",
            min_length=1,
            max_length=200,
        ),
    ] = None,
) -> Token:
    """Exchange a refresh token for a new pair.

    Each refresh token can be used once. Within a few seconds it is answered with the same successor
    again, for a client whose answer got lost; later it has been copied, so the session ends for
    whoever holds it.
    """
    sent = refresh_token if body is None else body.refresh_token
    if sent is None:
        raise NotAuthenticated('Send the refresh token in the body: {"refresh_token": "…"}.')
    return _answer(response, Token.of(await auth.refresh_token(sent.get_secret_value(), client=client)))


@router.post(
    "/logout",
    summary="Log out",
    response_description="The session has ended.",
    responses=raises(InvalidAccessToken, AccountDeactivated, Unavailable),
)
async def logout(caller: CallerDep, auth: AuthDep) -> APIResponse:
    """End the session of the access token; its tokens are refused from then on."""
    return APIResponse(success=True, message="Logged out", timestamp=await auth.logout(caller))


@router.get(
    "/me",
    summary="Show the own account",
    response_description="The account with its balance and counts.",
    responses={200: WITH_ETAG, **raises(InvalidAccessToken, AccountDeactivated, Unavailable)},
)
async def get_current_user(caller: CallerDep, auth: AuthDep, response: Response) -> UserResponse:
    """Return the account that the access token belongs to."""
    profile = await auth.get_current_user(caller)
    response.headers["ETag"] = profile.etag
    return UserResponse.of(profile)


@router.put(
    "/profile",
    summary="Change the own profile",
    response_description="The account as it is now.",
    responses={
        200: WITH_ETAG,
        **raises(
            InvalidInput, InvalidAccessToken, AccountDeactivated, Unavailable, PreconditionFailed, IdempotencyMismatch
        ),
    },
)
async def update_profile(
    body: UserUpdate, caller: CallerDep, auth: AuthDep, response: Response, once: OnceDep, match: MatchDep
) -> UserResponse:
    """Change the name; what is left out stays as it is."""
    profile = await auth.update_profile(caller, name=body.name, once=once, match=match)
    response.headers.update({"ETag": profile.etag, **once.headers})
    return UserResponse.of(profile)


def _answer(response: Response, token: Token) -> Token:
    response.headers["Cache-Control"] = "no-store"
    return token
