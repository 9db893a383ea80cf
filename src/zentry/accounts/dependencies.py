"""What routes of accounts take from the request."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from zentry.accounts.addresses import client_address, client_agent
from zentry.accounts.service import AuthService
from zentry.accounts.types import Client


async def _auth(request: Request) -> AuthService:
    return cast("AuthService", request.app.state.auth)


async def _client(request: Request) -> Client:
    return Client(
        address=client_address(request.scope, request.app.state.trusted_proxies),
        user_agent=client_agent(request.scope),
        bearer=request.headers.get("authorization", "").partition(" ")[2].strip(),
    )


AuthDep = Annotated[AuthService, Depends(_auth)]
ClientDep = Annotated[Client, Depends(_client)]
