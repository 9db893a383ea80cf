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
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from zentry.compute.types import Sample
from zentry.monitoring.errors import MetricsUnavailable
from zentry.monitoring.store import MAX_AHEAD, Aggregation, Bucket, Metric, Query, acceptable
from zentry.monitoring.victoria_client import FORM, VictoriaClient
from zentry.platform.clock import Clock
from zentry.platform.settings import MonitoringSettings

_MEASUREMENT: Final = "zentry_vm"
_MACHINES_AT_ONCE: Final = 100
"""Machines named in one query: the server takes 16 KiB of text, and each is named for every figure."""
_AVERAGE: Final = "avg_over_time"
_PEAK: Final = "max_over_time"
_SAMPLES: Final = "count_over_time"
_MACHINES: Final = "machines"
_ROLLED: Final = {Aggregation.AVERAGE: _AVERAGE, Aggregation.PEAK: _PEAK}
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class VictoriaMetricsStore:
    """Keeps samples in a VictoriaMetrics server."""

    name = "victoriametrics"

    def __init__(self, *, settings: MonitoringSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client = VictoriaClient(settings.victoria_url.get_secret_value())

    async def record(self, samples: Sequence[Sample]) -> None:
        """Keep samples; a second one of the same machine and millisecond is dropped."""
        now = self._clock.now()
        kept = acceptable(samples, now=now, oldest=now - timedelta(days=self._settings.retention_1h_days))
        if kept:
            lines = "\n".join(map(_line, kept))
            await self._client.ask("POST", "/write?precision=ms", lines.encode())

    async def query(self, query: Query) -> Mapping[UUID, Sequence[Bucket]]:
        """Return the steps of each machine that has samples, oldest first."""
        found: dict[UUID, list[Bucket]] = {}
        for chunk in _chunks(query.vm_ids):
            figures: defaultdict[str, _Figures] = defaultdict(lambda: defaultdict(dict))
            async for series in self._figures(query, _each(query, chunk)):
                figures[series.metric["vm_id"]][series.figure].update(series.values)
            found |= {UUID(vm_id): _buckets(query, of_one) for vm_id, of_one in figures.items()}
        return found

    async def query_together(self, query: Query) -> Sequence[Bucket]:
        """Return the steps of all the machines taken together, oldest first."""
        if len(query.vm_ids) == 1:
            return next(iter((await self.query(query)).values()), ())
        figures: _Figures = defaultdict(dict)
        for chunk in _chunks(query.vm_ids):
            async for series in self._figures(query, _all(query, chunk)):
                _unite(figures[series.figure], series)
        for name in query.names:
            averages, machines = figures[_AVERAGE, name], figures[_MACHINES, name]
            if not name.adds_up:
                figures[_AVERAGE, name] = {at: total / machines[at] for at, total in averages.items()}
        return _buckets(query, figures)

    async def latest(self, vm_ids: Sequence[UUID]) -> Mapping[UUID, Sample]:
        """Return the newest sample of each machine that has one from the last days."""
        found: dict[UUID, dict[str, float]] = {}
        at = self._clock.now() + MAX_AHEAD
        window = f"{self._settings.retention_days * 86_400}s"
        for chunk in _chunks(vm_ids):
            series = f"{_selector(Metric, chunk)}[{window}]"
            when = f"{_selector([Metric.CPU_USAGE], chunk)}[{window}]"
            text = (
                f"union({_named('value', f'last_over_time({series}) keep_metric_names')}, "
                f"{_named('at', f'tlast_over_time({when}) keep_metric_names')})"
            )
            for newest in await self._series("/api/v1/query", text, time=_seconds(at)):
                figure, metric = newest.figure
                ((_, value),) = newest.values
                found.setdefault(UUID(newest.metric["vm_id"]), {})["at" if figure == "at" else metric] = value
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
        await self._client.ask("GET", "/health")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _figures(self, query: Query, text: str) -> AsyncIterator[_Series]:
        """Yield the figures of every step of the span: steps cut off at its ends are asked for apart."""
        for start, end, step in _stretches(query):
            window = f"{_milliseconds(end if step is None else start + step) - _milliseconds(start)}ms"
            # A window of the server ends with its last instant, one of ours before it. To look a millisecond earlier by
            # an offset keeps the times in the answer whole, and so short.
            span = text.replace("[]", f"[{window}] offset 1ms")
            if step is None:
                found = await self._series("/api/v1/query", span, time=_seconds(end))
            else:
                first, width = _seconds(start + step), f"{query.step_seconds}s"
                found = await self._series("/api/v1/query_range", span, start=first, end=_seconds(end), step=width)
            for series in found:
                yield series

    async def _series(self, path: str, text: str, **when: str) -> Sequence[_Series]:
        # What comes late would be missing from answers that the server has kept.
        form = urlencode({"query": text, "nocache": "1", **when})
        answer = await self._client.ask("POST", path, form.encode(), kind=FORM)
        try:
            return _ANSWER.decode(answer).data.result
        except msgspec.MsgspecError as error:
            raise MetricsUnavailable from error


class _Series(msgspec.Struct):
    """Figures of one metric: when, in seconds since the epoch, and how much."""

    metric: dict[str, str]
    values: list[tuple[float, float]] = []
    value: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.value is not None:  # So the server tells what it was asked of one instant.
            self.values = [self.value]

    @property
    def figure(self) -> tuple[str, Metric]:
        """What is told, and of which metric."""
        return self.metric["rollup"], Metric(self.metric["__name__"].removeprefix(f"{_MEASUREMENT}_"))


class _Result(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    data: _Result


_ANSWER: Final = msgspec.json.Decoder(_Answer, strict=False)  # Values come as text.

_Figures = defaultdict[tuple[str, Metric], dict[float, float]]
"""Values by figure and metric, and by the end of their step."""


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
    """Name what a figure is in the label in which `aggr_over_time` names it."""
    return f'label_set({text}, "rollup", "{figure}")'


def _each(query: Query, vm_ids: Sequence[UUID]) -> str:
    """Return the query for the figures of every machine; the window is put in where `[]` stands.

    Average and peak are of one expression, so that the server reads the samples once for both.
    """
    kinds = ", ".join(f'"{_ROLLED[kind]}"' for kind in query.aggregations)
    figures = f"aggr_over_time(({kinds}), {_selector(query.names, vm_ids)}[]) keep_metric_names"
    samples = f"count_over_time({_selector(query.names[:1], vm_ids)}[]) keep_metric_names"
    return f"union({figures}, {_named(_SAMPLES, samples)})"


def _all(query: Query, vm_ids: Sequence[UUID]) -> str:
    """Return the query for what figures of machines together are made of: sums, maxima and how many they are."""

    def over(function: str, rolled: str, names: Sequence[Metric]) -> str:
        return f"{function}({rolled}({_selector(names, vm_ids)}[]) keep_metric_names) by (__name__)"

    figures = [_named(_SAMPLES, over("sum", _SAMPLES, query.names[:1]))]
    if Aggregation.AVERAGE in query.aggregations:
        figures.append(_named(_AVERAGE, over("sum", _AVERAGE, query.names)))
        figures.append(_named(_MACHINES, over("count", _AVERAGE, query.names)))
    if Aggregation.PEAK in query.aggregations:
        figures.append(_named(_PEAK, over("max", _PEAK, query.names)))
    return f"union({', '.join(figures)})"


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


def _unite(into: dict[float, float], series: _Series) -> None:
    """Add what other machines have; of peaks the higher one counts."""
    if not into:
        into.update(series.values)
        return
    unite = max if series.figure[0] == _PEAK else float.__add__
    for at, value in series.values:
        into[at] = unite(into[at], value) if at in into else value


def _buckets(query: Query, figures: _Figures) -> list[Bucket]:
    """Return the steps in which there are samples."""
    samples = figures[_SAMPLES, query.names[0]]
    ends = sorted(samples)
    averages, peaks = (
        _by_step(ends, {name: figures[kind, name] for name in query.names}) for kind in (_AVERAGE, _PEAK)
    )
    return [
        Bucket(
            starts_at=query.starts_at(math.ceil(at / query.step_seconds) - 1),
            samples=round(samples[at]),
            average=average,
            peak=peak,
        )
        for at, average, peak in zip(ends, averages, peaks, strict=True)
    ]


def _by_step(ends: Sequence[float], columns: Mapping[Metric, Mapping[float, float]]) -> list[dict[Metric, float]]:
    try:
        rows = zip(*[[column[at] for at in ends] for column in columns.values()], strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]
    except KeyError:  # Some steps have fewer figures, or none of a kind that was not asked for.
        return [{name: column[at] for name, column in columns.items() if at in column} for at in ends]


def _milliseconds(instant: datetime) -> int:
    return math.ceil((instant - _EPOCH) / _MILLISECOND)


def _seconds(instant: datetime) -> str:
    return f"{_milliseconds(instant) / 1000:.3f}"
