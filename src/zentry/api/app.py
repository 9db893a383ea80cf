"""Puts the application together.

A request passes, from the outside in:

    RequestTracing   opens its span, where traces are kept
    RequestContext   names it, completes every answer's headers, writes the access log
    OnePath          `/v1/vms/` is `/vms`, HEAD is GET
    CORS             so that browsers may read errors too
    Compression      outside the boundary, because errors are answers as well
    ErrorBoundary    what anything inside raises becomes the one envelope
    RequestGuard     malformed, oversized and slow requests end here
    (given)          what the entry point adds, such as authentication and rate limits, in its order
    the routes       of all domains
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan

import zentry
from zentry.api import system, versioning
from zentry.api.docs import Choices, add_documentation, no_choices
from zentry.api.errors import Problems
from zentry.api.middleware.boundary import ErrorBoundary
from zentry.api.middleware.compression import Compression
from zentry.api.middleware.context import RequestContext
from zentry.api.middleware.cors import CORS
from zentry.api.middleware.guard import RequestGuard
from zentry.api.middleware.paths import OnePath
from zentry.api.middleware.tracing import RequestTracing
from zentry.api.openapi import build_document
from zentry.api.overview import Overview
from zentry.api.system import Cleanup, DatabaseUpkeep, Site
from zentry.platform.clock import Clock
from zentry.platform.errors import ZentryError
from zentry.platform.settings import Settings
from zentry.platform.tracing import NO_TRACING, Tracing
from zentry.platform.web import Edge

TITLE: Final = "Zentry Cloud API"
CONTACT: Final = {"name": "Zentry Cloud", "email": "support@zentry.example"}
LICENSE: Final = {"name": "MIT", "url": "https://opensource.org/license/mit"}
DESCRIPTION: Final = """\
Machines, prepaid credits that cannot be overspent, metrics: one API.

Sign up, make a project, create a machine; it is metered by the second and stops before your credit does.

* **Authentication.** Send `Authorization: Bearer <access_token>`; sign-up and login give the token.
* **Errors.** Every error is one object, `ErrorResponse`, as `application/problem+json` (RFC 9457). Program against
  `error_code`, show `detail`, and name `request_id` when you ask for help.
* **Paths.** Both spellings work, with and without a trailing slash, and every path also under `/v1`.
* **Retries.** Every write of yours accepts an `Idempotency-Key`: a repeat has no second effect, is answered with the
  resource as it is then, and carries `Idempotency-Replayed: true`. Sign-up, login, refresh and logout take none.
  `Retry-After` says when to come back after 429 and 503.
* **Versions.** A single resource has an `ETag`. Send it as `If-Match` with an update, a delete or a power call: it is
  refused with 412 when the resource has moved on.
* **Operations.** What is asked of a machine is an operation, and `GET /operations/{operation_id}?wait=30` answers when
  it has ended.
"""
TAGS: Final = (
    ("System", "What this server is, and whether it is up."),
    ("Authentication", "Sign-up, login, sessions and the account of the caller."),
    ("Projects", "Projects hold machines, and people work in them by their role."),
    ("Virtual Machines", "The life of machines: create, start, stop, restart, delete; types, images and prices."),
    ("Billing", "Credits, the lines of the bill, and what they add up to."),
    ("Monitoring", "Metrics of machines, the dashboard, and the health of the platform's parts."),
    ("Activity", "Operations: what is under way, what has ended and how."),
    ("Webhooks", "What happens, posted to your URLs, signed, and again until it is taken."),
    (
        "Administration",
        "For administrators only: accounts, quotas, operations, credits, the books, and the simulated world.",
    ),
    ("Health", "Health of server and database, and their upkeep."),
    ("API Versioning", "Versions of this API, their changes, and what moving between them takes."),
)


class Application(FastAPI):
    """FastAPI with our document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, built once."""
        if self.openapi_schema is None:
            self.openapi_schema = build_document(self)
        return self.openapi_schema


def create_app(
    *,
    settings: Settings,
    edge: Edge,
    routers: Sequence[APIRouter],
    middleware: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    tracing: Tracing = NO_TRACING,
    lifespan: Lifespan[Any] | None = None,
    clock: Clock,
    database_service: DatabaseUpkeep,
    cleanup: Cleanup,
    choices: Choices = no_choices,
) -> FastAPI:
    """Return the application of these routers; `middleware` stands before the routes, outermost first."""
    problems = Problems(clock)

    async def answer(request: Request, error: Exception) -> Response:
        return problems.response(error, request.scope)

    app = Application(
        title=TITLE,
        version=zentry.__version__,
        summary="A self-hostable cloud platform.",
        description=DESCRIPTION,
        contact=CONTACT,
        license_info=LICENSE,
        servers=_servers(settings.server.public_url),
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # What is counted and logged is ours, and no exception's text leaves because a variable is set.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        lifespan=lifespan,
        exception_handlers={ZentryError: answer, HTTPException: answer, RequestValidationError: answer},
        middleware=[
            *((Middleware(RequestTracing, tracing=tracing),) if tracing.is_on else ()),
            Middleware(RequestContext, problems=problems, clock=clock, hsts=settings.security.hsts),
            Middleware(OnePath),
            Middleware(
                CORS,
                problems=problems,
                origins=settings.server.cors_origins,
                credentials=settings.server.cors_credentials,
            ),
            Middleware(Compression, from_bytes=settings.server.compress_from_bytes),
            Middleware(ErrorBoundary, problems=problems),
            Middleware(RequestGuard, settings=settings.server),
            *(Middleware(wrap) for wrap in middleware),
        ],
    )
    app.state.edge = edge
    app.state.problems = problems
    app.state.clock = clock
    app.state.site = Site(
        upkeep=database_service, overview=Overview(edge, clock), cleanup=cleanup, settings=settings, clock=clock
    )
    for router in (
        *routers,
        system.router,
        versioning.router,
    ):  # Routes are tried in order, and the domains are asked most.
        # Not `include_router`: it would match every path twice, once to find the router and once inside it.
        app.router.routes.extend(router.routes)
    if settings.server.docs:
        add_documentation(app, choices)
    return app


def _servers(public_url: str) -> list[dict[str, Any]]:
    root = public_url.rstrip("/")
    return [
        {"url": root or "/", "description": "This server."},
        {"url": f"{root}/v1", "description": "The same under its version."},
    ]
