"""What routes of accounts take from the request."""

from __future__ import annotations

from typing import Annotated, Final, cast

from fastapi import Depends, Request

from zentry.accounts.account_service import AccountService
from zentry.accounts.addresses import client_address, client_agent
from zentry.accounts.service import AuthService
from zentry.accounts.types import Client
from zentry.platform.web import CallerDep


async def _auth(request: Request) -> AuthService:
    return cast("AuthService", request.app.state.auth)


async def _client(request: Request) -> Client:
    return Client(
        address=client_address(request.scope, request.app.state.trusted_proxies),
        user_agent=client_agent(request.scope),
        bearer=request.headers.get("authorization", "").partition(" ")[2].strip(),
    )


async def _accounts(request: Request) -> AccountService:
    return cast("AccountService", request.app.state.accounts)


AuthDep = Annotated[AuthService, Depends(_auth)]
ClientDep = Annotated[Client, Depends(_client)]
AccountsDep = Annotated[AccountService, Depends(_accounts)]


async def _proven_lately(caller: CallerDep, accounts: AccountsDep) -> None:
    await accounts.ensure_proven_lately(caller)


PROVEN_LATELY: Final = Depends(_proven_lately)
"""For `dependencies` of a route that gives power away: a session that was left open must not be enough."""
