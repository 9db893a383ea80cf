"""Alert policies, alerts, their history and silences on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from zentry.monitoring.alerts.states import AlertState, Comparison
from zentry.monitoring.alerts.types import Condition, Figure, PolicySeverity, Source
from zentry.monitoring.store import Aggregation, Metric
from zentry.platform.wire import TITLE_PATTERN, WHOLE, GivenTime, ReadModel, WriteModel, pattern_in_words
from zentry.vms.labels import MAX_SELECTOR_LENGTH, SELECTOR_PATTERN

_ID: Final = "01936b62-3e4f-7c33-9d6e-7f405b8c9d23"
_AT: Final = "2026-01-15T10:30:00Z"
_LARGEST: Final = 1e15
_DAY: Final = 86_400
_EXAMPLE: Final[JsonDict] = {
    "name": "CPU is busy",
    "severity": "warning",
    "source": "metric",
    "subject": "cpu_usage",
    "condition": "threshold",
    "comparison": "above",
    "threshold": 90.0,
    "clear_threshold": 80.0,
    "window_seconds": 300,
    "fire_after_seconds": 600,
}
_Choice = TypeVar("_Choice", PolicySeverity, Source, Condition, Comparison, Aggregation)
_Named = Annotated[_Choice, Field(strict=False)]
"""A member by its name; strictly it could come from Python alone."""
_SUBJECT_PATTERN: Final = pattern_in_words(
    r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$", "Lower-case words, such as cpu_usage, vm.stopped or hourly_cost."
)

_NONE: Final[JsonDict] = {"type": "null"}
_SOURCES: Final[JsonDict] = {
    "anyOf": [
        {
            "title": "Of a metric",
            "properties": {"source": {"const": Source.METRIC.value}, "subject": {"enum": [*map(str, Metric)]}},
        },
        {
            "title": "Of events",
            "properties": {
                "source": {"const": Source.EVENT.value},
                "subject": {"pattern": r"\."},
            },
        },
        {
            "title": "Of a part of the bill",
            "properties": {
                "source": {"const": Source.BILLING.value},
                "subject": {"enum": [str(figure) for figure in Figure if figure.is_of_parts]},
                "condition": {"const": Condition.THRESHOLD.value},
            },
        },
        {
            "title": "Of the account",
            "properties": {
                "source": {"const": Source.BILLING.value},
                "subject": {"enum": [str(figure) for figure in Figure if not figure.is_of_parts]},
                "condition": {"const": Condition.THRESHOLD.value},
                "vm_id": _NONE,
                "project_id": _NONE,
                "label_selector": _NONE,
            },
        },
    ]
}
"""What goes together, by the source of the values; the service refuses the rest."""

GivenId = Annotated[str, StringConstraints(min_length=1, max_length=64), Field(examples=[_ID])]

PolicyName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=TITLE_PATTERN),
    Field(description="Unique among yours.", examples=["CPU is busy"]),
]
Subject = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=_SUBJECT_PATTERN),
    Field(
        description="A metric (`cpu_usage`, …), a kind of event (`vm.stopped`, …) or a figure of billing "
        "(`available_credits`, `hourly_cost`, `spent_today`, `spent_this_month`, `hours_left`).",
        examples=["cpu_usage"],
    ),
]
Threshold = Annotated[
    float,
    Field(
        ge=-_LARGEST, le=_LARGEST, description="In the unit of what is judged; a rate is per minute.", examples=[90.0]
    ),
]
Window = Annotated[
    int,
    Field(ge=60, le=_DAY, description="Over how many seconds a value is taken.", examples=[300]),
    WHOLE,
]
Duration = Annotated[int, Field(ge=0, le=_DAY, examples=[600]), WHOLE]
Selector = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_SELECTOR_LENGTH, pattern=SELECTOR_PATTERN),
    Field(description="Only VMs with these labels.", examples=["env=prod"]),
]


class AlertPolicyCreate(WriteModel):
    """The policy that is to be kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE], **_SOURCES})

    name: PolicyName
    enabled: bool = Field(default=True, description="Whether it is judged.")
    severity: _Named[PolicySeverity] = Field(default=PolicySeverity.WARNING, description="How soon to look.")
    source: _Named[Source] = Field(description="What is looked at: a metric, events, or the bill.")
    subject: Subject
    condition: _Named[Condition] = Field(
        default=Condition.THRESHOLD,
        description="`threshold`: the value itself. `absence`: no sample or event in the window. `rate`: how much a "
        "metric changes from the window before, or how often an event happens, per minute.",
    )
    comparison: _Named[Comparison] = Field(
        default=Comparison.ABOVE, description="On which side of the threshold it fires."
    )
    threshold: Threshold = 0.0
    clear_threshold: Threshold | None = Field(
        default=None,
        description="The value at which it is well again. Where it is left out, or on the side of the threshold on "
        "which the policy fires, it is the threshold.",
    )
    aggregation: _Named[Aggregation] = Field(
        default=Aggregation.AVERAGE, description="What becomes of a metric's samples in the window."
    )
    window_seconds: Window = 300
    fire_after_seconds: Duration = Field(default=0, description="How long it must be so before it fires.")
    resolve_after_seconds: Duration = Field(default=0, description="How long it must be well before it is resolved.")
    vm_id: GivenId | None = Field(default=None, description="Only this VM.")
    project_id: GivenId | None = Field(default=None, description="Only this project.")
    label_selector: Selector | None = Field(
        default=None, description="Only VMs with these labels, their events, or what they cost."
    )
    notify_mail: bool = Field(default=False, description="Whether you are told by mail as well.")


class AlertPolicyUpdate(WriteModel):
    """What is to be different; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"threshold": 95.0}]})

    name: PolicyName | None = Field(default=None, description="The new name, unique among yours.")
    enabled: bool | None = Field(default=None, description="Whether it is judged.")
    severity: _Named[PolicySeverity] | None = Field(default=None, description="How soon to look.")
    threshold: Threshold | None = Field(
        default=None, description="The new threshold; the clear threshold becomes the same unless it is sent as well."
    )
    clear_threshold: Threshold | None = Field(default=None, description="The value at which it is well again.")
    window_seconds: Window | None = Field(default=None, description="Over how many seconds a value is taken.")
    fire_after_seconds: Duration | None = Field(default=None, description="How long before it fires.")
    resolve_after_seconds: Duration | None = Field(default=None, description="How long before it is resolved.")
    notify_mail: bool | None = Field(default=None, description="Whether you are told by mail as well.")


class AlertPolicyResponse(ReadModel):
    """A policy of yours."""

    id: UUID = Field(examples=[_ID])
    name: str
    enabled: bool
    severity: PolicySeverity
    source: Source
    subject: str
    condition: Condition
    comparison: Comparison
    threshold: float
    clear_threshold: float
    aggregation: Aggregation
    window_seconds: int
    fire_after_seconds: int
    resolve_after_seconds: int
    vm_id: UUID | None
    project_id: UUID | None
    label_selector: str | None
    notify_mail: bool = Field(description="Whether you are told by mail beside the event.")
    created_at: datetime
    updated_at: datetime | None


class CurrentAlertResponse(ReadModel):
    """An alert that is pending or firing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "policy_id": _ID,
                    "policy_name": "CPU is busy",
                    "severity": "warning",
                    "target_id": _ID,
                    "state": "firing",
                    "since": _AT,
                    "value": 95.0,
                    "is_silenced": False,
                }
            ]
        }
    )

    policy_id: UUID
    policy_name: str
    severity: PolicySeverity
    target_id: UUID = Field(description="The VM, or the project or account where those are judged as a whole.")
    state: AlertState
    since: datetime
    value: float | None = Field(description="The value of the last judgement.")
    is_silenced: bool


class AlertChangeResponse(ReadModel):
    """One change of an alert's state."""

    id: UUID
    policy_id: UUID
    target_id: UUID
    state: AlertState = Field(description="The state that it led to.")
    previous: AlertState
    value: float | None
    is_silenced: bool
    is_test: bool = Field(description="Whether somebody only tried how they are told.")
    at: datetime


class AlertChangeList(ReadModel):
    """A page of changes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "changes": [
                        {
                            "id": _ID,
                            "policy_id": _ID,
                            "target_id": _ID,
                            "state": "firing",
                            "previous": "pending",
                            "value": 95.0,
                            "is_silenced": False,
                            "is_test": False,
                            "at": _AT,
                        }
                    ],
                    "next_cursor": None,
                }
            ]
        }
    )

    changes: list[AlertChangeResponse] = Field(description="The newest first.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null on the last.")


class SilenceCreate(WriteModel):
    """A time in which nobody is told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ends_at": "2026-06-01T12:00:00Z", "comment": "planned work"}]}
    )

    policy_id: GivenId | None = Field(default=None, description="Only of this policy.")
    vm_id: GivenId | None = Field(default=None, description="Only of this VM.")
    starts_at: GivenTime | None = Field(default=None, description="From when on; now where left out.")
    ends_at: GivenTime = Field(description="Until when.")
    comment: Annotated[str, StringConstraints(max_length=500)] = Field(default="", description="Why.")


class SilenceResponse(ReadModel):
    """A silence of yours."""

    id: UUID = Field(examples=[_ID])
    policy_id: UUID | None
    vm_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_at: datetime
