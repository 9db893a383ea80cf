"""Samples in VictoriaMetrics, a store of time series beside the database, for large fleets.

One series for each machine and metric: `zentry_vm_cpu_usage{vm_id="…"}`. The server keeps samples as
they came for as long as `-retentionPeriod` says, at some two bytes a value, so there is nothing to
roll up and late samples simply take their place. It must run with `-dedup.minScrapeInterval=1ms`,
which is what makes a sample that comes twice count once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import MAX_AHEAD, Aggregation, Bucket, Metric, Query, acceptable
from zentry.platform.clock import Clock
from zentry.platform.settings import MonitoringSettings

_MEASUREMENT: Final = "zentry_vm"
_MACHINES_AT_ONCE: Final = 100
"""Machines named in one query: the server takes 16 KiB of text, and each is named for every figure."""
_TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)
_ROLLED: Final = {Aggregation.AVERAGE: "avg_over_time", Aggregation.PEAK: "max_over_time"}
_SAMPLES: Final = "samples"
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class VictoriaMetricsStore:
    """Keeps samples in a VictoriaMetrics server."""

    name = "victoriametrics"

    def __init__(self, *, settings: MonitoringSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client = httpx.AsyncClient(
            base_url=settings.victoria_url.get_secret_value(), timeout=_TIMEOUT, trust_env=False
        )

    async def record(self, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and millisecond is dropped."""
        now = self._clock.now()
        kept = acceptable(samples, now=now, oldest=now - timedelta(days=self._settings.retention_1h_days))
        if kept:
            lines = "\n".join(map(_line, kept))
            await self._ask("POST", "/write", params={"precision": "ms"}, content=lines.encode())

    async def query(self, query: Query) -> Mapping[UUID, Sequence[Bucket]]:
        """Return the steps of each machine that has samples, oldest first."""
        found: dict[UUID, list[Bucket]] = {}
        for chunk in _chunks(query.vm_ids):
            figures: defaultdict[UUID, _Figures] = defaultdict(lambda: defaultdict(dict))
            async for number, labels, value in self._figures(query, _each(query, chunk)):
                figures[UUID(labels["vm_id"])][number][labels["figure"], _metric(labels)] = value
            found |= {vm_id: _buckets(query, of_one) for vm_id, of_one in figures.items()}
        return found

    async def query_together(self, query: Query) -> Sequence[Bucket]:
        """Return the steps of all the machines taken together, oldest first."""
        sums: _Figures = defaultdict(dict)
        for chunk in _chunks(query.vm_ids):
            async for number, labels, value in self._figures(query, _all(query, chunk)):
                figure, metric = labels["figure"], _metric(labels)
                before = sums[number].get((figure, metric))
                unite = max if figure == Aggregation.PEAK else float.__add__
                sums[number][figure, metric] = value if before is None else unite(before, value)
        for values in sums.values():
            for name in query.names:
                machines = values.pop(("machines", name), None)
                if machines and not name.adds_up:
                    values[Aggregation.AVERAGE, name] /= machines
        return _buckets(query, sums)

    async def latest(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one from the last days."""
        found: dict[UUID, dict[str, float]] = {}
        at = self._clock.now() + MAX_AHEAD
        window = f"{self._settings.retention_days * 86_400}s"
        for chunk in _chunks(vm_ids):
            series = f"{_selector(Metric, chunk)}[{window}]"
            when = f"{_selector([Metric.CPU_USAGE], chunk)}[{window}]"
            text = f"union({_named('value', f'last_over_time({series})')}, {_named('at', f'tlast_over_time({when})')})"
            for labels, points in await self._series("/api/v1/query", text, time=_seconds(at)):
                key = "at" if labels["figure"] == "at" else _metric(labels)
                found.setdefault(UUID(labels["vm_id"]), {})[key] = points[0][1]
        return {
            vm_id: Sample(
                vm_id=vm_id,
                recorded_at=_EPOCH + timedelta(milliseconds=round(1000 * values.pop("at"))),
                **{str(name): value for name, value in values.items()},
            )
            for vm_id, values in found.items()
            if len(values) == len(Metric) + 1
        }

    def finest_step(self, start: datetime, *, now: datetime) -> int:  # noqa: ARG002 - samples are kept as they came
        """Return one second: samples are kept as they came."""
        return 1

    async def maintain(self) -> None:
        """Do nothing: the server forgets by itself what is older than its `-retentionPeriod`."""

    async def prune(self, *, before: datetime, limit: int) -> int:  # noqa: ARG002 - it is the server's own affair
        """Forget nothing: the server does, by its `-retentionPeriod`."""
        return 0

    async def check(self) -> None:
        """Raise `MetricsUnavailable` unless the server answers."""
        await self._ask("GET", "/health")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _figures(self, query: Query, text: str) -> AsyncIterator[tuple[int, dict[str, str], float]]:
        """Yield step, labels and value of every figure of the span: steps cut off at its ends are asked for apart."""
        for start, end, step in _stretches(query):
            window = f"{_milliseconds(end if step is None else start + step) - _milliseconds(start)}ms"
            span = text.replace("[]", f"[{window}]")
            if step is None:
                found = await self._series("/api/v1/query", span, time=_seconds(end - _MILLISECOND))
            else:
                found = await self._series(
                    "/api/v1/query_range",
                    span,
                    start=_seconds(start + step - _MILLISECOND),
                    end=_seconds(end - _MILLISECOND),
                    step=f"{query.step_seconds}s",
                )
            for labels, points in found:
                for at, value in points:
                    yield math.floor(at / query.step_seconds), labels, value

    async def _series(
        self, path: str, text: str, **when: str
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        # What comes late would be missing from answers that the server has kept.
        answer = await self._ask("POST", path, data={"query": text, "nocache": "1", **when})
        return [
            (one["metric"], [(float(at), float(value)) for at, value in one.get("values") or [one["value"]]])
            for one in answer.json()["data"]["result"]
        ]

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, path, **more)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise MetricsUnavailable from error
        return answer


_Figures = defaultdict[int, dict[tuple[str, Metric], float]]


def _line(sample: Sample) -> str:
    """Return a sample in the line protocol: each field becomes a series."""
    fields = ",".join(f"{name}={getattr(sample, name)!r}" for name in Metric)
    return f"{_MEASUREMENT},vm_id={sample.vm_id} {fields} {_milliseconds(sample.recorded_at)}"


def _chunks(vm_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (vm_ids[first : first + _MACHINES_AT_ONCE] for first in range(0, len(vm_ids), _MACHINES_AT_ONCE))


def _selector(names: Sequence[Metric] | type[Metric], vm_ids: Sequence[UUID]) -> str:
    series = "|".join(f"{_MEASUREMENT}_{name}" for name in names)
    return f'{{__name__=~"{series}",vm_id=~"{"|".join(map(str, vm_ids))}"}}'


def _named(figure: str, text: str) -> str:
    return f'label_set({text} keep_metric_names, "figure", "{figure}")'


def _each(query: Query, vm_ids: Sequence[UUID]) -> str:
    """Return the query for the figures of every machine; the window is put in where `[]` stands."""
    series = f"{_selector(query.names, vm_ids)}[]"
    one = f"{_selector(query.names[:1], vm_ids)}[]"
    figures = [_named(kind, f"{_ROLLED[kind]}({series})") for kind in query.aggregations]
    return f"union({', '.join([*figures, _named(_SAMPLES, f'count_over_time({one})')])})"


def _all(query: Query, vm_ids: Sequence[UUID]) -> str:
    """Return the query for what figures of machines together are made of: sums, maxima and how many they are."""

    def over(function: str, rolled: str, names: Sequence[Metric]) -> str:
        return f"{function}({rolled}({_selector(names, vm_ids)}[]) keep_metric_names) by (__name__)"

    figures = []
    if Aggregation.AVERAGE in query.aggregations:
        figures.append((Aggregation.AVERAGE.value, over("sum", "avg_over_time", query.names)))
        figures.append(("machines", over("count", "avg_over_time", query.names)))
    if Aggregation.PEAK in query.aggregations:
        figures.append((Aggregation.PEAK.value, over("max", "max_over_time", query.names)))
    figures.append((_SAMPLES, over("sum", "count_over_time", query.names[:1])))
    labelled = [f'label_set({text}, "figure", "{figure}")' for figure, text in figures]
    return f"union({', '.join(labelled)})"


def _stretches(query: Query) -> Iterator[tuple[datetime, datetime, timedelta | None]]:
    """Cut the span into whole steps and what is left at its ends; the latter have no step."""
    if not query.points or not query.vm_ids:
        return
    step = timedelta(seconds=query.step_seconds)
    first = _EPOCH + math.ceil((query.start - _EPOCH) / step) * step
    last = _EPOCH + math.floor((query.end - _EPOCH) / step) * step
    if first > last:
        yield query.start, query.end, None
        return
    if query.start < first:
        yield query.start, first, None
    if first < last:
        yield first, last, step
    if last < query.end:
        yield last, query.end, None


def _metric(labels: Mapping[str, str]) -> Metric:
    return Metric(labels["__name__"].removeprefix(f"{_MEASUREMENT}_"))


def _buckets(query: Query, figures: _Figures) -> list[Bucket]:
    def values(of_step: Mapping[tuple[str, Metric], float], kind: Aggregation) -> dict[Metric, float]:
        return {metric: value for (figure, metric), value in of_step.items() if figure == kind}

    return [
        Bucket(
            starts_at=query.starts_at(number),
            samples=round(of_step[_SAMPLES, query.names[0]]),
            average=values(of_step, Aggregation.AVERAGE),
            peak=values(of_step, Aggregation.PEAK),
        )
        for number, of_step in sorted(figures.items())
    ]


def _milliseconds(instant: datetime) -> int:
    return math.ceil((instant - _EPOCH) / _MILLISECOND)


def _seconds(instant: datetime) -> str:
    return f"{_milliseconds(instant) / 1000:.3f}"
