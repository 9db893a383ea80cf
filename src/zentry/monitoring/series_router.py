"""Figures of machines, projects and accounts over any period."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.metrics import MetricsService
from zentry.monitoring.probe import Probe
from zentry.monitoring.schemas.series import CurrentMetrics, MetricsSeries, as_csv
from zentry.monitoring.series import SeriesService, Subject, Subjects, Wish, current
from zentry.monitoring.store import ALL, Aggregation, Metric
from zentry.platform.errors import InvalidInput, NotFound
from zentry.platform.ids import parse_id
from zentry.platform.instants import QueryInstant, first_instant, last_instant
from zentry.platform.web import CallerDep, EdgeDep, raises
from zentry.projects.errors import ProjectNotFound

router = APIRouter(prefix="/monitoring", tags=["Monitoring"])

Format = Literal["json", "csv"]
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/csv": {"example": "timestamp,samples,cpu_usage\n2026-01-15T10:30:00Z,10,23.5\n"},
        }
    }
}
_EXAMPLE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


def _wish(
    metrics: Annotated[
        list[Metric] | None, Query(max_length=len(ALL), description="Which metrics; all of them where none is named.")
    ] = None,
    start: Annotated[QueryInstant | None, Query(description="From when on; by default a day before the end.")] = None,
    end: Annotated[QueryInstant | None, Query(description="Until when; by default now.")] = None,
    step: Annotated[
        int | None,
        Query(ge=1, le=31_536_000, description="Width of a step in seconds; by default there are some 200 steps."),
    ] = None,
    aggregation: Annotated[
        Aggregation, Query(description="What becomes of the samples of a step.")
    ] = Aggregation.AVERAGE,
    compare: Annotated[  # noqa: FBT002 - FastAPI calls it by name
        bool,
        Query(description="Whether to show the period of the same length before as well."),
    ] = False,
) -> Wish:
    return Wish(
        names=tuple(dict.fromkeys(metrics or ALL)),
        aggregation=aggregation,
        start=None if start is None else first_instant(start),
        end=None if end is None else last_instant(end),
        step_seconds=step,
        compare=compare,
    )


async def _series(request: Request) -> SeriesService:
    return cast("SeriesService", request.app.state.series)


WishDep = Annotated[Wish, Depends(_wish)]
SeriesDep = Annotated[SeriesService, Depends(_series)]
FormatParameter = Annotated[Format, Query(alias="format", description="json, or csv: a line for each step.")]
VMId = Annotated[str, Path(description="Id of a VM.", examples=[_EXAMPLE])]
ProjectId = Annotated[str, Path(description="Id of a project.", examples=[_EXAMPLE])]


@router.get(
    "/vms/{vm_id}/series",
    summary="Show a VM's metrics over any period",
    responses=_CSV | raises(InvalidInput, NotFound, MetricsUnavailable),
    response_model=MetricsSeries,
)
async def get_vm_series(
    vm_id: VMId, caller: CallerDep, edge: EdgeDep, series: SeriesDep, wish: WishDep, form: FormatParameter = "json"
) -> MetricsSeries | Response:
    """Read averages or peaks of a VM in steps of any width. A step without samples is a gap and stays one."""
    async with edge.read() as tx:
        subject = await Subjects(tx).vm(parse_id(vm_id), caller=caller)
    return await _answer(series, subject, wish, form)


@router.get(
    "/projects/{project_id}/series",
    summary="Show a project's metrics over any period",
    responses=_CSV | raises(InvalidInput, ProjectNotFound, MetricsUnavailable),
    response_model=MetricsSeries,
)
async def get_project_series(
    project_id: ProjectId,
    caller: CallerDep,
    edge: EdgeDep,
    series: SeriesDep,
    wish: WishDep,
    form: FormatParameter = "json",
) -> MetricsSeries | Response:
    """Read the metrics of a project's VMs together: the mean of their usages, and the sum of their throughput."""
    async with edge.read() as tx:
        subject = await Subjects(tx).project(parse_id(project_id), caller=caller)
    return await _answer(series, subject, wish, form)


@router.get(
    "/series",
    summary="Show your metrics over any period",
    responses=_CSV | raises(InvalidInput, MetricsUnavailable),
    response_model=MetricsSeries,
)
async def get_account_series(
    caller: CallerDep, edge: EdgeDep, series: SeriesDep, wish: WishDep, form: FormatParameter = "json"
) -> MetricsSeries | Response:
    """Read the metrics of all your VMs together: the mean of their usages, and the sum of their throughput."""
    async with edge.read() as tx:
        subject = await Subjects(tx).account(caller=caller)
    return await _answer(series, subject, wish, form)


@router.get("/projects/{project_id}/metrics", summary="Show a project's load", responses=raises(ProjectNotFound))
async def get_project_metrics(
    project_id: ProjectId, caller: CallerDep, edge: EdgeDep, request: Request
) -> CurrentMetrics:
    """Read the load of a project's running VMs now, together."""
    async with edge.read() as tx:
        subject = await Subjects(tx).project(parse_id(project_id), caller=caller)
    return await _now(request, subject)


@router.get("/metrics", summary="Show your load")
async def get_account_metrics(caller: CallerDep, edge: EdgeDep, request: Request) -> CurrentMetrics:
    """Read the load of all your running VMs now, together."""
    async with edge.read() as tx:
        subject = await Subjects(tx).account(caller=caller)
    return await _now(request, subject)


async def _answer(series: SeriesService, subject: Subject, wish: Wish, form: Format) -> MetricsSeries | Response:
    answer = await series.read(subject, wish)
    if form == "json":
        return MetricsSeries.shown(answer)
    name = f"{subject.scope}-{subject.id}-{_day(answer.series.start)}-{_day(answer.series.end)}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(answer), media_type="text/csv", headers=headers)


def _day(instant: datetime) -> str:
    return f"{instant:%Y%m%d}"


async def _now(request: Request, subject: Subject) -> CurrentMetrics:
    """Measure machines that run; what cannot be measured shows what is stored."""
    probe: Probe = request.app.state.probe
    metrics: MetricsService = request.app.state.metrics
    live = await probe.sample(subject.running)
    stored = await metrics.latest([vm_id for vm_id in subject.running if vm_id not in live])
    samples = {**stored, **live}
    return CurrentMetrics.of(subject, current(subject, samples), measured=len(samples))
