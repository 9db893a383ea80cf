"""What routes of accounts take from the request."""

from __future__ import annotations

from typing import Annotated, Final, cast

from fastapi import Depends, Request

from zentry.accounts.addresses import client_address
from zentry.accounts.service import AuthService
from zentry.accounts.types import Client

_MAX_USER_AGENT: Final = 200


async def _auth(request: Request) -> AuthService:
    return cast("AuthService", request.app.state.auth)


async def _client(request: Request) -> Client:
    user_agent = "".join(character for character in request.headers.get("user-agent", "") if character.isprintable())
    return Client(
        address=client_address(request.scope, request.app.state.trusted_proxies),
        user_agent=user_agent[:_MAX_USER_AGENT],
        bearer=request.headers.get("authorization", "").partition(" ")[2].strip(),
    )


AuthDep = Annotated[AuthService, Depends(_auth)]
ClientDep = Annotated[Client, Depends(_client)]
