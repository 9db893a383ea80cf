"""What drivers and the platform say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Power(StrEnum):
    """What a host sees of a machine's power."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"
    """Its host cannot be reached: it may run or not."""


@dataclass(frozen=True, slots=True)
class VMSpec:
    """What a machine is to be."""

    vm_id: UUID
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    image: str
    instance_type: str
    ip_address: str
    snapshot_id: UUID | None = None
    """What the disk begins from, in place of the image."""
    ssh_keys: tuple[str, ...] = ()
    """Public keys that may sign in, as lines of `authorized_keys`."""
    user_data: str = field(default="", repr=False)
    """What cloud-init is to do at the first boot, empty for nothing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a host sees of one machine."""

    vm_id: UUID
    power: Power
    fence: int
    host: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of a machine. Usages in percent, disk and network throughput in bytes per second."""

    vm_id: UUID
    recorded_at: datetime
    cpu_usage: float
    memory_usage: float
    disk_usage: float
    network_in: float
    network_out: float
    disk_read: float = 0.0
    disk_write: float = 0.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a driver can do. Code asks this, never which driver it is."""

    resize: bool = False
    rebuild: bool = False
    snapshots: bool = False
    console: bool = False
    history: bool = False
    """Whether samples of the past can be asked for."""


@dataclass(frozen=True, slots=True)
class HostState:
    """One host and how full it is."""

    name: str
    online: bool
    vcpus: int
    vcpus_used: int
    memory_mib: int
    memory_mib_used: int
    machines: int
    disk_gib: int = 0
    disk_gib_used: int = 0
