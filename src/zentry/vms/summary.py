"""An account's machines in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zentry.schema.vms import VMStatus
from zentry.vms.schemas import RunningVM, StatusSummary
from zentry.vms.views import VMView


def summarise(views: Sequence[VMView]) -> StatusSummary:
    """Return counts, cost and uptime of machines."""
    running = [view for view in views if view.status == VMStatus.RUNNING]
    cost = sum(view.total_cost for view in views)
    uptime = sum(view.uptime_hours for view in views)
    number = max(1, len(views))
    return StatusSummary(
        total_vms=len(views),
        status_breakdown=dict(Counter(view.status for view in views)),
        total_cost=round(cost, 6),
        total_uptime_hours=uptime,
        average_cost_per_vm=round(cost / number, 6),
        average_uptime_per_vm=uptime / number,
        currently_running=[
            RunningVM(
                id=str(view.id),
                name=view.name,
                instance_type=view.instance_type,
                current_session_hours=view.current_session_hours,
                estimated_session_cost=round(view.current_session_hours * view.cost_per_hour, 6),
            )
            for view in running
        ],
        estimated_hourly_cost=round(sum(view.cost_per_hour for view in running), 6),
    )
