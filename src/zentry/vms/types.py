"""Machines as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from zentry.billing.types import Resource
from zentry.compute.types import VMSpec
from zentry.platform.clock import whole_second
from zentry.projects.quotas import Amounts
from zentry.schema.vms import SnapshotStatus, VMStatus


@dataclass(frozen=True, slots=True)
class VM:
    """A machine's row, as the rules need it."""

    id: UUID
    user_id: UUID
    project_id: UUID
    name: str
    instance_type: str
    image: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    status: VMStatus
    wanted: str
    ip_address: str | None
    last_started: datetime | None
    uptime_seconds: int
    delete_protection: bool = False
    extra_vcpus: int = 0
    extra_memory_mib: int = 0
    extra_disk_gib: int = 0
    snapshot_id: UUID | None = None
    ssh_keys: tuple[str, ...] = ()
    """The public keys themselves."""
    has_user_data: bool = False

    @property
    def resource(self) -> Resource:
        """The machine as billing sees it."""
        return Resource(
            self.id,
            self.user_id,
            self.project_id,
            self.name,
            self.instance_type,
            storage_gib=self.disk_gib,
            addresses=0 if self.ip_address is None else 1,
        )

    @property
    def spec(self) -> VMSpec:
        """The machine as a driver sees it."""
        return VMSpec(
            vm_id=self.id,
            name=self.name,
            vcpus=self.vcpus,
            memory_mib=self.memory_mib,
            disk_gib=self.disk_gib,
            image=self.image,
            instance_type=self.instance_type,
            ip_address=self.ip_address or "",
            snapshot_id=self.snapshot_id,
            ssh_keys=self.ssh_keys,
        )

    @property
    def counted(self) -> Amounts:
        """What of the quotas it takes up, what a resize has taken ahead included."""
        return {
            "vms": 1,
            "vcpus": self.vcpus + self.extra_vcpus,
            "memory_mib": self.memory_mib + self.extra_memory_mib,
            "disk_gib": self.disk_gib + self.extra_disk_gib,
        }

    @property
    def extra(self) -> Amounts:
        """What a resize under way has taken ahead."""
        return {
            "vcpus": self.extra_vcpus,
            "memory_mib": self.extra_memory_mib,
            "disk_gib": self.extra_disk_gib,
        }

    def session_seconds(self, now: datetime) -> int:
        """Return for how many whole seconds it has been running, 0 when it is not wanted to run."""
        if self.status is not VMStatus.RUNNING or self.wanted != "running" or self.last_started is None:
            return 0
        return max(0, int((whole_second(now) - whole_second(self.last_started)).total_seconds()))


@dataclass(frozen=True, slots=True)
class Extras:
    """What a machine may be created with besides its size and its image."""

    labels: Mapping[str, str] = field(default_factory=dict)
    delete_protection: bool = False
    snapshot_id: UUID | None = None
    ssh_key_ids: tuple[UUID, ...] = ()
    user_data: bytes | None = None
    sealed_for: UUID | None = None
    """The account that the user data is sealed for: whoever asks, who need not be who pays."""


@dataclass(frozen=True, slots=True)
class Template:
    """What machines of an account are created with, under a name."""

    id: UUID
    name: str
    instance_type: str
    image: str
    labels: Mapping[str, str]
    ssh_key_ids: tuple[UUID, ...]
    delete_protection: bool
    user_data: bytes | None
    created_at: datetime
    updated_at: datetime | None

    @property
    def has_user_data(self) -> bool:
        """Whether it brings user data."""
        return self.user_data is not None


@dataclass(frozen=True, slots=True)
class SSHKey:
    """A public key that an account keeps."""

    id: UUID
    name: str
    public_key: str
    fingerprint: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a machine's disk."""

    id: UUID
    user_id: UUID
    project_id: UUID
    vm_id: UUID
    name: str
    image: str
    disk_gib: int
    status: SnapshotStatus
    created_at: datetime

    @property
    def resource(self) -> Resource:
        """The snapshot as billing sees it."""
        return Resource(
            self.id, self.user_id, self.project_id, self.name, "disk", storage_gib=self.disk_gib, vm_id=self.vm_id
        )


@dataclass(frozen=True, slots=True)
class VMChanges:
    """What is to be different about a machine; None leaves it as it is."""

    name: str | None = None
    labels: Mapping[str, str] | None = None
    delete_protection: bool | None = None


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A size of machine."""

    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    description: str
    deprecated_at: datetime | None = None
    unavailable_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """What a machine's disk starts from."""

    name: str
    distribution: str
    version: str
    description: str
    deprecated_at: datetime | None = None
    unavailable_after: datetime | None = None
