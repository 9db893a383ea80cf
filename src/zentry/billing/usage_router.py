"""The route of usage by machine, project, label, type and day."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import ConfigDict, Field

from zentry.billing.usage import GroupBy, Usage, UsageReport
from zentry.platform.instants import QueryInstant, first_instant, last_instant
from zentry.platform.money import to_credits
from zentry.platform.web import CallerDep, EdgeDep
from zentry.platform.wire import ReadModel

router = APIRouter(prefix="/billing", tags=["Billing"])

_LONGEST: Final = timedelta(days=366)
_USUAL: Final = timedelta(days=30)


class UsageGroup(ReadModel):
    """What one machine, project, type, label value or day has used."""

    key: str | None = Field(description="Id, type, label value or day; null for what has none.")
    name: str | None = Field(description="What a machine or project is called now.")
    lines: int
    seconds: int = Field(description="Seconds that were charged.")
    cost: float = Field(description="Credits.")
    cost_micros: int

    @classmethod
    def of(cls, usage: Usage) -> UsageGroup:
        """Return a group as it is shown."""
        return cls(
            key=usage.key,
            name=usage.name,
            lines=usage.lines,
            seconds=usage.seconds,
            cost=to_credits(usage.micros),
            cost_micros=usage.micros,
        )


class UsageByGroup(ReadModel):
    """Usage in a period; the groups and the others add up to the total exactly."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "group_by": "type",
                    "period_start": "2026-01-01T00:00:00Z",
                    "period_end": "2026-01-31T00:00:00Z",
                    "groups": [
                        {
                            "key": "small",
                            "name": None,
                            "lines": 25,
                            "seconds": 86400,
                            "cost": 1.25,
                            "cost_micros": 1250000,
                        }
                    ],
                    "other_cost": 0.0,
                    "other_micros": 0,
                    "total_cost": 1.25,
                    "total_micros": 1250000,
                }
            ]
        }
    )

    group_by: GroupBy
    period_start: datetime
    period_end: datetime
    groups: list[UsageGroup] = Field(description="The dearest first; days in their order.")
    other_cost: float = Field(description="What further groups have cost, beyond `limit`.")
    other_micros: int
    total_cost: float
    total_micros: int


@router.get("/usage", summary="Add up usage")
async def get_usage(
    caller: CallerDep,
    edge: EdgeDep,
    group_by: Annotated[GroupBy, Query(description="What to add up by.")] = GroupBy.VM,
    label_key: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=63,
            description="Add up by the values of this label, whatever `group_by` says. With `group_by=label` and no "
            "key all is in one group without a value.",
        ),
    ] = None,
    start_date: Annotated[
        QueryInstant | None, Query(description="From this day or time on; without it, 30 days before the end.")
    ] = None,
    end_date: Annotated[QueryInstant | None, Query(description="Until this day or time; without it, now.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Groups at most.")] = 100,
) -> UsageByGroup:
    """What was charged in a period, by machine, project, type, label value or day (UTC).

    Of a period longer than 366 days the last 366 are added up; `period_start` says from when on.

    A line counts on the day on which it was charged, and under the labels that its machine has now.
    """
    by = group_by if label_key is None else GroupBy.LABEL
    async with edge.read() as tx:
        end = tx.now if end_date is None else last_instant(end_date)
        start = _before(end, _USUAL) if start_date is None else first_instant(start_date)
        start = min(max(start, _before(end, _LONGEST)), end)
        report = UsageReport(tx, caller.user_id, start=start, end=end)
        groups = await report.groups(by, label_key=label_key, limit=limit)
        total = await report.total()
    other = total.micros - sum(group.micros for group in groups)
    return UsageByGroup(
        group_by=by,
        period_start=start,
        period_end=end,
        groups=[UsageGroup.of(group) for group in groups],
        other_cost=to_credits(other),
        other_micros=other,
        total_cost=to_credits(total.micros),
        total_micros=total.micros,
    )


def _before(end: datetime, span: timedelta) -> datetime:
    """Return the instant so long before an end, which may be the calendar's first."""
    return end - min(span, end - datetime.min.replace(tzinfo=end.tzinfo))
