"""What the server is, whether it is up, and the upkeep of its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Protocol

from fastapi import APIRouter, Query, Response

import zentry
from zentry.api.overview import Figures, Overview, list_health_records
from zentry.api.system_schemas import (
    AllocatedResources,
    DatabaseHealth,
    HealthRecord,
    HealthStatus,
    PlatformHealth,
    ProbeAnswer,
    ServerInfo,
    SimpleHealth,
    TableStatistics,
    UserStatistics,
    VMStatistics,
)
from zentry.platform.clock import Clock
from zentry.platform.db.service import HealthStatus as DatabaseState
from zentry.platform.errors import NotAllowed, Unavailable
from zentry.platform.settings import LimitSettings, Settings
from zentry.platform.web import AdminDep, CallerDep, Edge, EdgeDep, raises
from zentry.platform.wire import APIResponse

_UNAVAILABLE: Final = 503
_BUSY_SHARE: Final = 0.9
_FEATURES: Final = (
    "accounts",
    "projects",
    "virtual-machines",
    "prepaid-credits",
    "per-second-metering",
    "monitoring",
    "idempotency-keys",
)
_ENDPOINTS: Final = {
    "documentation": "/docs",
    "reference": "/redoc",
    "openapi": "/openapi.json",
    "health_check": "/health",
    "authentication": "/auth",
    "projects": "/projects",
    "vms": "/vms",
    "pricing": "/vms/pricing/info",
    "billing": "/billing",
    "monitoring": "/monitoring",
    "versions": "/api/versions",
}


class DatabaseUpkeep(Protocol):
    """What these routes ask of the database's service."""

    async def health_check(self) -> DatabaseState:
        """Return how the database is, without raising."""
        ...

    async def statistics(self) -> dict[str, int]:
        """Return rows per table."""
        ...

    async def optimize(self) -> dict[str, Any]:
        """Refresh the planner's knowledge."""
        ...

    async def run_migrations(self) -> bool:
        """Bring the schema up to date; False when it was."""
        ...


class Cleanup(Protocol):
    """Deletes what is old in every domain; each deletes its own."""

    async def __call__(self, *, retention_days: int) -> Mapping[str, int]:
        """Delete what is older, and return how many rows went from each table."""
        ...


def system_router(
    *, database: DatabaseUpkeep, cleanup: Cleanup | None, settings: Settings, edge: Edge, clock: Clock
) -> APIRouter:
    """Return the routes of the server itself."""
    router = APIRouter()
    probes = _Probes(database, Overview(edge, clock), settings, clock)
    _add_information(router, settings, clock)
    _add_probes(router, probes)
    _add_upkeep(router, database, clock)
    if cleanup is not None:
        _add_cleanup(router, cleanup, clock)
    return router


def _add_information(router: APIRouter, settings: Settings, clock: Clock) -> None:
    @router.get("/", tags=["System"], summary="Say what this server is")
    async def get_server_info() -> ServerInfo:
        """Name, version, the main paths and the limits in force."""
        return ServerInfo(
            message="Zentry Cloud API",
            version=zentry.__version__,
            status="running",
            environment=settings.env,
            docs="/docs",
            api_info={"title": "Zentry Cloud API", "version": zentry.__version__, "license": "MIT"},
            endpoints=_ENDPOINTS,
            features=list(_FEATURES),
            rate_limits=_limits_in_words(settings.limits),
            timestamp=clock.now(),
        )


def _limits_in_words(limits: LimitSettings) -> dict[str, str]:
    named = {
        "authentication": (limits.signin_per_minute, "per network"),
        "writes": (limits.writes_per_minute, "per account"),
        "reads": (limits.reads_per_minute, "per token"),
        "anonymous": (limits.anonymous_per_minute, "per network"),
    }
    return {name: f"{count} per minute {whom}" if count else "unlimited" for name, (count, whom) in named.items()}


def _ill(model: type[Any]) -> dict[int | str, dict[str, Any]]:
    return {_UNAVAILABLE: {"model": model, "description": "The database is away."}}


class _Probes:
    """Answers of the health routes: trouble is told in the body and by 503, never raised."""

    def __init__(self, database: DatabaseUpkeep, overview: Overview, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._overview = overview
        self._settings = settings
        self._clock = clock
        self._started = clock.monotonic()

    async def database(self, response: Response) -> DatabaseHealth:
        state = await self._database.health_check()
        if state.status != "healthy":
            response.status_code = _UNAVAILABLE
        return DatabaseHealth(
            status=state.status,
            type=state.type,
            response_time_ms=state.response_time_ms,
            users_count=state.users_count,
            schema_revision=state.schema_revision,
            pool=state.pool,
            error=state.error,
            timestamp=self._clock.now(),
        )

    async def full(self, response: Response) -> HealthStatus:
        database = await self.database(response)
        return HealthStatus(
            status=database.status,
            timestamp=database.timestamp,
            version=zentry.__version__,
            database=database,
            users_count=database.users_count,
        )

    async def simple(self, response: Response) -> SimpleHealth:
        database = await self.database(response)
        figures = await self._figures(database)
        return SimpleHealth(
            status=database.status,
            timestamp=database.timestamp,
            environment=self._settings.env,
            database=database,
            version=zentry.__version__,
            uptime=self._uptime(),
            active_users=figures.active_users if figures else None,
            total_vms=figures.live_vms if figures else None,
            running_vms=figures.running_vms if figures else None,
        )

    async def platform(self, response: Response) -> PlatformHealth:
        database = await self.database(response)
        figures = await self._figures(database)
        return PlatformHealth(
            status=_load(database, figures),
            timestamp=database.timestamp,
            uptime=self._uptime(),
            version=zentry.__version__,
            database=database,
            vm_statistics=_vm_statistics(figures),
            resource_usage=_allocated(figures),
            user_statistics=UserStatistics(total=figures.users, active=figures.active_users) if figures else None,
        )

    async def ready(self, response: Response) -> ProbeAnswer:
        database = await self.database(response)
        status: Literal["ready", "not_ready"] = "ready" if database.status == "healthy" else "not_ready"
        return ProbeAnswer(status=status, timestamp=database.timestamp)

    def alive(self) -> ProbeAnswer:
        return ProbeAnswer(status="alive", timestamp=self._clock.now())

    async def _figures(self, database: DatabaseHealth) -> Figures | None:
        return await self._overview.figures() if database.status == "healthy" else None

    def _uptime(self) -> float:
        return round(self._clock.monotonic() - self._started, 3)


def _load(database: DatabaseHealth, figures: Figures | None) -> Literal["healthy", "high_load", "idle", "unhealthy"]:
    if figures is None:
        return "unhealthy"
    if database.pool.get("in_use", 0) >= _BUSY_SHARE * database.pool.get("limit", 1):
        return "high_load"
    return "healthy" if figures.running_vms else "idle"


def _vm_statistics(figures: Figures | None) -> VMStatistics | None:
    if figures is None:
        return None
    return VMStatistics(total=figures.live_vms, running=figures.running_vms, by_status=dict(figures.vms_by_status))


def _allocated(figures: Figures | None) -> AllocatedResources | None:
    if figures is None:
        return None
    return AllocatedResources(vcpus=figures.vcpus, memory_mib=figures.memory_mib, disk_gib=figures.disk_gib)


def _add_probes(router: APIRouter, probes: _Probes) -> None:
    @router.get("/health", tags=["Health"], summary="Check the health", responses=_ill(HealthStatus))
    async def get_health(response: Response) -> HealthStatus:
        """200 when the server can do its work, 503 with the reason when it cannot."""
        return await probes.full(response)

    @router.get(
        "/health-simple", tags=["Health"], summary="Check the health, with figures", responses=_ill(SimpleHealth)
    )
    async def get_simple_health(response: Response) -> SimpleHealth:
        """Health with accounts and machines of the last seconds."""
        return await probes.simple(response)

    @router.get("/health/database", tags=["Health"], summary="Check the database", responses=_ill(DatabaseHealth))
    async def get_database_health(response: Response) -> DatabaseHealth:
        """Whether the database answers, how fast, and at which schema."""
        return await probes.database(response)

    @router.get(
        "/system/health", tags=["System"], summary="See the platform at a glance", responses=_ill(PlatformHealth)
    )
    async def get_platform_health(response: Response) -> PlatformHealth:
        """Load, accounts and machines of the last seconds."""
        return await probes.platform(response)

    @router.get("/health/live", tags=["Health"], summary="Probe for life")
    async def get_liveness() -> ProbeAnswer:
        """200 while the process answers at all; looks at nothing else, so a restart is the remedy when it fails."""
        return probes.alive()

    @router.get("/health/ready", tags=["Health"], summary="Probe for readiness", responses=_ill(ProbeAnswer))
    async def get_readiness(response: Response) -> ProbeAnswer:
        """200 when requests may be sent here, 503 while the database is away."""
        return await probes.ready(response)


def _add_upkeep(router: APIRouter, database: DatabaseUpkeep, clock: Clock) -> None:
    @router.get(
        "/health/database/statistics",
        tags=["Health"],
        summary="Count the rows of every table",
        responses=raises(NotAllowed),
    )
    async def get_database_statistics(caller: AdminDep) -> TableStatistics:  # noqa: ARG001  # administrators only
        """For administrators."""
        tables = await database.statistics()
        return TableStatistics(tables=tables, total_rows=sum(tables.values()), timestamp=clock.now())

    @router.post(
        "/health/database/optimize", tags=["Health"], summary="Optimise the database", responses=raises(NotAllowed)
    )
    async def optimize_database(caller: AdminDep) -> APIResponse:  # noqa: ARG001  # administrators only
        """Refresh what the query planner knows about the data. For administrators."""
        result = await database.optimize()
        return APIResponse(success=True, message="The database is optimised.", data=result, timestamp=clock.now())

    @router.post(
        "/health/database/migrations",
        tags=["Health"],
        summary="Bring the schema up to date",
        responses=raises(NotAllowed, Unavailable),
    )
    async def run_database_migrations(caller: AdminDep) -> APIResponse:  # noqa: ARG001  # administrators only
        """Run the migrations that are missing. For administrators."""
        changed = await database.run_migrations()
        message = "The schema is up to date now." if changed else "The schema was up to date."
        return APIResponse(success=True, message=message, data={"changed": changed}, timestamp=clock.now())

    @router.get("/health/system", tags=["Health"], summary="List records of the platform's health")
    async def list_system_health(
        caller: CallerDep,  # noqa: ARG001  # whoever is signed in
        edge: EdgeDep,
        component: Annotated[
            str | None, Query(min_length=1, max_length=100, description="Only this component.", examples=["database"])
        ] = None,
        hours: Annotated[int, Query(ge=1, le=168, description="Length of the period in hours, up to now.")] = 24,
    ) -> list[HealthRecord]:
        """Return how the platform's parts were over the last hours, newest first, at most a thousand records."""
        async with edge.read() as tx:
            records = await list_health_records(tx, component=component, hours=hours)
        return [HealthRecord.model_validate(record) for record in records]


def _add_cleanup(router: APIRouter, cleanup: Cleanup, clock: Clock) -> None:
    @router.post("/health/cleanup", tags=["Health"], summary="Delete old records", responses=raises(NotAllowed))
    async def clean_up(
        caller: AdminDep,  # noqa: ARG001  # administrators only
        retention_days: Annotated[int, Query(ge=30, le=365, description="Keep what is younger, in days.")] = 90,
    ) -> APIResponse:
        """Delete older samples, health records and expired entries; bills and events stay. For administrators."""
        deleted = dict(await cleanup(retention_days=retention_days))
        total = sum(deleted.values())
        return APIResponse(
            success=True,
            message=f"{total} old rows were deleted.",
            data={"retention_days": retention_days, "total": total, "deleted": {**deleted}},
            timestamp=clock.now(),
        )
