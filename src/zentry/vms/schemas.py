"""Machines on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from zentry.platform.wire import ReadModel, WriteModel, none_of, one_of_catalogue, pattern_in_words
from zentry.projects.schemas import ProjectResponse
from zentry.schema.vms import StopReason, VMStatus
from zentry.vms.labels import KEY_PATTERN, MAX_KEY_LENGTH, MAX_LABELS, VALUE_PATTERN

RESERVED_NAMES: Final = frozenset({"admin", "root", "system", "api", "www", "mail", "ftp"})


def _trimmed(name: str) -> str:
    name = name.strip(" ")
    if name.casefold() in RESERVED_NAMES:
        raise ValueError(f"The name {name!r} is reserved; choose another.")
    return name


VM_NAME_PATTERN: Final = pattern_in_words(
    r"^ *[a-zA-Z0-9_-]+ *$", "A name is made of letters, digits, `-` and `_`, without spaces."
)
SNAPSHOT_NAME_PATTERN: Final = pattern_in_words(
    r"^[a-zA-Z0-9][a-zA-Z0-9 ._:-]*$",
    "A name is made of letters, digits, spaces, `.`, `_`, `:` and `-`, and begins with a letter or a digit.",
)
SSH_KEY_NAME_PATTERN: Final = pattern_in_words(
    r"^[a-zA-Z0-9][a-zA-Z0-9 @._-]*$",
    "A name is made of letters, digits, spaces, `@`, `.`, `_` and `-`, and begins with a letter or a digit.",
)

VMName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=VM_NAME_PATTERN),
    AfterValidator(_trimmed),
    Field(json_schema_extra=none_of(RESERVED_NAMES)),
]

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_KEY_LENGTH, pattern=KEY_PATTERN)]
LabelValue = Annotated[str, StringConstraints(pattern=VALUE_PATTERN)]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(
        max_length=MAX_LABELS,
        description="Marks to find machines by. A key has up to 63 letters, digits, `-`, `_` and `.`, and may have a "
        "DNS name and `/` before it; a value has up to 63 of the same characters, or none.",
        examples=[{"env": "prod", "example.com/team": "shop"}],
        json_schema_extra={"additionalProperties": False, "propertyNames": {"maxLength": MAX_KEY_LENGTH}},
    ),
]


KeyIds = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=64)]],
    Field(max_length=20, description="Ids of `GET /ssh-keys` that may sign in."),
]
MAX_USER_DATA: Final = 16_384
USER_DATA_PATTERN: Final = pattern_in_words(
    r"^(#!|#cloud-config|#cloud-boothook|#include|#part-handler|## template: jinja|Content-Type: multipart/)",
    "User data begins with a line that tells cloud-init what it is: `#cloud-config`, `#!` and an interpreter, "
    "`#include`, `#cloud-boothook`, `#part-handler`, `## template: jinja` or `Content-Type: multipart/…`.",
)
UserData = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_USER_DATA, pattern=USER_DATA_PATTERN),
    Field(
        description="What cloud-init does at the first boot and after each rebuild. It is kept encrypted, handed to "
        "the machine, and never shown.",
        examples=["#cloud-config\npackages: [nginx]\n"],
    ),
]


class VMCreate(WriteModel):
    """The machine that is wanted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "web-1",
                    "instance_type": "small",
                    "image": "ubuntu-22.04",
                    "project_id": "0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b",
                }
            ],
            "anyOf": [
                {"required": ["template_id"]},
                {"required": ["instance_type", "image"]},
                {"required": ["instance_type", "snapshot_id"]},
            ],
            "not": {"required": ["image", "snapshot_id"]},
        }
    )

    name: VMName = Field(
        description="Also its host name: letters, digits, `-` and `_`; unique among the project's live machines. "
        "A few names, such as `admin` and `api`, are reserved.",
        examples=["web-1"],
    )
    template_id: str = Field(
        default="",
        min_length=1,
        max_length=64,
        description="A template of `GET /templates`: what this request leaves out comes from there.",
    )
    instance_type: str = Field(
        default="",
        min_length=1,
        max_length=50,
        description="A type of `GET /instance-types`; needed unless `template_id` is sent.",
        examples=["small"],
        json_schema_extra=one_of_catalogue("instance-types"),
    )
    image: str = Field(
        default="",
        min_length=1,
        max_length=100,
        description="An image of `GET /images`; needed unless `snapshot_id` or `template_id` is sent.",
        examples=["ubuntu-22.04"],
        json_schema_extra=one_of_catalogue("images"),
    )
    snapshot_id: str = Field(
        default="",
        min_length=1,
        max_length=64,
        description="A snapshot for the disk to begin from, in place of an image.",
    )
    ssh_keys: KeyIds = Field(default_factory=list)
    user_data: UserData = ""
    project_id: str = Field(
        min_length=1,
        max_length=64,
        description="The project that it belongs to and that is billed.",
        examples=["0197a3b4-5c6d-7e8f-9a0b-1c2d3e4f5a6b"],
    )
    labels: Labels = Field(default_factory=dict)
    delete_protection: bool = Field(default=False, description="Whether a deletion is refused until this is lifted.")


class VMUpdate(WriteModel):
    """What may change of a machine at any time; what is left out or null stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"labels": {"env": "prod"}, "delete_protection": True}]})

    name: VMName | None = Field(
        default=None, description="The new name, by the same rules as at creation.", examples=["web-2"]
    )
    labels: Labels | None = Field(default=None, description="The new labels; they replace all that were there.")
    delete_protection: bool | None = Field(
        default=None, description="Whether a deletion is refused, also that of its project."
    )


class VMResize(WriteModel):
    """The size that is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instance_type": "medium"}]})

    instance_type: str = Field(
        min_length=1,
        max_length=50,
        description="Another type of `GET /instance-types`.",
        examples=["medium"],
        json_schema_extra=one_of_catalogue("instance-types"),
    )


class VMRebuild(WriteModel):
    """What the disk is to begin from."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image": "debian-12"}]})

    image: str = Field(
        min_length=1,
        max_length=100,
        description="An image of `GET /images`.",
        examples=["debian-12"],
        json_schema_extra=one_of_catalogue("images"),
    )


class SnapshotCreate(WriteModel):
    """The snapshot that is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "before-upgrade"}]})

    name: str = Field(
        min_length=1,
        max_length=100,
        pattern=SNAPSHOT_NAME_PATTERN,
        description="Letters, digits, spaces, `.`, `_`, `:` and `-`; unique among the VM's snapshots.",
        examples=["before-upgrade"],
    )


class SnapshotResponse(ReadModel):
    """A copy of a VM's disk."""

    id: UUID = Field(examples=["01936b60-0c1d-7a11-b7c4-5d2e9f3a6b01"])
    name: str = Field(examples=["before-upgrade"])
    vm_id: UUID = Field(description="The VM whose disk it holds; it may be terminated.")
    project_id: UUID
    image: str = Field(description="What the disk once began from.", examples=["debian-12"])
    disk_gib: int = Field(description="What a VM made from it needs at least.", examples=[20])
    status: Literal["creating", "available", "error"] = Field(description="Only an available one can be used.")
    created_at: datetime


class SnapshotList(ReadModel):
    """A page of snapshots, the newest first."""

    snapshots: list[SnapshotResponse]
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last one.")


SSHKeyName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, pattern=SSH_KEY_NAME_PATTERN),
    Field(description="Letters, digits, spaces, `@`, `.`, `_` and `-`; unique among yours.", examples=["laptop"]),
]
_PUBLIC_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Y85cenhwxsEWljaHuM8+BjsxGi7uoIWE348VYvISO ada@laptop"


class SSHKeyCreate(WriteModel):
    """The key that is to be kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "laptop", "public_key": _PUBLIC_KEY}]})

    name: SSHKeyName
    public_key: str = Field(
        description="The line of a `.pub` file: Ed25519, ECDSA, RSA from 2048 bits, or a security key.",
        examples=[_PUBLIC_KEY],
        json_schema_extra={"format": "ssh-public-key"},
    )


class SSHKeyUpdate(WriteModel):
    """What may change of a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "work laptop"}]})

    name: SSHKeyName


class SSHKeyResponse(ReadModel):
    """A key that you keep."""

    id: UUID = Field(examples=["01936b61-2d3e-7b22-8c5d-6e3f0a4b7c12"])
    name: str = Field(examples=["laptop"])
    public_key: str = Field(examples=[_PUBLIC_KEY])
    fingerprint: str = Field(description="As `ssh-keygen -l` shows it.")
    created_at: datetime


class VMSpecs(ReadModel):
    """A machine's size in words."""

    cpu: str = Field(examples=["1 vCPU"])
    ram: str = Field(examples=["1 GB"])
    storage: str = Field(examples=["20 GB SSD"])


class ActiveOperation(ReadModel):
    """What is under way for a machine."""

    id: str
    kind: str = Field(examples=["vms.create"])
    progress: int = Field(ge=0, le=100, description="Percent.")


class VMSSHKey(ReadModel):
    """A key that a machine was created with, also when the account has forgotten it."""

    name: str = Field(examples=["laptop"])
    fingerprint: str


class VMResponse(ReadModel):
    """One machine."""

    id: str = Field(examples=["01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10"])
    name: str = Field(examples=["web-1"])
    instance_type: str = Field(examples=["small"])
    image: str = Field(examples=["ubuntu-22.04"])
    status: VMStatus = Field(description="Where it rests; what is under way is `active_operation`.")
    stop_reason: StopReason | None = Field(description="Why it stands still.")
    active_operation: ActiveOperation | None
    ip_address: str | None = Field(examples=["10.64.3.17"])
    user_id: str
    project_id: str
    project_name: str
    specs: VMSpecs
    vcpus: int
    memory_mib: int
    disk_gib: int
    cost_per_hour: float = Field(description="Credits per hour while it runs.", examples=[0.05])
    uptime_hours: float = Field(description="Hours that it has run, this session included.")
    current_session_hours: float = Field(description="Hours since it was last started; 0 when it stands still.")
    total_cost: float = Field(description="Credits that it has cost, what is not yet charged included.")
    snapshot_id: str | None = Field(description="The snapshot that its disk came from, null for an image.")
    ssh_keys: list[VMSSHKey] = Field(description="The keys that it was created with.")
    labels: dict[str, str] = Field(examples=[{"env": "prod"}])
    delete_protection: bool = Field(description="Whether a deletion is refused until this is lifted.")
    has_user_data: bool = Field(description="Whether it was created with user data, which is not shown.")
    created_at: datetime
    updated_at: datetime | None
    last_started: datetime | None
    last_stopped: datetime | None
    terminated_at: datetime | None


class VMFilters(ReadModel):
    """The filters of a list, as they were understood; those that were not given are absent."""

    status: str | None = None
    project_id: str | None = None
    name: str | None = None
    label_selector: str | None = None


class VMList(ReadModel):
    """A page of machines: live ones first, then the newest."""

    vms: list[VMResponse]
    total_count: int = Field(description="Machines that the filters find, on all pages.")
    filters_applied: VMFilters
    next_cursor: str | None = Field(description="Send as `cursor` for the next page; null on the last one.")


class ProjectWithVMs(ProjectResponse):
    """A project and its machines."""

    vms: list[VMResponse]


class DoomedVM(ReadModel):
    """A machine that goes with its project."""

    id: UUID
    name: str = Field(examples=["web-1"])
    status: VMStatus
    delete_protection: bool


class DeletionPreview(ReadModel):
    """What goes when a project is deleted."""

    project_id: UUID
    allowed: bool = Field(description="Whether a deletion would be accepted now.")
    protected: list[str] = Field(description="Names of the VMs whose protection stands against it.", examples=[["db"]])
    vms: list[DoomedVM] = Field(description="The VMs that would be terminated.")
    snapshots: list[SnapshotResponse] = Field(description="The snapshots that would go, also those of former VMs.")
    running_cost_per_hour: float = Field(description="Credits per hour that it would save.", examples=[0.15])


class TypeSpecs(ReadModel):
    """An instance type's size in words and in numbers."""

    cpu: str
    ram: str
    storage: str
    vcpus: int
    memory_mib: int
    disk_gib: int


class BillingDetails(ReadModel):
    """How charges come about."""

    unit: str
    granularity: str
    minimum_charge: float
    create_fee: float = Field(description="Credits, charged once when a machine first runs.")
    minimum_credits: float = Field(description="Credits that must be available to create a machine.")
    window_seconds: int = Field(description="For how long ahead credit is held while a machine runs.")
    rounding: str


class PricingInfo(ReadModel):
    """What machines cost."""

    pricing: dict[str, float] = Field(description="Credits per hour by instance type.", examples=[{"small": 0.05}])
    currency: str = Field(examples=["USD"])
    billing: str = Field(examples=["per_hour"])
    description: str
    specifications: dict[str, TypeSpecs]
    billing_details: BillingDetails
    cost_optimization: dict[str, str]
    price_version: int


class SimplePricing(ReadModel):
    """What machines cost, in the short form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pricing": {"small": 0.05},
                    "currency": "USD",
                    "billing": "per_hour",
                    "description": "Prices per hour while a VM runs.",
                    "specs": {
                        "small": {
                            "cpu": "1 vCPU",
                            "ram": "1 GB",
                            "storage": "20 GB SSD",
                            "vcpus": 1,
                            "memory_mib": 1024,
                            "disk_gib": 20,
                        }
                    },
                }
            ]
        }
    )

    pricing: dict[str, float]
    currency: str
    billing: str
    description: str
    specs: dict[str, TypeSpecs]


class ImageResponse(ReadModel):
    """What a machine's disk can start from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "debian-12", "distribution": "Debian", "version": "12", "description": "Debian 12 (Bookworm)"}
            ]
        }
    )

    name: str
    distribution: str
    version: str
    description: str
    deprecated_at: datetime | None = Field(description="From when on another one is the better choice.")
    unavailable_after: datetime | None = Field(description="From when on no machine can be given it.")


class InstanceTypeResponse(ReadModel):
    """A size of machine and its price."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "small",
                    "vcpus": 1,
                    "memory_mib": 1024,
                    "disk_gib": 20,
                    "price_per_hour": 0.05,
                    "description": "For trials, small services and build agents.",
                }
            ]
        }
    )

    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    price_per_hour: float
    description: str
    deprecated_at: datetime | None = Field(description="From when on another one is the better choice.")
    unavailable_after: datetime | None = Field(description="From when on no machine can be given it.")


class ConsoleResponse(ReadModel):
    """The end of a machine's serial log."""

    vm_id: UUID
    output: str = Field(description="Plain text; lines end in a newline.", examples=["web-1 login:\n"])
    lines: int = Field(description="How many lines these are.")
    truncated: bool = Field(description="Whether there are earlier lines that are left out.")


class RunningVM(ReadModel):
    """A machine that runs now."""

    id: str
    name: str
    instance_type: str
    current_session_hours: float
    estimated_session_cost: float


class StatusSummary(ReadModel):
    """An account's machines in figures."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "total_vms": 1,
                    "status_breakdown": {"creating": 0, "running": 1, "stopped": 0, "error": 0, "terminated": 0},
                    "total_cost": 0.175,
                    "total_uptime_hours": 2.5,
                    "average_cost_per_vm": 0.175,
                    "average_uptime_per_vm": 2.5,
                    "currently_running": [
                        {
                            "id": "01936b5e-7d5b-7cc0-a6f1-1f2f4b7a9a10",
                            "name": "web-1",
                            "instance_type": "small",
                            "current_session_hours": 2.5,
                            "estimated_session_cost": 0.125,
                        }
                    ],
                    "estimated_hourly_cost": 0.05,
                }
            ]
        }
    )

    total_vms: int
    status_breakdown: dict[str, int]
    total_cost: float
    total_uptime_hours: float
    average_cost_per_vm: float
    average_uptime_per_vm: float
    currently_running: list[RunningVM]
    estimated_hourly_cost: float
