"""The wire shapes of projects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, cast
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from zentry.platform import money
from zentry.platform.caller import Caller, ProjectRole
from zentry.platform.wire import WHOLE, ReadModel, WriteModel, none_of, pattern_in_words
from zentry.projects.access import role_in
from zentry.projects.quotas import Amounts, Drift, Quota, Resource
from zentry.projects.types import Project, ProjectStatistics
from zentry.schema.vms import VMStatus

RESERVED_NAMES: Final = frozenset({"admin", "root", "system", "api", "www", "mail", "ftp"})
_EXAMPLE: Final = {"name": "web-shop", "description": "Everything behind shop.example.com"}
_MOST_DRIFT_ITEMS: Final = 100
_ID: Final = "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"


def _trimmed(name: str) -> str:
    name = name.strip(" ")
    if name.casefold() in RESERVED_NAMES:
        raise ValueError(f"The name {name!r} is reserved; choose another.")
    return name


PROJECT_NAME_PATTERN: Final = pattern_in_words(
    r"^ *[a-zA-Z0-9_-][a-zA-Z0-9 _-]*$", "A name is made of letters, digits, spaces, `-` and `_`."
)
WITHOUT_NUL: Final = pattern_in_words(r"^[^\x00]*$", "The text must not hold the character NUL.")

ProjectName = Annotated[
    str,
    # At least one character that is not a space; spaces around the name are cut off.
    StringConstraints(min_length=1, max_length=100, pattern=PROJECT_NAME_PATTERN),
    AfterValidator(_trimmed),
    Field(
        description="Letters, digits, spaces, `-` and `_`; unique among your projects in any case of its letters. "
        "A few names, such as `admin` and `api`, are reserved.",
        examples=["web-shop"],
        json_schema_extra=none_of(RESERVED_NAMES),
    ),
]
# PostgreSQL has no NUL in texts.
ProjectDescription = Annotated[str, StringConstraints(max_length=500, pattern=WITHOUT_NUL)]


class ProjectCreate(WriteModel):
    """The project that is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE}]})

    name: ProjectName
    description: ProjectDescription | None = Field(default=None, description="What it is for.")


class ProjectUpdate(WriteModel):
    """What may change of a project; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "Moved to shop.example.org"}]})

    name: ProjectName | None = Field(default=None, description="The new name, by the same rules as at creation.")
    description: ProjectDescription | None = Field(default=None, description="The new description; may be empty.")


class ProjectResponse(ReadModel):
    """A project."""

    id: UUID = Field(examples=[_ID])
    name: str = Field(examples=[_EXAMPLE["name"]])
    description: str = Field(description="Empty when there is none.", examples=[_EXAMPLE["description"]])
    user_id: UUID = Field(description="Whose it is, and who pays.")
    role: ProjectRole = Field(description="What you are in it; it decides what you may do.", examples=["owner"])
    vm_count: int = Field(description="VMs that are not terminated.", examples=[3])
    active_vm_count: int = Field(description="VMs that run.", examples=[2])
    total_cost: float = Field(
        description="Credits that its VMs have cost so far, terminated ones too.", examples=[1.25]
    )
    created_at: datetime
    updated_at: datetime | None = Field(description="Null until the first change.")

    @classmethod
    def of(cls, project: Project, caller: Caller) -> ProjectResponse:
        """Return the project as this caller sees it."""
        return ProjectResponse(
            id=project.id,
            name=project.name,
            description=project.description,
            user_id=project.user_id,
            role=role_in(caller, project_id=project.id, owner_id=project.user_id),
            vm_count=project.vm_count,
            active_vm_count=project.active_vm_count,
            total_cost=money.to_credits(project.total_cost),
            created_at=project.created_at,
            updated_at=project.updated_at,
        )


class ProjectStatisticsResponse(ReadModel):
    """What a project holds and costs."""

    project_id: UUID = Field(examples=[_ID])
    total_vms: int = Field(description="VMs that are not terminated.", examples=[3])
    active_vms: int = Field(description="VMs that run.", examples=[2])
    vms_by_status: dict[str, int] = Field(
        description="How many VMs are in each status; every status is there.",
        examples=[{"creating": 0, "running": 2, "stopped": 1, "error": 0, "terminated": 4}],
    )
    running_cost_per_hour: float = Field(description="Credits per hour of what is billed now.", examples=[0.15])
    total_cost: float = Field(description="Credits that its VMs have cost so far.", examples=[1.25])

    @classmethod
    def of(cls, statistics: ProjectStatistics) -> ProjectStatisticsResponse:
        """Return the statistics as clients see them."""
        counts = statistics.vms_by_status
        return cls(
            project_id=statistics.project_id,
            total_vms=sum(counts.values()) - counts[VMStatus.TERMINATED],
            active_vms=counts[VMStatus.RUNNING],
            vms_by_status=dict(counts),
            running_cost_per_hour=money.to_credits(statistics.running_cost_per_hour),
            total_cost=money.to_credits(statistics.total_cost),
        )


class QuotaUsage(ReadModel):
    """One limit and what is used of it."""

    resource: Resource = Field(examples=["vcpus"])
    used: int = Field(examples=[6])
    maximum: int = Field(examples=[200])
    available: int = Field(description="What may still be taken.", examples=[194])


class QuotasResponse(ReadModel):
    """The limits of an account or of a project."""

    scope: Literal["account", "project"]
    owner_id: UUID = Field(examples=[_ID])
    quotas: list[QuotaUsage]

    @classmethod
    def of(cls, scope: Literal["account", "project"], owner_id: UUID, quotas: Sequence[Quota]) -> QuotasResponse:
        """Return the limits as clients see them."""
        usages = [
            QuotaUsage(
                resource=quota.resource,
                used=quota.used,
                maximum=quota.maximum,
                available=max(0, quota.maximum - quota.used),
            )
            for quota in quotas
        ]
        return cls(scope=scope, owner_id=owner_id, quotas=usages)


_Limit = Annotated[int, Field(ge=0, le=2_000_000_000), WHOLE]


class ProjectQuotas(WriteModel):
    """Limits of a project; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"vms": 40}]})

    vms: _Limit | None = Field(default=None, description="VMs that are not terminated.")
    vcpus: _Limit | None = Field(default=None, description="vCPUs of all VMs.")
    memory_mib: _Limit | None = Field(default=None, description="Memory of all VMs.")
    disk_gib: _Limit | None = Field(default=None, description="Disk of all VMs.")
    snapshots: _Limit | None = Field(default=None, description="Snapshots.")

    @property
    def amounts(self) -> Amounts:
        """What was named."""
        return cast("Amounts", self.model_dump(exclude_none=True))


class AccountQuotas(ProjectQuotas):
    """Limits of an account; what is left out stays as it is."""

    projects: _Limit | None = Field(default=None, description="Projects that it owns.")


class DriftItem(ReadModel):
    """A counter that differs from its rows."""

    owner_id: UUID
    resource: Resource
    used: int = Field(description="What the counter says.")
    counted: int = Field(description="What the rows say.")


class QuotaDriftResponse(ReadModel):
    """The result of a recount."""

    drift: int = Field(description="How many counters differ; 0 is right.", examples=[0])
    items: list[DriftItem] = Field(description="At most 100 of them.")

    @classmethod
    def of(cls, found: Sequence[Drift]) -> QuotaDriftResponse:
        """Return the drift as administrators see it."""
        return cls(drift=len(found), items=[DriftItem.model_validate(one) for one in found[:_MOST_DRIFT_ITEMS]])
