"""What the server is, whether it is up, and the upkeep of its database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Protocol, cast

from fastapi import APIRouter, Depends, Query, Request, Response

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
from zentry.platform.web import AdminDep, CallerDep, EdgeDep, raises
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


router = APIRouter()


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


class Site:
    """What stands behind these routes. Trouble is told in the body and by 503, never raised."""

    def __init__(
        self, *, upkeep: DatabaseUpkeep, overview: Overview, cleanup: Cleanup, settings: Settings, clock: Clock
    ) -> None:
        self.upkeep = upkeep
        self.cleanup = cleanup
        self.settings = settings
        self.clock = clock
        self._overview = overview
        self._started = clock.monotonic()

    async def database(self, response: Response) -> DatabaseHealth:
        """Whether the database answers."""
        state = await self.upkeep.health_check()
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
            timestamp=self.clock.now(),
        )

    async def full(self, response: Response) -> HealthStatus:
        """Whether the server can do its work."""
        database = await self.database(response)
        return HealthStatus(
            status=database.status,
            timestamp=database.timestamp,
            version=zentry.__version__,
            database=database,
            users_count=database.users_count,
        )

    async def simple(self, response: Response) -> SimpleHealth:
        """The same with a few figures."""
        database = await self.database(response)
        figures = await self._figures(database)
        return SimpleHealth(
            status=database.status,
            timestamp=database.timestamp,
            environment=self.settings.env,
            database=database,
            version=zentry.__version__,
            uptime=self._uptime(),
            active_users=figures.active_users if figures else None,
            total_vms=figures.live_vms if figures else None,
            running_vms=figures.running_vms if figures else None,
        )

    async def platform(self, response: Response) -> PlatformHealth:
        """Load, accounts and machines."""
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
        """Whether requests may be sent here."""
        database = await self.database(response)
        status: Literal["ready", "not_ready"] = "ready" if database.status == "healthy" else "not_ready"
        return ProbeAnswer(status=status, timestamp=database.timestamp)

    def alive(self) -> ProbeAnswer:
        """That the process answers."""
        return ProbeAnswer(status="alive", timestamp=self.clock.now())

    async def _figures(self, database: DatabaseHealth) -> Figures | None:
        return await self._overview.figures() if database.status == "healthy" else None

    def _uptime(self) -> float:
        return round(self.clock.monotonic() - self._started, 3)


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


async def _site(request: Request) -> Site:
    return cast("Site", request.app.state.site)


SiteDep = Annotated[Site, Depends(_site)]


@router.get("/", tags=["System"], summary="Say what this server is")
async def get_server_info(site: SiteDep) -> ServerInfo:
    """Name, version, the main paths and the limits in force."""
    return ServerInfo(
        message="Zentry Cloud API",
        version=zentry.__version__,
        status="running",
        environment=site.settings.env,
        docs="/docs",
        api_info={"title": "Zentry Cloud API", "version": zentry.__version__, "license": "MIT"},
        endpoints=_ENDPOINTS,
        features=list(_FEATURES),
        rate_limits=_limits_in_words(site.settings.limits),
        timestamp=site.clock.now(),
    )


@router.get("/health", tags=["Health"], summary="Check the health", responses=_ill(HealthStatus))
async def get_health(site: SiteDep, response: Response) -> HealthStatus:
    """200 when the server can do its work, 503 with the reason when it cannot."""
    return await site.full(response)


@router.get("/health-simple", tags=["Health"], summary="Check the health, with figures", responses=_ill(SimpleHealth))
async def get_simple_health(site: SiteDep, response: Response) -> SimpleHealth:
    """Health with accounts and machines of the last seconds."""
    return await site.simple(response)


@router.get("/health/database", tags=["Health"], summary="Check the database", responses=_ill(DatabaseHealth))
async def get_database_health(site: SiteDep, response: Response) -> DatabaseHealth:
    """Whether the database answers, how fast, and at which schema."""
    return await site.database(response)


@router.get("/system/health", tags=["System"], summary="See the platform at a glance", responses=_ill(PlatformHealth))
async def get_platform_health(site: SiteDep, response: Response) -> PlatformHealth:
    """Load, accounts and machines of the last seconds."""
    return await site.platform(response)


@router.get("/health/live", tags=["Health"], summary="Probe for life")
async def get_liveness(site: SiteDep) -> ProbeAnswer:
    """200 while the process answers at all; looks at nothing else, so a restart is the remedy when it fails."""
    return site.alive()


@router.get("/health/ready", tags=["Health"], summary="Probe for readiness", responses=_ill(ProbeAnswer))
async def get_readiness(site: SiteDep, response: Response) -> ProbeAnswer:
    """200 when requests may be sent here, 503 while the database is away."""
    return await site.ready(response)


@router.get(
    "/health/database/statistics",
    tags=["Health"],
    summary="Count the rows of every table",
    responses=raises(NotAllowed),
)
async def get_database_statistics(site: SiteDep, _admin: AdminDep) -> TableStatistics:
    """For administrators."""
    tables = await site.upkeep.statistics()
    return TableStatistics(tables=tables, total_rows=sum(tables.values()), timestamp=site.clock.now())


@router.post(
    "/health/database/optimize", tags=["Health"], summary="Optimise the database", responses=raises(NotAllowed)
)
async def optimize_database(site: SiteDep, _admin: AdminDep) -> APIResponse:
    """Refresh what the query planner knows about the data. For administrators."""
    result = await site.upkeep.optimize()
    return APIResponse(success=True, message="The database is optimised.", data=result, timestamp=site.clock.now())


@router.post(
    "/health/database/migrations",
    tags=["Health"],
    summary="Bring the schema up to date",
    responses=raises(NotAllowed, Unavailable),
)
async def run_database_migrations(site: SiteDep, _admin: AdminDep) -> APIResponse:
    """Run the migrations that are missing. For administrators."""
    changed = await site.upkeep.run_migrations()
    message = "The schema is up to date now." if changed else "The schema was up to date."
    return APIResponse(success=True, message=message, data={"changed": changed}, timestamp=site.clock.now())


@router.get("/health/system", tags=["Health"], summary="List records of the platform's health")
async def list_system_health(
    _caller: CallerDep,
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


@router.post("/health/cleanup", tags=["Health"], summary="Delete old records", responses=raises(NotAllowed))
async def clean_up(
    site: SiteDep,
    _admin: AdminDep,
    retention_days: Annotated[int, Query(ge=30, le=365, description="Keep what is younger, in days.")] = 90,
) -> APIResponse:
    """Delete older samples, health records and expired entries; bills and events stay. For administrators."""
    deleted = dict(await site.cleanup(retention_days=retention_days))
    total = sum(deleted.values())
    return APIResponse(
        success=True,
        message=f"{total} old rows were deleted.",
        data={"retention_days": retention_days, "total": total, "deleted": {**deleted}},
        timestamp=site.clock.now(),
    )
