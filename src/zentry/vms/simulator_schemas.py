"""The simulated world on the wire."""

from __future__ import annotations

from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field

from zentry.compute.simulator.faults import FaultKind
from zentry.compute.simulator.hosts import Condition, Placement
from zentry.compute.simulator.orders import Action
from zentry.platform.wire import WHOLE, ReadModel, WriteModel

_Choice = TypeVar("_Choice", Action, FaultKind, Condition)
_Named = Annotated[_Choice, Field(strict=False)]
"""A member by its name; strictly it could come from Python alone."""
Percent = Annotated[int, Field(ge=0, le=100), WHOLE]


class SimulatedHost(ReadModel):
    """One host: how it is, what it offers, and what of that is used."""

    name: str = Field(examples=["host-3"])
    condition: Condition = Field(
        description="`down` has lost power, its VMs are off and start elsewhere; `unreachable` runs on, and nobody "
        "can ask."
    )
    lost_percent: Percent = Field(description="How much of what it offered when it was whole is lost.")
    machines: int
    vcpus: int
    vcpus_used: int
    memory_mib: int
    memory_mib_used: int
    disk_gib: int
    disk_gib_used: int


class FaultRule(WriteModel):
    """Which calls are to fail, how, and how often."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "ensure_running", "kind": "lost_reply", "probability": 0.1}]}
    )

    action: _Named[Action] | None = Field(default=None, description="The call of the driver; null is every call.")
    kind: _Named[FaultKind] = Field(
        description="`unavailable` and `rejected` do nothing and say so, `lost_reply` does it and fails, `slow` takes "
        "`delay_seconds` longer, `duplicate` arrives once more after `delay_seconds`."
    )
    vm_id: str | None = Field(default=None, min_length=1, max_length=64, description="Only calls about this VM.")
    host: str | None = Field(
        default=None, min_length=1, max_length=64, description="Only calls about VMs of this host.", examples=["host-3"]
    )
    probability: float = Field(default=1.0, gt=0, le=1, description="How likely a call that matches is struck.")
    skip: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = Field(
        default=0, description="Calls that are let pass first."
    )
    count: Annotated[int, Field(ge=1, le=1_000_000), WHOLE] | None = Field(
        default=1, description="Calls that are struck; null is no end."
    )
    delay_seconds: float = Field(default=30.0, ge=0, le=3600, description="Of `slow` and `duplicate`.")


class FaultResponse(ReadModel):
    """A rule in force."""

    id: int = Field(examples=[1])
    hits: int = Field(description="Calls that it has struck.")
    action: Action | None
    kind: FaultKind
    vm_id: UUID | None
    host: str | None
    probability: float
    skip: int = Field(description="Calls that are still let pass.")
    count: int | None = Field(description="Calls that are still to be struck; null is no end.")
    delay_seconds: float


class SimulatorResponse(ReadModel):
    """The simulated world."""

    seed: int
    placement: Placement = Field(description="Which of the hosts with room takes a VM.")
    hosts: list[SimulatedHost]
    faults: list[FaultResponse] = Field(description="The rules in force, the oldest first.")


class HostChange(WriteModel):
    """What is to happen to a host; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"condition": "down"}]})

    condition: _Named[Condition] | None = Field(default=None, description="How it is to be.")
    lost_percent: Percent | None = Field(default=None, description="How much of what it offers is to be lost.")
